//! Files of the data directory: few, small, private, and replaced whole so that a crash leaves the old or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// A place for the files of a node.
pub trait Disk: Send + Sync + 'static {
    /// Makes the directory, readable by its owner only, and proves that it can be written.
    fn prepare(&self, directory: &Path) -> io::Result<()>;

    /// The content of a file, or `None` where there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a file whole, durably, readable by its owner only.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Opens a file for lines at its end; it is made, private, where there is none.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>>;

    /// Claims the directory for this process until the claim is dropped; `None` where another process has it.
    fn claim(&self, directory: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// The end of a file.
pub trait Append: Send + 'static {
    /// Writes at the end. With `sync` it resolves when all that was ever written is durable.
    fn write(&mut self, content: Vec<u8>, sync: bool) -> BoxFuture<'_, io::Result<()>>;
}

/// The file system of the machine.
#[derive(Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn prepare(&self, directory: &Path) -> io::Result<()> {
        private_directory(directory)?;
        let probe = directory.join(".writable");
        File::create(&probe)?;
        fs::remove_file(probe)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let part = path.with_extension("part");
        let mut file = private_file(&part)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(RealEnd(Arc::new(options.open(path)?))))
    }

    fn claim(&self, directory: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = private_file(&directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

struct RealEnd(Arc<File>);

impl Append for RealEnd {
    fn write(&mut self, content: Vec<u8>, sync: bool) -> BoxFuture<'_, io::Result<()>> {
        let file = self.0.clone();
        let work = move || {
            (&*file).write_all(&content)?;
            if sync { file.sync_data() } else { Ok(()) }
        };
        // A disk may take its time; requests do not wait behind it.
        Box::pin(
            async move { tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error))) },
        )
    }
}

#[cfg(unix)]
fn private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn private_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_directory_claimed_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("sub/id");
        RealDisk.prepare(&directory.path().join("sub")).expect("a directory");
        assert_eq!(RealDisk.read(&path).expect("no file is no error"), None);
        RealDisk.replace(&path, b"one").expect("write");
        RealDisk.replace(&path, b"two").expect("write again");
        assert_eq!(RealDisk.read(&path).expect("read").as_deref(), Some(&b"two"[..]));

        let claim = RealDisk.claim(directory.path()).expect("claim");
        assert!(claim.is_some());
        assert!(RealDisk.claim(directory.path()).expect("second claim").is_none());
    }
}
