//! What the demonstration takes of the machine, and gives back: free ports, a temporary directory; and asking a peer
//! what it knows.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value as Json;

use crate::env::{Env, Exchange, HttpExchange, RealNet, Seed};

/// The first port that is tried.
const FIRST: u16 = 8000;

/// How many are tried.
const RANGE: u16 = 2000;

/// A list of models is never larger, in bytes.
const LARGEST_LIST: usize = 1 << 20;

/// Ports that were free a moment ago.
pub(super) struct Ports {
    /// TCP, one for each peer.
    pub(super) http: Vec<u16>,
    /// UDP, one for each peer.
    pub(super) mesh: Vec<u16>,
}

impl Ports {
    /// The lowest free ones from 8000 on, so that what is printed is easy to type.
    pub(super) fn find(count: usize) -> io::Result<Self> {
        let tcp = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let udp = |port: &u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let http: Vec<_> = (FIRST..FIRST + RANGE).filter(tcp).take(count).collect();
        let mesh: Vec<_> = (FIRST + 1..FIRST + RANGE).filter(udp).take(count).collect();
        if http.len() < count || mesh.len() < count {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(Ports { http, mesh })
    }
}

/// A directory that goes when this is dropped.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn make(seed: &Seed) -> io::Result<Self> {
        let name = data_encoding::BASE32_NOPAD.encode(&seed.bytes("demo directory")[..10]).to_ascii_lowercase();
        let path = std::env::temp_dir().join(format!("nexus-demo-{name}"));
        // It must not be there yet, and the disk seam would take one that is.
        std::fs::create_dir(&path)?;
        let directory = Directory(path);
        #[cfg(unix)]
        std::fs::set_permissions(&directory.0, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(directory)
    }

    /// The part of it that belongs to `name`.
    pub(super) fn of(&self, name: &str) -> PathBuf {
        Path::join(&self.0, name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // At the end of a demonstration nobody is left to be told.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ready when the peer at `address` lists every one of `models`.
pub(super) async fn lists_all(address: SocketAddr, models: &[String]) {
    let http = Exchange::new(Arc::new(RealNet), Env::CONNECT_DEADLINE);
    loop {
        let known = known(&http, address).await;
        if models.iter().all(|model| known.contains(model)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn known(http: &Exchange, address: SocketAddr) -> BTreeSet<String> {
    let request = http::Request::get(format!("http://{address}/v1/models")).body(Full::new(Bytes::new()));
    let Ok(request) = request else { return BTreeSet::new() };
    let Ok(reply) = http.send(request).await else { return BTreeSet::new() };
    let body = Limited::new(reply.into_body(), LARGEST_LIST).collect().await.map(|body| body.to_bytes());
    let list: Json = body.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let ids = list["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_private_and_goes() {
        let directory = Directory::make(&Seed::from_os()).expect("a directory");
        let path = directory.of("peer-1");
        std::fs::create_dir(&path).expect("create");
        std::fs::write(path.join("identity"), "x").expect("write");
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn ports_that_are_taken_are_left_out() {
        let before = Ports::find(1).expect("ports");
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, before.http[0]));
        let after = Ports::find(2).expect("ports");
        assert!(!after.http.contains(&before.http[0]));
        assert_ne!(after.http[0], after.http[1]);
    }
}
