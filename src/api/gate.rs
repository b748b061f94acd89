//! Who may manage, and the gate that lets them in. Tokens are compared by their hashes, in constant time.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tracing::{Instrument, warn};

use super::auth::{Digest, bearer};
use super::serve::Source;
use super::{audit, respond};
use crate::dialect::Fault;
use crate::env::Tasks;
use crate::exchange::Call;
use crate::fleet::{PeerId, key_digest as digest};
use crate::mesh::Mesh;
use crate::telemetry::audit::By;

/// Who may change the state of a running node: who holds the admin token, or who sits at the machine.
pub struct Guard(Option<Digest>);

impl Guard {
    /// With a token it is asked for from everybody; without one only this machine is answered.
    pub fn new(admin_token: Option<&str>) -> Self {
        Guard(admin_token.filter(|token| !token.is_empty()).map(digest))
    }

    /// Whether it is a token that lets people in.
    pub(super) fn asks_for_token(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this is the token.
    pub(super) fn is_token(&self, shown: &str) -> bool {
        self.0.as_ref().is_some_and(|expected| bool::from(digest(shown).ct_eq(expected)))
    }

    /// That whoever was let in here knows the token, for `peer` and this call alone; `None` where no token is asked for.
    pub(super) fn proof(&self, peer: &PeerId, call: &Call) -> Option<String> {
        let mut hasher = blake3::Hasher::new_keyed(self.0.as_ref()?);
        for part in [peer.as_str(), &call.method, &call.path, &call.body, call.seen.as_deref().unwrap_or_default()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Some(hasher.finalize().to_hex().to_string())
    }

    /// Whether a call to this peer, `me`, comes from somebody who may: where a token is asked for, who has shown the same one.
    pub(super) fn lets_in(&self, me: &PeerId, call: &Call) -> bool {
        let (expected, shown) = (self.proof(me, call), call.proof.as_deref().unwrap_or_default());
        expected.is_none_or(|expected| expected.as_bytes().ct_eq(shown.as_bytes()).into())
    }

    /// By what right somebody may manage.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) fn admit(&self, source: Option<Source>, headers: &HeaderMap) -> Result<&'static str, Fault> {
        if is_cross_origin(headers) {
            return Err(Fault::forbidden("Management is not open to other web pages.".to_owned()));
        }
        if let Some(expected) = &self.0 {
            let shown = bearer(headers).map(digest);
            return match shown {
                Some(shown) if bool::from(shown.ct_eq(expected)) => Ok(TOKEN),
                _ => Err(Fault::unauthorized("Management needs the admin token: send `Authorization: Bearer TOKEN`.")),
            };
        }
        let is_near = source.is_some_and(|Source(address)| address.ip().to_canonical().is_loopback());
        // A page of another host that resolves to this machine still sends its own name.
        if is_near && headers.get(header::HOST).is_some_and(|host| is_loopback_host(host.as_bytes())) {
            return Ok(NEAR);
        }
        Err(Fault::forbidden(
            "Management answers this machine only. Call it by 127.0.0.1 or localhost, or set an admin token \
             (NEXUS_ADMIN_TOKEN) to allow other machines."
                .to_owned(),
        ))
    }
}

/// # Errors
/// A page of another host calls.
pub(super) fn refuse_other_pages(headers: &HeaderMap) -> Result<(), Fault> {
    if is_cross_origin(headers) {
        return Err(Fault::forbidden("What happens here is not told to other web pages.".to_owned()));
    }
    Ok(())
}

/// A call that this node makes of itself, for somebody who was let in already, and by what right. Nothing that comes over a
/// connection has it.
#[derive(Clone, Copy)]
pub(super) struct Admitted(pub(super) &'static str);

/// By what right somebody manages, as the audit says it.
pub(super) const TOKEN: &str = "admin token";
pub(super) const NEAR: &str = "this machine";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another host sends this. Browsers say so by either header, nobody else has them.
pub(super) fn is_cross_origin(headers: &HeaderMap) -> bool {
    let is_foreign = |site: &http::HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
    if headers.get(SEC_FETCH_SITE).is_some_and(is_foreign) {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let origin = origin.as_bytes();
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority != Some(host)
}

fn is_loopback_host(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Where managers come in.
pub(super) struct Gate {
    pub(super) guard: Arc<Guard>,
    pub(super) mesh: Option<Mesh>,
    /// What this peer is called where there is no mesh.
    pub(super) name: Arc<str>,
    pub(super) tasks: Tasks,
}

impl Gate {
    /// Sees `change` through, whoever leaves meanwhile, and writes down what it has changed.
    pub(super) async fn see_through(
        self: &Arc<Self>,
        by: By,
        change: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let (sender, answer) = oneshot::channel();
        let gate = self.clone();
        let work = async move {
            let mut response = change.await;
            audit::settle(&mut response, &gate.peer(), &by);
            // Whoever asked may have left.
            let _ = sender.send(response);
        };
        self.tasks.spawn("management", work.in_current_span());
        let stopping = || respond::fault(&Fault::backend_failed("This peer is stopping: look whether it was done"));
        answer.await.unwrap_or_else(|_| stopping())
    }

    /// What this peer is called.
    pub(super) fn peer(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name)
    }
}

/// Lets those through who may manage, and writes down what they have changed.
pub(super) async fn check(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let source = request.extensions().get::<Source>().copied();
    let admitted = request.extensions().get::<Admitted>().map(|Admitted(right)| *right);
    let from = source.map(|Source(address)| address.to_string());
    match admitted.map_or_else(|| gate.guard.admit(source, request.headers()), Ok) {
        Ok(right) => {
            let by = By::new(from.unwrap_or_default(), right);
            request.extensions_mut().insert(by.clone());
            if request.method().is_safe() {
                return next.run(request).await;
            }
            gate.see_through(by, next.run(request)).await
        }
        Err(fault) => {
            warn!(from, method = %request.method(), path = request.uri().path(), "Management refused");
            respond::fault(&fault)
        }
    }
}

#[cfg(test)]
pub(super) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_str(value).expect("literal")))
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    /// A change that was cut off amid the writing of a file was neither taken up nor written down.
    #[tokio::test]
    async fn a_change_ends_though_whoever_asked_has_left() {
        let gate = Gate { guard: Arc::new(Guard::new(None)), mesh: None, name: Arc::from("here"), tasks: Tasks::new() };
        let gate = Arc::new(gate);
        let (begun, go_on, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let change = {
            let (begun, go_on, ended) = (begun.clone(), go_on.clone(), ended.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                ended.notify_one();
                Response::default()
            }
        };
        let asked = gate.see_through(By::new("there", NEAR), change);
        tokio::select! {
            _ = asked => panic!("it cannot have ended"),
            () = begun.notified() => {}
        }
        go_on.notify_one();
        ended.notified().await;
    }

    fn from(address: &str) -> Option<Source> {
        Some(Source(address.parse().expect("literal")))
    }

    #[test]
    fn without_a_token_only_this_machine_by_its_own_name_may_manage() {
        let guard = Guard::new(None);
        let admits = |address, host: &str| guard.admit(from(address), &headers(&[("host", host)])).is_ok();
        assert!(admits("127.0.0.1:5", "localhost:8000") && admits("[::1]:5", "[::1]:8000"));
        assert!(admits("[::ffff:127.0.0.1]:5", "127.0.0.1"));
        assert!(!admits("10.0.0.7:5", "localhost:8000"), "another machine");
        assert!(!admits("127.0.0.1:5", "evil.example:8000"), "DNS rebinding");
        assert!(guard.admit(from("127.0.0.1:5"), &HeaderMap::new()).is_err(), "no Host at all");
    }

    #[test]
    fn a_token_is_asked_for_from_everybody() {
        let guard = Guard::new(Some("s3cret"));
        let admits = |token: &str| {
            let authorization = format!("Bearer {token}");
            guard
                .admit(from("10.0.0.7:5"), &headers(&[("host", "box:8000"), ("authorization", &authorization)]))
                .is_ok()
        };
        assert!(admits("s3cret"));
        assert!(!admits("guess"));
        assert!(guard.admit(from("127.0.0.1:5"), &headers(&[("host", "localhost")])).is_err());
    }

    #[test]
    fn other_pages_may_not_call() {
        let guard = Guard::new(None);
        let call =
            |origin| guard.admit(from("127.0.0.1:5"), &headers(&[("host", "localhost:8000"), ("origin", origin)]));
        assert!(call("http://localhost:8000").is_ok());
        assert!(call("http://evil.example").is_err());
        assert!(call("null").is_err());
        let site =
            |site| guard.admit(from("127.0.0.1:5"), &headers(&[("host", "localhost:8000"), ("sec-fetch-site", site)]));
        assert!(site("same-origin").is_ok() && site("none").is_ok());
        assert!(site("cross-site").is_err() && site("same-site").is_err());
    }
}
