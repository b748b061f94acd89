//! What a scenario starts with: how many peers, what each of them has, and whether they share a key.

use std::time::Duration;

use crate::backend::Character;
use crate::checks::{HELD, SECRET};
use crate::vendor::CLOUD;

/// The mesh before anything happens.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// How many peers.
    pub(crate) peers: usize,
    /// The backends of all of them.
    pub(crate) backends: Vec<Character>,
    /// Whether the mesh has a key.
    pub(crate) keyed: bool,
    /// Whether peers look for backends on their own machine.
    pub(crate) discovery: bool,
    /// Requests that may wait at each peer, where it is not the usual number.
    pub(crate) queue: Option<u32>,
    /// Clients that peers tell apart by their keys, which are their names; none: nobody shows a key.
    pub(crate) clients: &'static [&'static str],
    /// The most that vendors may cost in a month, in USD, where there is a limit.
    pub(crate) budget: Option<f64>,
}

/// The model that every backend has.
pub(crate) const COMMON: &str = "common";

/// The backend that nobody knows at first, and its model.
pub(crate) const SPARE: &str = "spare";

impl Layout {
    /// A keyed mesh in which peer `n` owns backend `bn` with the models `common`, `only-n`, `secret` and those that
    /// some peers hold; every second backend is of the zone `open`.
    pub(crate) fn of(peers: usize) -> Self {
        let backends = (0..peers).map(|at| Character {
            name: format!("b{at}"),
            owner: at,
            models: [&[COMMON, &only(at), SECRET][..], &HELD].concat().into_iter().map(str::to_owned).collect(),
            open: at % 2 == 1,
            vendor: false,
            slots: 4,
            prefill: Duration::from_millis(30),
            per_prompt_token: Duration::ZERO,
            remembers: 0,
            per_token: Duration::from_millis(20),
        });
        let backends = backends.collect();
        Layout { peers, backends, keyed: true, discovery: false, queue: None, clients: &[], budget: None }
    }

    /// The same, and a backend that no peer is configured with.
    pub(crate) fn with_spare(mut self) -> Self {
        let spare = Character {
            name: SPARE.to_owned(),
            owner: usize::MAX,
            models: vec![SPARE.to_owned()],
            open: false,
            ..self.backends[0].clone()
        };
        self.backends.push(spare);
        self
    }

    /// The same with a limit for vendors, and one vendor at each of the peers `at` instead of their own backends.
    pub(crate) fn with_vendors(mut self, at: &[usize], limit_usd: f64) -> Self {
        self.budget = Some(limit_usd);
        for backend in self.backends.iter_mut().filter(|backend| at.contains(&backend.owner)) {
            backend.name = format!("v{}", backend.owner);
            backend.models = vec![CLOUD.to_owned()];
            (backend.open, backend.vendor) = (true, true);
        }
        self
    }

    /// The same without a key.
    pub(crate) fn open(mut self) -> Self {
        self.keyed = false;
        self
    }

    /// The same with peers that look around on their machines.
    pub(crate) fn with_discovery(mut self) -> Self {
        self.discovery = true;
        self
    }

    /// The key of the mesh, as it stands in a configuration.
    pub(crate) fn key(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&[7; 32]).to_ascii_lowercase()
    }
}

/// The model that only the backend of peer `at` has.
pub(crate) fn only(at: usize) -> String {
    format!("only-{at}")
}
