//! Changes are written down where they leave: a handler says what it has done, whoever let the call in knows who asked.

use axum::response::Response;

use crate::telemetry::audit::{By, Deed, note};

/// Says what was done, to be written down once.
pub(super) fn deed(response: &mut Response, action: &'static str, subject: impl Into<String>) {
    response.extensions_mut().insert(Deed { action, subject: subject.into() });
}

/// Writes down what a response says was done.
pub(super) fn settle(response: &mut Response, peer: &str, by: &By) {
    if let Some(deed) = response.extensions_mut().remove::<Deed>() {
        note(&deed, peer, by);
    }
}
