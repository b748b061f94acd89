//! What this peer's requests are doing and have done: `GET /v1/history` for dashboards that know it, the list of requests
//! and the decision behind each. What there is to say of one is the gateway's.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::gathered::{Asked, Gathered};
use super::path::Rest;
use super::query::Query;
use super::respond;
use crate::dialect::Fault;
use crate::gateway::{History, Page, State as How};

/// Entries of the history.
const MOST_HISTORY: usize = 100;

/// Requests of a list, where nobody says how many, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;

pub(super) async fn history(State(asked): State<Arc<Asked>>, RawQuery(query): RawQuery) -> Response {
    match Query::read(query.as_deref(), &["scope"]).and_then(|query| query.is_of_mesh()) {
        Ok(true) => respond::json(StatusCode::OK, &history_of_mesh(&asked.gather(MOST).await)),
        Ok(false) => {
            let pages = asked.gateway.book().of_clients(MOST_HISTORY);
            let entries: Vec<History> = pages.iter().filter_map(|page| page.history()).collect();
            respond::json(StatusCode::OK, &entries)
        }
        Err(fault) => respond::fault(&fault),
    }
}

/// The last that have ended anywhere, oldest first, each with its way. That a peer was refused is no client's request.
fn history_of_mesh(gathered: &Gathered) -> Vec<History> {
    let is_refusal = |line: &Value| line["state"] == How::Refused.as_str();
    let ended = gathered.ended.iter().filter(|line| !is_refusal(line));
    let mut entries: Vec<History> = ended.filter_map(|line| History::of_line(line)).collect();
    entries.sort_by_key(|entry| entry.timestamp);
    entries.split_off(entries.len().saturating_sub(MOST_HISTORY))
}

pub(super) async fn list(State(asked): State<Arc<Asked>>, RawQuery(query): RawQuery) -> Response {
    match listed(&asked, query.as_deref()).await {
        Ok(body) => respond::json(StatusCode::OK, &body),
        Err(fault) => respond::fault(&fault),
    }
}

async fn listed(asked: &Asked, query: Option<&str>) -> Result<Value, Fault> {
    let query = Query::read(query, &["limit", "scope", "state"])?;
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(USUAL);
    let wanted = Wanted::read(query.get("state"))?;
    if query.is_of_mesh()? {
        // What is not wanted takes no room from what is.
        let most = if matches!(wanted, Wanted::All) { limit } else { MOST };
        let Gathered { live, ended, missing } = asked.gather(most).await;
        let all = live.iter().chain(&ended);
        let all = all.filter(|line| wanted.has_word(line["state"].as_str().unwrap_or_default()));
        let requests: Vec<&Value> = all.take(limit).map(|line| &**line).collect();
        return Ok(json!({ "scope": "mesh", "requests": requests, "missing": missing }));
    }
    let gateway = &asked.gateway;
    let ended = if wanted.may_be_over() { gateway.book().ended() } else { Vec::new() };
    let all = gateway.book().live().into_iter().chain(ended);
    let all = all.filter(|page| wanted.has(page)).take(limit).map(|page| gateway.told_line(&page));
    Ok(json!({ "requests": all.collect::<Vec<_>>() }))
}

/// Which requests are listed.
enum Wanted {
    All,
    Live,
    Ended,
    Only(How),
}

impl Wanted {
    fn read(word: Option<&str>) -> Result<Self, Fault> {
        let one = |word: &str| How::ALL.into_iter().find(|state| state.as_str() == word).map(Wanted::Only);
        match word {
            None | Some("all") => Ok(Wanted::All),
            Some("live") => Ok(Wanted::Live),
            Some("ended") => Ok(Wanted::Ended),
            Some(word) => one(word).ok_or_else(|| {
                let words: Vec<&str> = How::ALL.iter().map(|state| state.as_str()).collect();
                let words = words.join(", ");
                Fault::bad_request(format!("There is no state '{word}': use one of all, live, ended, {words}"))
            }),
        }
    }

    fn may_be_over(&self) -> bool {
        match self {
            Wanted::All | Wanted::Ended => true,
            Wanted::Live => false,
            Wanted::Only(state) => state.is_over(),
        }
    }

    fn has_word(&self, state: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Live => !How::is_word_of_end(state),
            Wanted::Ended => How::is_word_of_end(state),
            Wanted::Only(wanted) => wanted.as_str() == state,
        }
    }

    /// One that ended a moment ago may still be in hand as live.
    fn has(&self, page: &Page) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Live => !page.state().is_over(),
            Wanted::Ended => page.state().is_over(),
            Wanted::Only(state) => page.state() == *state,
        }
    }
}

pub(super) async fn one(State(asked): State<Arc<Asked>>, Rest(id): Rest) -> Response {
    match asked.decision(&id).await {
        Some(decision) => respond::json(StatusCode::OK, &*decision),
        None => respond::fault(&Fault::not_found(
            "No peer that answers remembers such a request: the last ones are at /nexus/v1/requests?scope=mesh. In an open \
             mesh ask the peer that its client asked, or the one that served it."
                .to_owned(),
        )),
    }
}
