//! `nexus mesh invite`: a token for the next machine; makes the mesh key if there is none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use serde_json::Value as Json;

use crate::cli::assent::Sure;
use crate::cli::client::Client;
use crate::cli::config::fresh_key;
use crate::cli::{ConfigFile, print, tell};
use crate::config::{Config, Editor};
use crate::env::{Net, RealNet, Seed};
use crate::mesh::{self, Token, host_and_port};

/// Print a one-line token that holds the name, the key and the addresses of this mesh.
///
/// If the mesh has no key yet, one is made and written into the configuration file, and a running peer takes it up.
/// Where the running peer sees others, it asks for that first on a terminal: they join again with the token.
/// Whoever holds the token can join: pass it on as you would a password.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    config: ConfigFile,
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = super::file(self.config.path.as_deref());
        let client = Client::find_or_new(&path)?;
        let config = &client.loaded.config;
        let mut key = config.mesh.key.clone();
        if key.is_empty() {
            let would = async {
                let parted = super::parted(&client, " until they join with the token").await;
                let would = || format!("Would make a key for the mesh, in {}.\n{parted}", path.display());
                Ok(if parted.is_empty() { parted.clone() } else { would() })
            };
            self.sure.of_order(would).await?;
            key = fresh_key(&Seed::from_os());
            let mut editor = Editor::open(&path)?;
            editor.set_text("mesh", "key", &key)?;
            editor.save()?;
            tell(&format!("Made a mesh key, in {}.", path.display()));
            super::warn_if_readable(&path);
            super::take_up(&client, &config.mesh.name, &key, &[], true).await?;
        }
        let addresses = addresses(&client).await;
        let token = Token { name: config.mesh.name.clone(), key, addresses };
        tell("On the other machine: nexus mesh join TOKEN, where TOKEN is this line:");
        Ok(print(&format!("{}\n", token.encode()))?)
    }
}

/// Where this peer can be reached: as configured, else as the running peer says, else every address of this machine.
async fn addresses(client: &Client) -> Vec<String> {
    let config = &client.loaded.config;
    if !config.mesh.advertise.is_empty() {
        return config.mesh.advertise.clone();
    }
    let told: Option<Json> = client.get("/nexus/v1/mesh").await.ok();
    let told = told.as_ref().and_then(|mesh| mesh["self"]["addresses"].as_array()).into_iter().flatten();
    let told: Vec<_> = told.filter_map(Json::as_str).map(str::to_owned).collect();
    let usable = |address: &String| host_and_port(address).is_some_and(|(_, port)| port != 0);
    if !told.is_empty() && told.iter().all(usable) {
        return told;
    }
    let (host, port) = listens(config);
    if port == 0 {
        return Vec::new();
    }
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {
            RealNet.own_addresses().into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect()
        }
        Ok(ip) => vec![SocketAddr::new(ip, port).to_string()],
        Err(_) => vec![format!("{host}:{port}")],
    }
}

/// `mesh.listen`, or where a peer listens without it.
fn listens(config: &Config) -> (String, u16) {
    match host_and_port(&config.mesh.listen) {
        Some((host, port)) => (host.to_owned(), port),
        None => {
            let server =
                config.server.host.trim_matches(['[', ']']).parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let usual = mesh::Config::usual_listen(SocketAddr::new(server, config.server.port));
            (usual.ip().to_string(), usual.port())
        }
    }
}
