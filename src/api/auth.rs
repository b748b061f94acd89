//! Who may ask, and who may manage. Keys are compared by their hashes, in constant time.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use globset::{GlobBuilder, GlobSetBuilder};
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;
use tracing::warn;

use super::respond;
use super::serve::Source;
use crate::dialect::Fault;
use crate::exchange::Caller;
use crate::exchange::headers::{X_API_KEY, X_GOOG_API_KEY};

/// SHA-256 of a key.
type Digest = [u8; 32];

/// The keys that clients must show.
pub struct ClientKeys(Vec<(Digest, Arc<Caller>)>);

impl ClientKeys {
    /// From (name, SHA-256 of the key, globs of models).
    ///
    /// # Errors
    /// A glob that is none.
    pub fn new(keys: Vec<(String, Digest, Option<Vec<String>>)>) -> Result<Self, globset::Error> {
        let caller = |(name, digest, globs): (String, Digest, Option<Vec<String>>)| {
            let models = globs.map(|globs| {
                let mut set = GlobSetBuilder::new();
                for glob in globs {
                    set.add(GlobBuilder::new(&glob).literal_separator(false).build()?);
                }
                set.build()
            });
            Ok((digest, Arc::new(Caller { name, models: models.transpose()? })))
        };
        Ok(ClientKeys(keys.into_iter().map(caller).collect::<Result<_, globset::Error>>()?))
    }

    /// Whose key a request carries, wherever its dialect puts it.
    pub(super) fn caller(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Arc<Caller>, Fault> {
        let named = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
        let in_query = || query?.split('&').find_map(|pair| pair.strip_prefix("key="));
        let key = bearer(headers).or_else(|| named(&X_API_KEY)).or_else(|| named(&X_GOOG_API_KEY)).or_else(in_query);
        let Some(key) = key else {
            return Err(Fault::unauthorized("This node asks for a key: send `Authorization: Bearer YOUR_KEY`."));
        };
        let shown = digest(key);
        // Every key is compared, so that the time taken tells nothing.
        let mut found = None;
        for (digest, caller) in &self.0 {
            if bool::from(digest.ct_eq(&shown)) {
                found = Some(caller.clone());
            }
        }
        found.ok_or_else(|| Fault::unauthorized("This key is not known here: check it, or ask whoever runs this mesh."))
    }
}

/// SHA-256 of a key.
pub fn digest(key: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref());
    bytes
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Who may change the state of a running node: who holds the admin token, or who sits at the machine.
pub struct Guard(Option<Digest>);

impl Guard {
    /// With a token it is asked for from everybody; without one only this machine is answered.
    pub fn new(admin_token: Option<&str>) -> Self {
        Guard(admin_token.filter(|token| !token.is_empty()).map(digest))
    }

    /// # Errors
    /// Why not, and what to do.
    fn admit(&self, source: Option<Source>, headers: &HeaderMap) -> Result<(), Fault> {
        if is_cross_origin(headers) {
            return Err(Fault::forbidden("Management is not open to other web pages.".to_owned()));
        }
        if let Some(expected) = &self.0 {
            let shown = bearer(headers).map(digest);
            return match shown {
                Some(shown) if bool::from(shown.ct_eq(expected)) => Ok(()),
                _ => Err(Fault::unauthorized("Management needs the admin token: send `Authorization: Bearer TOKEN`.")),
            };
        }
        let is_near = source.is_some_and(|Source(address)| address.ip().to_canonical().is_loopback());
        // A page of another host that resolves to this machine still sends its own name.
        if is_near && headers.get(header::HOST).is_some_and(|host| is_loopback_host(host.as_bytes())) {
            return Ok(());
        }
        Err(Fault::forbidden(
            "Management answers this machine only. Call it by 127.0.0.1 or localhost, or set an admin token \
             (NEXUS_ADMIN_TOKEN) to allow other machines."
                .to_owned(),
        ))
    }
}

fn is_cross_origin(headers: &HeaderMap) -> bool {
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

/// Lets those through who may manage.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let source = request.extensions().get::<Source>().copied();
    match guard.admit(source, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(fault) => {
            let from = source.map(|Source(address)| address.to_string());
            warn!(from, method = %request.method(), path = request.uri().path(), "Management refused");
            respond::fault(&fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_str(value).expect("literal"))
            })
            .collect()
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
    }

    #[test]
    fn client_keys_name_their_holder() {
        let key = ("team".to_owned(), digest("k1"), Some(vec!["llama*".to_owned()]));
        let keys = ClientKeys::new(vec![key]).expect("good globs");
        let caller = keys.caller(&headers(&[("authorization", "Bearer k1")]), None).expect("known");
        assert!(caller.may_use("llama3") && !caller.may_use("gpt-4"));
        assert!(keys.caller(&headers(&[("x-api-key", "k1")]), None).is_ok());
        assert!(keys.caller(&headers(&[("x-goog-api-key", "k1")]), None).is_ok());
        assert!(keys.caller(&HeaderMap::new(), Some("alt=sse&key=k1")).is_ok());
        assert!(keys.caller(&headers(&[("authorization", "Bearer k2")]), None).is_err());
        assert!(keys.caller(&HeaderMap::new(), None).is_err());
        assert!(ClientKeys::new(vec![("x".to_owned(), digest(""), Some(vec!["[".to_owned()]))]).is_err());
    }
}
