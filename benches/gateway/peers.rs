//! Who is measured, and how each is started: the backend alone, nginx in front of it, one node, two nodes of a mesh.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::Instant;

use crate::client::Client;
use crate::kinds::{Kind, Look, QUIET};
use crate::load;
use crate::machine::find;
use crate::process::{Core, Process, pause};
use crate::script::Script;

/// What all peers share.
pub(crate) struct Lab {
    directory: tempfile::TempDir,
    /// The `nexus` to measure.
    nexus: PathBuf,
    /// Where backend and load generator run.
    load: Core,
    /// Where those that are measured run.
    measured: Core,
    /// Answers whoever is measured.
    backend: Backend,
    /// The same on the core of those that are measured, for clients to ask without anybody between.
    direct: Backend,
}

struct Backend {
    process: Process,
    address: SocketAddr,
}

/// Somebody who answers.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) processes: Vec<Process>,
    /// From its start to its first answer.
    pub(crate) first_answer: Duration,
}

/// How long a peer may take to answer at all.
const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A key for a mesh of these two: it protects nothing.
const KEY: &str = "6e657875732062656e63686d61726b206b65792c206e6f742061207365637265";

impl Lab {
    pub(crate) fn open(nexus: PathBuf, pinned: bool) -> Result<Lab> {
        let (load, measured) = if pinned { (Core::Load, Core::Measured) } else { (Core::Any, Core::Any) };
        let directory = tempfile::tempdir()?;
        let start = |core, name: &str| {
            let log = directory.path().join(name);
            let mut process = Process::start(core, &std::env::current_exe()?, &["backend".to_owned()], &log)?;
            let address = process.line()?.parse().context("the backend did not start")?;
            anyhow::Ok(Backend { process, address })
        };
        let (backend, direct) = (start(load, "backend.log")?, start(measured, "direct.log")?);
        Ok(Lab { nexus, load, measured, backend, direct, directory })
    }

    /// Starts a peer and waits for its first answer; `None` where it is not installed. Nobody looks at it yet.
    pub(crate) fn start(&self, kind: Kind) -> Result<Option<Peer>> {
        let address = if kind == Kind::Direct { self.direct.address } else { free_address()? };
        let started = Instant::now();
        let processes = match kind {
            Kind::Direct => Vec::new(),
            Kind::Nginx => match find("nginx") {
                Some(nginx) => vec![self.nginx(&nginx, address)?],
                None => return Ok(None),
            },
            Kind::Nexus | Kind::Unseen | Kind::Logging | Kind::Watched | Kind::Observed => {
                vec![self.node(kind.name(), address, &self.backend_section())?]
            }
            Kind::Traced => {
                let collector = format!("\n[tracing]\notlp_endpoint = \"http://{}\"\n", self.backend.address);
                vec![self.node(kind.name(), address, &(self.backend_section() + &collector))?]
            }
            Kind::Hop => self.hop(address)?,
        };
        let mut peer = Peer { kind, address, processes, first_answer: Duration::ZERO };
        self.await_answer(&mut peer)?;
        peer.first_answer = started.elapsed();
        Ok(Some(peer))
    }

    fn await_answer(&self, peer: &mut Peer) -> Result<()> {
        let script = Script::default();
        let (request, expected) = (load::post(peer.address, &script.request(400)), script.answer());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let started = Instant::now();
        loop {
            let mut client = Client::new(peer.address);
            let asked = client.exchange(&request, expected.as_bytes(), peer.kind.header());
            let Err(error) = runtime.block_on(asked) else { return Ok(()) };
            let name = peer.kind.name();
            if peer.processes.iter_mut().any(Process::has_ended) {
                bail!("{name} ended; {}", self.last_words(name));
            }
            if started.elapsed() > START_LIMIT {
                bail!("{name} does not answer: {error:#}; {}", self.last_words(name));
            }
            pause(LOOK_EVERY);
        }
    }

    fn last_words(&self, name: &str) -> String {
        let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        format!("its log ends: {}", lines.join(" | "))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn nginx(&self, nginx: &Path, address: SocketAddr) -> Result<Process> {
        let directory = self.path("nginx");
        fs::create_dir_all(&directory)?;
        let backend = self.backend.address;
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit;
             events {{ worker_connections 4096; }}
             http {{
               access_log off; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300s;
               client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
               uwsgi_temp_path uwsgi; scgi_temp_path scgi;
               upstream backend {{
                 server {backend}; keepalive 256; keepalive_requests 100000000; keepalive_timeout 300s;
               }}
               server {{
                 listen {address} backlog=1024; client_body_buffer_size 256k; client_max_body_size 64m;
                 location / {{
                   proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_buffering off;
                 }}
               }}
             }}"
        );
        fs::write(directory.join("nginx.conf"), config)?;
        let prefix = directory.display().to_string();
        let arguments = ["-e", "stderr", "-p", &prefix, "-c", "nginx.conf"].map(str::to_owned);
        Process::start(self.measured, nginx, &arguments, &self.path("nginx.log"))
    }

    fn hop(&self, address: SocketAddr) -> Result<Vec<Process>> {
        let owner_address = free_address()?;
        let owner = self.node("owner", owner_address, &self.backend_section())?;
        let seed = SocketAddr::new(owner_address.ip(), owner_address.port() + 1);
        let seeds = format!("seeds = [\"{seed}\"]\n");
        let entry = self.node("hop", address, &seeds)?;
        Ok(vec![entry, owner])
    }

    /// A node as it comes, apart from finding strangers and from its log, which says as little as nginx's. `rest` continues the section `[mesh]`.
    fn node(&self, name: &str, address: SocketAddr, rest: &str) -> Result<Process> {
        let data = self.path(&format!("{name}.data"));
        let (host, port, mesh) = (address.ip(), address.port(), address.port() + 1);
        let config = format!(
            "data_dir = {data:?}\n\n[server]\nhost = \"{host}\"\nport = {port}\n\n[discovery]\nenabled = false\n\n\
             [logging]\nlevel = \"{QUIET}\"\n\n[mesh]\nname = \"bench\"\nkey = \"{KEY}\"\npeer_name = \"{name}\"\n\
             listen = \"{host}:{mesh}\"\nadvertise = [\"{host}:{mesh}\"]\nmdns = false\n{rest}"
        );
        let file = self.config(name);
        fs::write(&file, config)?;
        let arguments = ["serve".to_owned(), "--config".to_owned(), file.display().to_string()];
        Process::start(self.measured, &self.nexus, &arguments, &self.path(&format!("{name}.log")))
    }

    fn config(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.toml"))
    }

    fn backend_section(&self) -> String {
        format!("\n[[backends]]\nname = \"backend\"\nurl = \"http://{}\"\ntype = \"generic\"\n", self.backend.address)
    }

    /// The CPU time that a peer has used.
    pub(crate) fn cpu(&self, peer: &Peer) -> Result<Duration> {
        if peer.kind == Kind::Direct {
            return self.direct.process.cpu();
        }
        peer.processes.iter().map(Process::cpu).sum()
    }

    /// Has `peer` log as `kind` does, and whoever watches a `kind` watch it until what is given back is dropped. What
    /// watching costs the watcher does not count.
    pub(crate) fn look(&self, peer: &Peer, kind: Kind) -> Result<Option<Process>> {
        let Some(Look { level, follows, scrapes }) = kind.look() else { return Ok(None) };
        let mut log = Command::new(&self.nexus);
        log.args(["log", level, "--config"]).arg(self.config(peer.kind.name()));
        let done = log.output().context("cannot run nexus log")?;
        ensure!(done.status.success(), "nexus log {level}: {}", String::from_utf8_lossy(&done.stderr));
        if !follows {
            return Ok(None);
        }
        let arguments = ["watch", &peer.address.to_string(), &scrapes.to_string()].map(str::to_owned);
        let mut watcher = Process::start(self.load, &std::env::current_exe()?, &arguments, &self.path("watcher.log"))?;
        ensure!(watcher.line()? == load::READY, "nobody could watch {}", kind.name());
        Ok(Some(watcher))
    }

    /// Starts a load generator against `peer`.
    pub(crate) fn generator(&self, peer: &Peer, cell: &str, time: Duration) -> Result<Process> {
        let millis = time.as_millis().to_string();
        let arguments = ["load", &peer.address.to_string(), cell, &millis].map(str::to_owned);
        Process::start(self.load, &std::env::current_exe()?, &arguments, &self.path("load.log"))
    }
}

/// An address of this machine whose port is free, and the next one for datagrams, too.
fn free_address() -> Result<SocketAddr> {
    for _ in 0..64 {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let Some(next) = address.port().checked_add(1) else { continue };
        if UdpSocket::bind((address.ip(), next)).is_ok() {
            return Ok(address);
        }
    }
    bail!("no two ports in a row are free")
}
