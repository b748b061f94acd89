//! `/nexus/v1/log`: how much is logged, to see and to change while the node runs.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{audit, respond};
use crate::dialect::Fault;
use crate::telemetry::{Levels, LevelsError};

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// `null`: what is configured.
    filter: Option<String>,
}

pub(super) async fn show(State(levels): State<Levels>) -> Response {
    shown(&levels)
}

pub(super) async fn set(State(levels): State<Levels>, request: Request) -> Response {
    let set = async {
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let wish: Wish =
            serde_json::from_slice(&body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))?;
        levels.ask(wish.filter.as_deref()).map_err(|error| fault(&error))?;
        Ok(wish.filter.unwrap_or_else(|| "as configured".to_owned()))
    };
    match set.await {
        Ok(filter) => {
            let mut response = shown(&levels);
            audit::deed(&mut response, "log_filter_set", filter);
            response
        }
        Err(fault) => respond::fault(&fault),
    }
}

fn shown(levels: &Levels) -> Response {
    match levels.now() {
        Some((filter, is_asked)) => {
            let source = if is_asked { "operator" } else { "configuration" };
            respond::json(StatusCode::OK, &json!({ "filter": filter, "source": source }))
        }
        None => respond::fault(&fault(&LevelsError::NoLog)),
    }
}

fn fault(error: &LevelsError) -> Fault {
    match error {
        LevelsError::Filter { .. } => Fault::bad_request(error.to_string()),
        LevelsError::NoLog => Fault::conflict(error.to_string()),
    }
}
