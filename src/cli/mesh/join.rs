//! `nexus mesh join`: writes a membership into the configuration file and has a running peer take it up.

use anyhow::{bail, ensure};
use clap::Args;

use super::USUAL_PORT;
use crate::cli::assent::Sure;
use crate::cli::client::Client;
use crate::cli::render::clean;
use crate::cli::{ConfigFile, tell};
use crate::config::{Config, Editor};
use crate::mesh::{MeshKey, Token, host_and_port};

/// Join the mesh of a token, or of a peer's address where the mesh has no key.
///
/// Name, key and addresses are written into the configuration file, whose shape and comments stay; a running peer takes
/// them up without a restart. On a terminal it asks before it leaves a mesh that has a key or other peers: the old key is
/// overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus mesh join nexus1-eyJuIjoi...
  nexus mesh join 192.168.1.20:8001")]
pub(crate) struct Join {
    /// What `nexus mesh invite` printed, or host:port of a peer
    #[arg(value_name = "TOKEN_OR_ADDRESS")]
    to: String,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the file should say.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    name: String,
    key: String,
    seeds: Vec<String>,
}

impl Join {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = super::file(self.config.path.as_deref());
        let client = Client::find_or_new(&path)?;
        let config = &client.loaded.config;
        let membership = membership(&self.to, config)?;
        if membership.name != config.mesh.name || membership.key != config.mesh.key {
            let would = async {
                let parted = super::parted(&client, "").await;
                Ok(would_leave(config, &membership, &parted))
            };
            self.sure.of_order(would).await?;
        }
        let mut editor = Editor::open(&path)?;
        if membership.name != config.mesh.name {
            editor.set_text("mesh", "name", &membership.name)?;
        }
        if membership.key != config.mesh.key {
            ensure!(
                config.mesh.key_file.is_empty(),
                "mesh.key_file is set and holds another key: put the new one there, or remove the line"
            );
            editor.set_text("mesh", "key", &membership.key)?;
        }
        if membership.seeds != config.mesh.seeds {
            editor.set_list("mesh", "seeds", &membership.seeds)?;
        }
        let changed = editor.save()?;
        let done = if changed { "Wrote" } else { "Nothing to change in" };
        tell(&format!("{done} {}.", path.display()));
        if !membership.key.is_empty() {
            super::warn_if_readable(&path);
        }
        if !config.mesh.enabled {
            tell("Warning: mesh.enabled is false: this machine takes part in no mesh until it is true.");
        }
        super::take_up(&client, &membership.name, &membership.key, &membership.seeds, false).await
    }
}

/// What the file should say once `to` is followed.
fn membership(to: &str, config: &Config) -> anyhow::Result<Membership> {
    let mesh = &config.mesh;
    let token = match Token::decode(to) {
        // The file's own spelling of the same key stays.
        Some(Ok(token)) if MeshKey::are_same(&token.key, &mesh.key) => Token { key: mesh.key.clone(), ..token },
        Some(token) => token?,
        None => Token { name: mesh.name.clone(), key: mesh.key.clone(), addresses: vec![address(to)?] },
    };
    let seeds = token.seeds(&mesh.name, &mesh.key, &mesh.seeds);
    Ok(Membership { name: token.name, key: token.key, seeds })
}

/// What becomes of the mesh that this machine is in, of its key and of its other peers; nothing where it has neither.
fn would_leave(config: &Config, then: &Membership, parted: &str) -> String {
    let (from, to) = (clean(&config.mesh.name), clean(&then.name));
    let key = match config.mesh.key.as_str() {
        "" if parted.is_empty() => return String::new(),
        key if key.is_empty() || key == then.key => String::new(),
        _ => format!("The key of {from} is overwritten: keep it elsewhere if no other peer has it.\n"),
    };
    let kind = |key: &str| if key.is_empty() { "open" } else { "keyed" };
    let (of_from, of_to) = (kind(&config.mesh.key), kind(&then.key));
    format!("Would leave the {of_from} mesh {from} for the {of_to} mesh {to}.\n{key}{parted}")
}

fn address(text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    let with_port = match text.parse::<std::net::IpAddr>() {
        Ok(ip) => std::net::SocketAddr::new(ip, USUAL_PORT).to_string(),
        Err(_) if text.contains(':') => text.to_owned(),
        Err(_) => format!("{text}:{USUAL_PORT}"),
    };
    match host_and_port(&with_port) {
        Some((_, port)) if port != 0 => Ok(with_port),
        _ => bail!("`{text}` is neither a token of `nexus mesh invite` nor host:port of a peer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str) -> String {
        Token { name: name.to_owned(), key: "a".repeat(52), addresses: vec!["b:1".to_owned()] }.encode()
    }

    #[test]
    fn seeds_of_the_same_mesh_stay_and_come_once() {
        let mut config = Config::default();
        config.mesh.key = "a".repeat(52);
        config.mesh.seeds = vec!["a:1".to_owned(), "b:1".to_owned()];
        assert_eq!(membership(&token("default"), &config).expect("a token").seeds, ["a:1", "b:1"]);
        assert_eq!(membership(&token("other"), &config).expect("a token").seeds, ["b:1"]);
        assert_eq!(membership("c:2", &config).expect("an address").seeds, ["a:1", "b:1", "c:2"]);
        // The same key in hex, as the file may have it.
        config.mesh.key = "0".repeat(64);
        let same = membership(&token("default"), &config).expect("a token");
        assert_eq!(
            (same.key, same.seeds),
            (config.mesh.key, config.mesh.seeds),
            "nothing is left, and nothing written"
        );
    }

    #[test]
    fn whoever_would_leave_a_mesh_is_told_what_becomes_of_its_key() {
        let mut config = Config::default();
        let home = membership(&token("home"), &config).expect("a token");
        assert_eq!(would_leave(&config, &home, ""), "", "nobody is left, and nothing is lost");
        let parted = "The other peer that is here now waits.\n";
        let would = would_leave(&config, &home, parted);
        assert_eq!(would, format!("Would leave the open mesh default for the keyed mesh home.\n{parted}"));
        config.mesh.key = "b".repeat(52);
        let would = would_leave(&config, &home, "");
        assert!(would.contains("The key of default is overwritten") && !would.contains(&config.mesh.key), "{would}");
    }

    #[test]
    fn an_address_needs_no_port() {
        for (text, address_) in [
            ("desk", "desk:8001"),
            ("10.0.0.1", "10.0.0.1:8001"),
            ("fe80::1", "[fe80::1]:8001"),
            ("[fe80::1]:9", "[fe80::1]:9"),
            (" desk:7 ", "desk:7"),
        ] {
            assert_eq!(address(text).expect("an address"), address_);
        }
        for text in ["", "a b", "http://desk:1", "desk:0", "desk:x"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
