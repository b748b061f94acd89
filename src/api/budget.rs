//! `/nexus/v1/budget`: what was spent, what is left, and who holds which rights; and handing on those of a lost peer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::is_dry_run;
use super::{audit, respond};
use crate::budget::{Figures, ForgetError, Forgotten, HolderFigures, Treasury};
use crate::dialect::Fault;

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

pub(super) type Money = Option<Arc<Treasury>>;

pub(super) async fn show(State(money): State<Money>) -> Response {
    match money {
        Some(treasury) => respond::json(StatusCode::OK, &treasury.figures()),
        None => respond::json(StatusCode::OK, &Value::Null),
    }
}

pub(super) async fn found(State(money): State<Money>) -> Response {
    match money {
        Some(treasury) => {
            let mut response = respond::json(StatusCode::OK, &json!({ "founded": treasury.found_now() }));
            audit::deed(&mut response, "budget_founded", "");
            response
        }
        None => respond::fault(&no_ledger()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    name: String,
    #[serde(default)]
    now: bool,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn forget(State(money): State<Money>, request: Request) -> Response {
    let forgotten = async {
        let treasury = money.ok_or_else(no_ledger)?;
        let only_foreseen = is_dry_run(request.uri());
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let Forget { name, now, dry_run } =
            serde_json::from_slice(&body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))?;
        if dry_run || only_foreseen {
            return Ok(respond::json(StatusCode::OK, &foreseen(&treasury, &name)?));
        }
        let forgotten = treasury.forget(&name, now).await.map_err(|error| match &error {
            ForgetError::Unknown(..) => Fault::not_found(error.to_string()),
            ForgetError::StillHere(_) | ForgetError::ClaimedBy(_) | ForgetError::Trouble(_) => {
                Fault::conflict(error.to_string())
            }
        })?;
        Ok(told(forgotten))
    };
    forgotten.await.unwrap_or_else(|fault: Fault| respond::fault(&fault))
}

fn told(forgotten: Forgotten) -> Response {
    let (lost, mut response) = match forgotten {
        Forgotten::Done { lost, from } => {
            let told = json!({ "forgotten": lost, "status": "completed", "rights_from": from });
            (lost, respond::json(StatusCode::OK, &told))
        }
        Forgotten::Waiting { lost, witnesses } => {
            let told = json!({ "forgotten": lost, "status": "waiting", "waiting_for": witnesses });
            (lost, respond::json(StatusCode::ACCEPTED, &told))
        }
    };
    audit::deed(&mut response, "peer_forgotten", lost);
    response
}

/// What it would be to forget a peer.
fn foreseen(treasury: &Treasury, name: &str) -> Result<Value, Fault> {
    let figures = treasury.figures();
    let is_meant = |holder: &&HolderFigures| holder.peer == name || holder.holder.to_string() == name;
    let Some(lost) = figures.holders.iter().find(is_meant) else {
        return Err(Fault::not_found(format!(
            "no ledger is of a peer called '{name}': `nexus budget --json` names them"
        )));
    };
    if matches!(lost.state, "self" | "alive") {
        return Err(Fault::conflict(format!("'{name}' is still here: only a peer that is lost can be forgotten")));
    }
    let is_witness = |holder: &&HolderFigures| holder.state == "alive" || holder.state == "away";
    let witnesses = figures.holders.iter().filter(is_witness).filter(|holder| holder.holder != lost.holder);
    Ok(json!({
        "dry_run": true,
        "would_forget": lost.peer,
        "rights_percent": lost.rights_percent,
        "rights_usd": lost.rights_usd,
        "witnesses": witnesses.map(|holder| holder.peer.as_str()).collect::<Vec<_>>(),
    }))
}

pub(super) fn no_ledger() -> Fault {
    Fault::conflict("This node keeps no ledger: set `budget.monthly_limit_usd`, or switch the mesh on.".to_owned())
}

/// One line's worth of it, for `nexus mesh status`; nothing where there is no limit.
pub(super) fn in_short(figures: &Figures) -> Value {
    if figures.limit_usd.is_none() {
        return Value::Null;
    }
    let own = figures.holders.iter().find(|holder| holder.state == "self");
    json!({
        "month": figures.month,
        "spent_usd": figures.spent_usd,
        "reserved_usd": figures.reserved_usd,
        "limit_usd": figures.limit_usd,
        "remaining_usd": figures.remaining_usd,
        "share_usd": own.map_or(Some(0.0), |own| own.rights_usd),
        "status": figures.status,
    })
}
