//! Management of another peer: `?peer=NAME` at any call that changes something takes it there, as an order, and brings the
//! answer back. Rights are asked for where the call comes in; a peer that has an admin token is shown that it was the same one, one that
//! has none trusts those that hold the mesh key. It writes down who asked.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use tower::ServiceExt;

use super::gate::Gate;
use super::respond;
use crate::dialect::Fault;
use crate::exchange::{Call, Called, Objection, ObjectionReason, Order, Outcome};
use crate::fleet::PeerState;
use crate::mesh::{Mesh, OrderError, Peer};
use crate::telemetry::audit::By;

/// The largest body of a call, and of an answer: both travel in one frame.
const BODY_LIMIT: usize = 32 << 10;

/// How long the other peer may take: adding a backend may probe it several times.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// Takes a call to the peer that it is for.
pub(super) async fn carry(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Some((wanted, path)) = elsewhere(request.uri()) else { return next.run(request).await };
    if is_here(&gate, &wanted) {
        return next.run(request).await;
    }
    match there(&gate, &wanted, path, request).await {
        Ok(response) => response,
        Err(fault) => respond::fault(&fault),
    }
}

/// The peer that a call names, and the call without that.
fn elsewhere(uri: &http::Uri) -> Option<(String, String)> {
    let query = uri.query()?;
    let peer = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "peer")?.1.into_owned();
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("peer=") && *pair != "peer").collect();
    let path = if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), rest.join("&")) };
    Some((peer, path))
}

fn is_here(gate: &Gate, wanted: &str) -> bool {
    let by_id = |mesh: &Mesh| mesh.id().as_str() == wanted || mesh.id().short() == wanted;
    matches!(wanted, "" | "self") || *gate.peer() == *wanted || gate.mesh.as_ref().is_some_and(by_id)
}

async fn there(gate: &Gate, wanted: &str, path: String, request: Request) -> Result<Response, Fault> {
    let mesh = gate.mesh.as_ref().ok_or_else(|| {
        Fault::conflict("The mesh is off on this node: set `mesh.enabled = true` and restart it.".to_owned())
    })?;
    if !mesh.is_keyed() {
        return Err(Fault::forbidden(OPEN_MESH.to_owned()));
    }
    let peer = peer_called(mesh, wanted)?;
    let by = request.extensions().get::<By>().cloned().unwrap_or_else(|| By::new("", ""));
    let method = request.method().as_str().to_owned();
    let (parts, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
    let seen = parts.headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let body = String::from_utf8(body.to_vec()).map_err(|_| Fault::bad_request("Invalid request: it is not UTF-8"))?;
    let by = format!("{} at {}, from {}", by.right, gate.peer(), by.source);
    let mut call = Call { method, path, body, seen, by, proof: None };
    call.proof = gate.guard.proof(&peer.id, &call);
    match mesh.order(&peer.id, Order::Manage(call), ANSWER_DEADLINE).await {
        Ok(Outcome::Managed(called)) => Ok(answer(called)),
        Ok(_) => Err(Fault::backend_failed(format!("{} answered something else", peer.name))),
        Err(OrderError::Objected(Objection { reason: ObjectionReason::Forbidden, message })) => {
            Err(Fault::forbidden(message))
        }
        Err(OrderError::Unknown) => Err(Fault::conflict(format!(
            "{} runs an earlier version of Nexus, which is managed only by itself",
            peer.name
        ))),
        Err(error) => Err(Fault::backend_failed(format!("{}: {error}", peer.name))),
    }
}

/// Why nobody is managed from elsewhere where nobody is proven.
const OPEN_MESH: &str = "Peers of an open mesh take no orders from each other: nobody there has proven who it is. Give the \
                         mesh a key (`nexus mesh invite`), or ask the peer itself.";

/// Why a peer that asks for a token is not managed by those who have not shown it.
const ANOTHER_TOKEN: &str = "That peer asks for its admin token: give this peer the same NEXUS_ADMIN_TOKEN and show it here, or ask \
                             that peer itself.";

/// The one living peer of that name or id.
fn peer_called(mesh: &Mesh, wanted: &str) -> Result<Arc<Peer>, Fault> {
    let (peers, now, config) = (mesh.peers(), tokio::time::Instant::now(), mesh.config());
    let is_it = |peer: &&Arc<Peer>| peer.name == wanted || peer.id.as_str() == wanted || peer.id.short() == wanted;
    let found: Vec<&Arc<Peer>> = peers.list.iter().filter(is_it).collect();
    let living = |peer: &&&Arc<Peer>| peer.state(now, config) != PeerState::Dead;
    match (found.iter().filter(living).count(), found.as_slice()) {
        (1, all) => all.iter().find(living).map(|peer| (**peer).clone()).ok_or_else(|| Fault::not_found(String::new())),
        (0, []) => {
            let known: Vec<&str> =
                peers.list.iter().filter(|peer| living(&peer)).map(|peer| peer.name.as_str()).collect();
            let known = if known.is_empty() { "nobody else".to_owned() } else { known.join(", ") };
            Err(Fault::not_found(format!("There is no peer '{wanted}' in this mesh. There is: {known}")))
        }
        (0, _) => Err(Fault::backend_failed(format!("Peer '{wanted}' has not been heard of for too long: it is dead"))),
        _ => Err(Fault::conflict(format!("More than one peer is called '{wanted}': name it by its id"))),
    }
}

fn answer(called: Called) -> Response {
    let mut response = Response::new(Body::from(called.body));
    *response.status_mut() = StatusCode::from_u16(called.status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(tag) = called.tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// What other peers may have done here.
pub struct Managed {
    pub(super) router: Router,
    pub(super) gate: Arc<Gate>,
}

impl Managed {
    /// Does what the peer called `from` has ordered.
    ///
    /// # Errors
    /// It is no call, its answer is too long, or nobody has proven who it is.
    pub async fn follow(&self, from: &str, call: Call) -> Result<Called, Objection> {
        if !self.gate.mesh.as_ref().is_some_and(Mesh::is_keyed) {
            return Err(Objection::new(ObjectionReason::Forbidden, OPEN_MESH));
        }
        if !self.gate.mesh.as_ref().is_some_and(|mesh| self.gate.guard.lets_in(mesh.id(), &call)) {
            return Err(Objection::new(ObjectionReason::Forbidden, ANOTHER_TOKEN));
        }
        let senseless = |why: &str| Objection::new(ObjectionReason::Senseless, why);
        let by = By::new(format!("peer {from}"), call.by);
        let mut request = http::Request::builder().method(call.method.as_str()).uri(call.path);
        if let Some(seen) = call.seen {
            request = request.header(header::IF_MATCH, seen);
        }
        let mut request = request.body(Body::from(call.body)).map_err(|_| senseless("that is no call"))?;
        request.extensions_mut().insert(by.clone());
        let answer = self.router.clone().oneshot(request);
        let response = self.gate.see_through(by, async { answer.await.unwrap_or_else(|never| match never {}) }).await;
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        let body = body.map_err(|_| senseless("the answer is too long for one frame: ask the peer itself"))?;
        let body = String::from_utf8(body.to_bytes().to_vec()).map_err(|_| senseless("the answer is no text"))?;
        Ok(Called { status, tag, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_taken_out_of_what_is_asked_of_it() {
        let read = |uri: &str| elsewhere(&uri.parse().expect("literal"));
        assert_eq!(read("/a?peer=far%20one&dry_run=true"), Some(("far one".to_owned(), "/a?dry_run=true".to_owned())));
        assert_eq!(read("/a/b%2Fc?peer=x"), Some(("x".to_owned(), "/a/b%2Fc".to_owned())));
        assert_eq!(read("/a?peers=x"), None);
        assert_eq!(read("/a"), None);
    }
}
