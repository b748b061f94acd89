//! Meshes of real nodes on loopback: what another peer, a stranger, or a cut cable may and may not bring about.

mod joining;
mod orders;
mod requests;
mod support;
mod trouble;
