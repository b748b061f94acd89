//! stub
#![allow(missing_docs)]
mod config;
use crate::{
    env::{Announcement, Env},
    exchange::{Hop, Refusal, Reply, Request, Serve},
    fleet::*,
};
pub use config::Config;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;
#[derive(Clone)]
pub struct Mesh;
pub struct Setup {
    pub config: Config,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub peer_name: String,
    pub version: &'static str,
    pub policies: String,
    pub mine: Arc<dyn Fn() -> Vec<BackendFacts> + Send + Sync>,
}
pub struct Membership {
    pub name: String,
    pub key: String,
    pub seeds: Vec<String>,
}
pub struct PeerHint {
    pub id: Option<PeerId>,
    pub addresses: Vec<SocketAddr>,
}
pub struct Myself {
    pub id: PeerId,
    pub name: Arc<str>,
    pub addresses: Vec<SocketAddr>,
}
pub struct Warning {
    pub code: String,
    pub message: String,
    pub peer: Option<String>,
}
pub struct Peers {
    pub list: Vec<Arc<Peer>>,
}
pub struct Peer {
    pub id: PeerId,
    pub name: Arc<str>,
    pub version: String,
    pub addresses: Vec<SocketAddr>,
    pub draining: bool,
    pub heard_at: Instant,
    pub rtt: Option<Duration>,
    pub backends: Vec<Arc<PeerBackend>>,
}
pub struct PeerBackend {
    pub about: BackendAbout,
    pub models: Vec<Arc<Model>>,
    pub load: Load,
    pub heard_at: Instant,
}
impl Peer {
    pub fn state(&self, _: Instant, _: &Config) -> PeerState {
        todo!()
    }
}
impl Peers {
    pub fn offering(&self, _: &str) -> impl Iterator<Item = (&Arc<Peer>, &Arc<PeerBackend>, &Arc<Model>)> {
        let v: Vec<(&Arc<Peer>, &Arc<PeerBackend>, &Arc<Model>)> = vec![];
        v.into_iter()
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct StartError;
pub enum ForwardError {
    Unreachable(String),
    Silent,
    Late(Duration),
    Refused(Refusal),
    Lost,
}
impl Mesh {
    pub async fn start(_: Setup, _: Env) -> Result<Mesh, StartError> {
        todo!()
    }
    pub fn serve_with(&self, _: Arc<dyn Serve>) {}
    pub fn myself(&self) -> Myself {
        todo!()
    }
    pub fn peers(&self) -> Arc<Peers> {
        todo!()
    }
    pub fn is_keyed(&self) -> bool {
        todo!()
    }
    pub fn config(&self) -> Config {
        todo!()
    }
    pub fn hint(&self, _: PeerHint) {}
    pub fn announcement(&self) -> Announcement {
        todo!()
    }
    pub fn mesh_tag(&self) -> String {
        todo!()
    }
    pub async fn forward(&self, _: &PeerId, _: Hop, _: &Request, _: Duration) -> Result<Reply, ForwardError> {
        todo!()
    }
    pub async fn rejoin(&self, _: Membership) -> Result<(), StartError> {
        todo!()
    }
    pub fn set_draining(&self, _: bool) {}
    pub async fn leave(&self, _: Duration) {}
    pub fn warnings(&self) -> Vec<Warning> {
        todo!()
    }
}
