//! `/manage`: the forms, and what becomes of them. A form is read, judged, asked about once more where that is due, made a call
//! of the interface, and answered by another page, so that going back or loading anew repeats nothing.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts as Head;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;
use tracing::{info, warn};

use super::actions::{self, Call, Form, Question};
use super::{Gathered, Page, Shared, html, limits, membership, notice, refused, source, steering};
use crate::api::gate::Admitted;
use crate::api::respond;
use crate::dashboard::{self, Ask, Confirm, KeyRow, Manage, Name, Overview, Secret, Settings, Shell};
use crate::dialect::Fault;
use crate::exchange::RequestId;
use crate::mesh::Mesh;

/// The largest form.
const FORM_LIMIT: usize = 16 << 10;

/// The largest answer of a call that is read.
const ANSWER_LIMIT: usize = 1 << 20;

/// The longest sentence of one that is shown, in characters.
const SENTENCE: usize = 600;

/// `GET /manage`.
pub(super) async fn show(State(page): Shared, head: Head) -> Response {
    let limits = limits(&head.uri);
    let it = Overview::of(&page.seen(Gathered::default()), limits);
    let shell = page.shell("Manage · Nexus".to_owned(), &head);
    let may = shell.why_not.is_empty();
    let keys = if may { keys(&page) } else { Vec::new() };
    let settings = if may { steering::settings(&page, &head).await } else { Settings::default() };
    html(StatusCode::OK, dashboard::write(&Manage { shell, it, keys, settings }))
}

/// `POST /manage`.
pub(super) async fn act(State(page): Shared, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let shell = || page.shell("Manage · Nexus".to_owned(), &head);
    let body = respond::whole_body_of(Request::from_parts(head.clone(), body), FORM_LIMIT).await;
    let form = match body {
        Ok((_, body)) => Form::read(&body).at_home(&page.own_name()),
        Err(fault) => return refusal(shell(), fault),
    };
    match form.text("do") {
        "sign-in" => return sign_in(&page, &head, &form),
        "sign-out" => return signed(page.rights.sign_out(&head.headers)),
        _ => {}
    }
    if let Err(fault) = page.rights.of_form(source(&head), &head.headers, form.text("form")) {
        let from = source(&head).map(|source| source.0.to_string());
        warn!(from, action = %Name::of(form.text("do")), "Management refused");
        return refusal(shell(), fault);
    }
    if steering::is_one(form.text("do")) {
        return steering::act(&page, &head, &form).await;
    }
    let call = match actions::call(&form) {
        Ok(call) => call,
        Err(wrong) => return back(&page, false, wrong),
    };
    if !form.is_sure()
        && let Some(question) = question(&page, &form)
    {
        return ask(&page, &head, &form, question);
    }
    follow(&page, &head, call).await
}

/// What is asked before `form` is followed.
fn question(page: &Page, form: &Form) -> Option<Question> {
    let (own, mesh) = (page.parts.view.registry.snapshot(), page.parts.view.mesh.as_ref());
    let peers = mesh.map(Mesh::peers).unwrap_or_default();
    let now = mesh.and_then(|mesh| membership::question(form, &mesh.membership(), peers.list.len()));
    now.or_else(|| actions::question(form, &own, &peers))
}

/// Has `call` done, and says what became of it.
async fn follow(page: &Page, head: &Head, call: Call) -> Response {
    let done = call.done.clone();
    let answer = match answered(page, head, call).await {
        Ok(answer) => answer,
        Err(why) => return back(page, false, why),
    };
    if let Some((heading, about, text, back)) = secret(&answer) {
        let mut shell = page.shell(format!("{heading} · Nexus"), head);
        shell.notice = Some(notice(true, format!("{done} {}", notes(&answer))));
        let shown = Secret { shell, heading, about, text: text.to_owned(), back };
        return html(StatusCode::CREATED, dashboard::write(&shown));
    }
    back(page, true, format!("{done} {}", notes(&answer)))
}

type Told<'a> = (&'static str, &'static str, &'a str, (&'static str, &'static str));

/// What is secret in an answer, and what is said of it.
fn secret(answer: &Value) -> Option<Told<'_>> {
    let key = || {
        let about = "It is shown this once and kept nowhere. Copy it now:";
        Some(("A new key", about, answer["key"].as_str()?, ("/manage#keys", "Back to the keys")))
    };
    let token = || {
        let about = "Whoever holds it can join: pass it on as you would a password. On the other machine: nexus mesh join TOKEN, \
                     or the field for it on that machine's page. TOKEN is this line:";
        Some(("An invitation", about, answer["token"].as_str()?, ("/manage#peers", "Back to the peers")))
    };
    key().or_else(token)
}

/// What the interface answers to `call`.
///
/// # Errors
/// Why it did not do it.
pub(super) async fn answered(page: &Page, head: &Head, call: Call) -> Result<Value, String> {
    tagged(page, head, call, false).await.map(|(answer, _)| answer)
}

/// The same with what tells the state of the file from others; with `dry_run` only what would be.
///
/// # Errors
/// Why it did or would not do it.
pub(super) async fn tagged(page: &Page, head: &Head, call: Call, dry_run: bool) -> Result<(Value, String), String> {
    let body = call.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mark = if call.path.contains('?') { '&' } else { '?' };
    let path = if dry_run { format!("{}{mark}dry_run=true", call.path) } else { call.path };
    let inner = Request::builder().method(call.method).uri(path).body(body);
    let mut inner = inner.map_err(|_| "This name is too long for a request.".to_owned())?;
    if let Some(seen) = call.seen.and_then(|seen| HeaderValue::try_from(seen).ok()) {
        inner.headers_mut().insert(header::IF_MATCH, seen);
    }
    let extensions = inner.extensions_mut();
    extensions.insert(Admitted(page.rights.right()));
    source(head).map(|source| extensions.insert(source));
    head.extensions.get::<RequestId>().map(|id| extensions.insert(id.clone()));
    let reply = page.api.clone().oneshot(inner).await.unwrap_or_else(|never| match never {});
    let good = reply.status().is_success();
    let tag = reply.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = axum::body::to_bytes(reply.into_body(), ANSWER_LIMIT).await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if good {
        return Ok((answer, tag));
    }
    let message = answer["error"]["message"].as_str().unwrap_or("It did not work; the log of this peer says more.");
    Err(message.to_owned())
}

/// What a call says besides.
fn notes(answer: &Value) -> String {
    let notes = answer["notes"].as_array().map(Vec::as_slice).unwrap_or_default();
    notes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// To the page of forms, which says `text`.
pub(super) fn back(page: &Page, good: bool, text: String) -> Response {
    let text = Name::within(text.trim(), SENTENCE).short;
    let id = page.rights.tell(notice(good, text));
    let mut response = html(StatusCode::SEE_OTHER, String::new());
    let target = HeaderValue::try_from(format!("/manage?told={id}")).expect("hex");
    response.headers_mut().insert(header::LOCATION, target);
    response
}

/// Asks whether `form` is meant.
pub(super) fn ask(page: &Page, head: &Head, form: &Form, question: Question) -> Response {
    let shell = page.shell("Manage · Nexus".to_owned(), head);
    let Question { question, effects, button } = question;
    let visible = |text: String| Name::within(&text, SENTENCE).short;
    let fields = form.again().map(|(name, value)| Ask { name: name.clone(), value: value.clone() }).collect();
    let effects = effects.into_iter().map(visible).collect();
    html(StatusCode::OK, dashboard::write(&Confirm { shell, question: visible(question), effects, button, fields }))
}

fn sign_in(page: &Page, head: &Head, form: &Form) -> Response {
    let from = source(head).map(|source| source.0.to_string());
    match page.rights.sign_in(&head.headers, form.text("token")) {
        Ok(cookie) => {
            info!(from, "Signed in to the page");
            signed(cookie)
        }
        Err(fault) => {
            warn!(from, "Management refused: wrong admin token");
            refusal(page.shell("Manage · Nexus".to_owned(), head), fault)
        }
    }
}

fn signed(cookie: HeaderValue) -> Response {
    let mut response = html(StatusCode::SEE_OTHER, String::new());
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/manage"));
    response
}

fn refusal(mut shell: Shell, fault: Fault) -> Response {
    shell.why_not = fault.message;
    refused(shell, fault.status)
}

fn keys(page: &Page) -> Vec<KeyRow> {
    let row = |key: crate::fleet::KeyRecord| KeyRow {
        active: key.is_active(),
        limit: key.monthly_limit_usd.map(|limit| format!("{limit:.2}")).unwrap_or_default(),
        name: Name::of(&key.name),
        made_by: Name::of(&key.made_by),
        id: key.id,
    };
    page.parts.clients.ring().list().into_iter().map(row).collect()
}
