//! `/nexus/v1/aliases`, `/nexus/v1/fallbacks` and `/nexus/v1/policies`: looked at, set and taken out; and what the budget is to
//! be.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts as Head;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{BODY_LIMIT, Edit, Owner, done, seen, tagged};
use crate::api::path::Rest;
use crate::api::query::is_dry_run;
use crate::api::respond;
use crate::dialect::Fault;
use crate::route::{self, PolicyChange};

pub(in crate::api) async fn aliases(State(settings): State<Owner>) -> Response {
    let (routing, etag) = settings.routing();
    tagged(respond::json(StatusCode::OK, &json!({ "aliases": routing.aliases })), etag.as_deref())
}

pub(in crate::api) async fn alias(State(settings): State<Owner>, Rest(name): Rest) -> Response {
    one(&settings, |routing| routing.aliases.get(&name).map(|target| json!({ "name": name, "target": target })))
}

pub(in crate::api) async fn fallbacks(State(settings): State<Owner>) -> Response {
    let (routing, etag) = settings.routing();
    tagged(respond::json(StatusCode::OK, &json!({ "fallbacks": routing.fallbacks })), etag.as_deref())
}

pub(in crate::api) async fn fallback(State(settings): State<Owner>, Rest(name): Rest) -> Response {
    one(&settings, |routing| routing.fallbacks.get(&name).map(|models| json!({ "name": name, "models": models })))
}

pub(in crate::api) async fn policies(State(settings): State<Owner>) -> Response {
    let (routing, etag) = settings.routing();
    tagged(respond::json(StatusCode::OK, &json!({ "policies": routing.policies })), etag.as_deref())
}

pub(in crate::api) async fn policy(State(settings): State<Owner>, Rest(pattern): Rest) -> Response {
    one(&settings, |routing| {
        let policy = routing.policies.iter().find(|policy| policy.model_pattern == pattern)?;
        serde_json::to_value(policy).ok()
    })
}

fn one(settings: &Owner, find: impl FnOnce(&route::Config) -> Option<Value>) -> Response {
    let (routing, etag) = settings.routing();
    match find(&routing) {
        Some(found) => tagged(respond::json(StatusCode::OK, &found), etag.as_deref()),
        None => respond::fault(&Fault::not_found("The configuration has nothing of that name".to_owned())),
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    target: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    models: Vec<String>,
}

pub(in crate::api) async fn set_alias(State(settings): State<Owner>, Rest(name): Rest, request: Request) -> Response {
    let edit = |Target { target }: Target| Edit::Alias { name: name.clone(), target: Some(target) };
    set(settings, request, "alias_set", &name, edit).await
}

pub(in crate::api) async fn set_fallback(
    State(settings): State<Owner>,
    Rest(name): Rest,
    request: Request,
) -> Response {
    let edit = |Models { models }: Models| Edit::Fallback { name: name.clone(), models: Some(models) };
    set(settings, request, "fallback_set", &name, edit).await
}

/// `PUT` says all that is to hold.
pub(in crate::api) async fn set_policy(
    State(settings): State<Owner>,
    Rest(pattern): Rest,
    request: Request,
) -> Response {
    let edit = |change: PolicyChange| Edit::Policy { pattern: pattern.clone(), change: Some(change.whole()) };
    set(settings, request, "policy_set", &pattern, edit).await
}

/// `PATCH` says what is to be another: what it does not name stays, `null` takes away.
pub(in crate::api) async fn change_policy(
    State(settings): State<Owner>,
    Rest(pattern): Rest,
    request: Request,
) -> Response {
    let edit = |change: PolicyChange| Edit::Policy { pattern: pattern.clone(), change: Some(change) };
    set(settings, request, "policy_set", &pattern, edit).await
}

/// `PATCH /nexus/v1/budget`: likewise.
pub(in crate::api) async fn change_budget(State(settings): State<Owner>, request: Request) -> Response {
    set(settings, request, "budget_set", "", Edit::Budget).await
}

pub(in crate::api) async fn remove_alias(State(settings): State<Owner>, Rest(name): Rest, head: Head) -> Response {
    write(&settings, &head, "alias_removed", &name, Edit::Alias { name: name.clone(), target: None }).await
}

pub(in crate::api) async fn remove_fallback(State(settings): State<Owner>, Rest(name): Rest, head: Head) -> Response {
    write(&settings, &head, "fallback_removed", &name, Edit::Fallback { name: name.clone(), models: None }).await
}

pub(in crate::api) async fn remove_policy(State(settings): State<Owner>, Rest(pattern): Rest, head: Head) -> Response {
    let edit = Edit::Policy { pattern: pattern.clone(), change: None };
    write(&settings, &head, "policy_removed", &pattern, edit).await
}

async fn set<T: DeserializeOwned>(
    settings: Owner,
    request: Request,
    action: &'static str,
    subject: &str,
    edit: impl FnOnce(T) -> Edit,
) -> Response {
    let (head, body) = match respond::whole_body_of(request, BODY_LIMIT).await {
        Ok(whole) => whole,
        Err(fault) => return respond::fault(&fault),
    };
    let edit = match serde_json::from_slice(&body) {
        Ok(value) => edit(value),
        Err(error) => return respond::fault(&Fault::bad_request(format!("Invalid request: {error}"))),
    };
    write(&settings, &head, action, subject, edit).await
}

async fn write(settings: &Owner, head: &Head, action: &'static str, subject: &str, edit: Edit) -> Response {
    let (seen, dry_run) = (seen(&head.headers), is_dry_run(&head.uri));
    match settings.write(edit, seen, dry_run).await {
        Ok(reloaded) => done(&reloaded, action, subject.to_owned()),
        Err(declined) => respond::fault(&declined.fault()),
    }
}
