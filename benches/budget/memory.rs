//! A disk that keeps nothing: what is left is what the treasury itself costs.

use std::io;
use std::path::Path;

use futures_util::future::BoxFuture;
use nexus::env::{Append, Disk};

/// It is written to, and forgets it.
pub(crate) struct NoDisk;

impl Disk for NoDisk {
    fn prepare(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn replace(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn append(&self, _: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(NoDisk))
    }

    fn claim(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(None)
    }
}

impl Append for NoDisk {
    fn write(&mut self, _: Vec<u8>, _: bool) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
