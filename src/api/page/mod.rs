//! The pages for people: `/` shows the mesh, `/manage` changes it. What stands on them is the dashboard's; here is who may see
//! and do what, and how it travels. Clients of Ollama that look whether anybody is there are greeted as ever.

mod actions;
mod assets;
mod manage;
mod membership;
mod rights;
mod steering;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

use self::rights::Rights;
use super::gate::Guard;
use super::gathered::{Asked, Gathered};
use super::path::Rest;
use super::serve::Source;
use super::{ClientKeys, View, ollama};
use crate::dashboard::{
    self, Decided, Decision, Forgotten, Home, Limits, Main, MeshSeen, Notice, Overview, Pulse, Seen, Shell, WarningSeen,
};
use crate::env::Env;
use crate::gateway::Gateway;
use crate::telemetry::events::{Events, MOST};

/// What the pages are made of.
pub(super) struct Parts {
    pub(super) view: View,
    pub(super) gateway: Arc<Gateway>,
    pub(super) asked: Arc<Asked>,
    pub(super) name: Arc<str>,
    pub(super) clients: Arc<ClientKeys>,
    pub(super) guard: Arc<Guard>,
    pub(super) pulse: Arc<Pulse>,
    /// What this node calls itself, unlike any other.
    pub(super) node: HeaderValue,
    pub(super) events: Arc<Events>,
}

struct Page {
    parts: Parts,
    /// Every other route: what a form asks for is asked of it.
    api: Router,
    rights: Rights,
}

type Shared = State<Arc<Page>>;

/// The routes of the pages. What their forms ask for is asked of `api`.
pub(super) fn router(parts: Parts, api: Router, env: &Env) -> Router {
    let rights = Rights::new(parts.guard.clone(), &parts.node, env);
    let page = Arc::new(Page { parts, api, rights });
    Router::new()
        .route("/", get(home))
        .route("/requests/{*id}", get(decision))
        .route("/manage", get(manage::show).post(manage::act))
        .with_state(page)
        .route("/assets/dashboard.js", get(assets::script))
        .route("/assets/styles.css", get(assets::styles))
}

/// `GET /`: the page, or a part of it as the page itself asks for it; a greeting for whoever reads no HTML.
async fn home(State(page): Shared, head: Head) -> Response {
    let vary = [(header::VARY, HeaderValue::from_static("accept, cookie"))];
    if head.method == Method::HEAD || !reads_html(&head.headers) {
        return (vary, ollama::greeting().await).into_response();
    }
    let limits = limits(&head.uri);
    let requests = page.parts.asked.gather(limits.requests.max(LOOKED_AT)).await;
    let it = Overview::of(&page.seen(requests), limits);
    let title = format!("{} · Nexus", it.me);
    let shell = page.shell(title, &head);
    let is_part = asked(&head.uri, "part").as_deref() == Some("main");
    let text = if is_part { dashboard::write(&Main { shell, it }) } else { dashboard::write(&Home { shell, it }) };
    (vary, html(StatusCode::OK, text)).into_response()
}

/// Whether a client takes HTML: browsers say so, clients of Ollama ask for JSON, and most others take anything.
fn reads_html(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT) else { return true };
    let types = accept.to_str().unwrap_or_default().split(',');
    types
        .map(|one| one.split(';').next().unwrap_or_default().trim())
        .any(|one| matches!(one, "text/html" | "text/*" | "*/*"))
}

/// How long the lists may be: `?all=peers` wants all of one.
fn limits(uri: &http::Uri) -> Limits {
    asked(uri, "all").map_or(Limits::GLANCE, |list| Limits::GLANCE.with_all_of(&list))
}

fn asked(uri: &http::Uri, key: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

/// Requests that are looked at for what went wrong, however many are shown.
const LOOKED_AT: usize = 100;

/// What has happened, as far as it is kept.
fn happened(events: &Events) -> Vec<Value> {
    events.last(MOST).iter().filter_map(|told| serde_json::from_str(&told.json).ok()).collect()
}

/// `GET /requests/{id}`: how a request was decided.
async fn decision(State(page): Shared, Rest(id): Rest, head: Head) -> Response {
    let shell = page.shell("Request · Nexus".to_owned(), &head);
    match page.parts.asked.decision(&id).await {
        Some(told) => html(StatusCode::OK, dashboard::write(&Decided { shell, it: Decision::of(&told) })),
        None => html(StatusCode::NOT_FOUND, dashboard::write(&Forgotten { shell })),
    }
}

fn source(head: &Head) -> Option<Source> {
    head.extensions.get::<Source>().copied()
}

impl Page {
    /// Everything, as it is now, with these requests.
    fn seen(&self, Gathered { live, ended, .. }: Gathered) -> Seen {
        let Parts { view, gateway, pulse, events, .. } = &self.parts;
        let of_mesh = view.warnings().into_iter();
        let of_mesh = of_mesh.map(|warning| WarningSeen { code: warning.code, message: warning.message });
        let of_budget = view.treasury.iter().flat_map(|treasury| treasury.warnings());
        let of_budget = of_budget.map(|message| WarningSeen { code: "budget", message });
        Seen {
            now: Instant::now(),
            uptime: view.started.elapsed(),
            name: self.own_name(),
            draining: gateway.is_draining(),
            mesh: view.mesh.as_ref().map(MeshSeen::of),
            peers: view.mesh.as_ref().map(|mesh| mesh.peers()).unwrap_or_default(),
            own: view.registry.snapshot(),
            figures: view.treasury.as_ref().map(|treasury| treasury.figures()),
            queue: gateway.queue_counts(),
            warnings: of_mesh.chain(of_budget).collect(),
            live,
            ended,
            events: happened(events),
            samples: pulse.samples(),
        }
    }

    /// What this peer is called.
    fn own_name(&self) -> Arc<str> {
        self.parts.view.mesh.as_ref().map_or_else(|| self.parts.name.clone(), |mesh| mesh.name())
    }

    /// What stands around a page for whoever asks.
    fn shell(&self, title: String, head: &Head) -> Shell {
        let rights = self.rights.of(source(head), &head.headers);
        let (form, why_not) = match rights {
            Ok(form) => (form, String::new()),
            Err(fault) => (String::new(), fault.message),
        };
        Shell {
            title,
            assets: assets::version().to_owned(),
            notice: asked(&head.uri, "told").and_then(|id| self.rights.told(&id)),
            can_sign_in: self.rights.asks_for_token() && !why_not.is_empty(),
            signed_in: self.rights.has_session(&head.headers),
            form,
            why_not,
        }
    }
}

/// What a page may do in a browser: nothing but show itself, with its own script and style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page. Nobody keeps it, nothing frames it, and no other host hears where its reader comes from: with `no-referrer` browsers
/// would send `Origin: null` with its own forms, which nothing can tell from a stranger's.
fn html(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A refusal, as a page.
fn refused(shell: Shell, status: StatusCode) -> Response {
    html(status, dashboard::write(&dashboard::SignIn { shell }))
}

/// What became of something, in one sentence.
fn notice(good: bool, text: String) -> Notice {
    Notice { good, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_read_html_and_clients_of_ollama_do_not() {
        let reads = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            reads_html(&headers)
        };
        assert!(
            reads("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8") && reads("*/*") && reads_html(&HeaderMap::new())
        );
        assert!(!reads("application/json") && !reads("text/plain") && !reads(""));
    }
}
