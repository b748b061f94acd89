//! Who may ask. Keys are compared by their hashes, in constant time.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;

use crate::access::Ring;
use crate::dialect::Fault;
use crate::exchange::headers::{X_API_KEY, X_GOOG_API_KEY};
use crate::exchange::{Caller, Quota};
use crate::fleet::{KeyLimits, key_digest as digest, key_id};

/// SHA-256 of a key.
pub(super) type Digest = [u8; 32];

/// The keys that clients must show: those of this peer's configuration, and those of the mesh, which come and go while it
/// runs.
pub struct ClientKeys {
    configured: ArcSwap<Configured>,
    ring: Arc<Ring>,
    stranger: Arc<Caller>,
}

/// The keys of the configuration, each with whose it is.
type Configured = Vec<(Digest, Arc<Caller>)>;

/// A key of the configuration.
#[derive(Clone, Default)]
pub struct ConfiguredKey {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of it.
    pub sha256: Digest,
    /// Globs of the models it may use; `None`: all.
    pub models: Option<Vec<String>>,
    /// What it may use.
    pub limits: KeyLimits,
}

impl ClientKeys {
    /// Those of the configuration beside those of the mesh.
    ///
    /// # Errors
    /// A glob that is none.
    pub fn new(configured: Vec<ConfiguredKey>, ring: Arc<Ring>) -> Result<Self, globset::Error> {
        let configured = ArcSwap::from_pointee(read(configured)?);
        Ok(ClientKeys { configured, ring, stranger: Arc::new(Caller::stranger()) })
    }

    /// From now on these are the keys of the configuration.
    ///
    /// # Errors
    /// A glob that is none; nothing has changed then.
    pub fn configure(&self, configured: Vec<ConfiguredKey>) -> Result<(), globset::Error> {
        self.configured.store(Arc::new(read(configured)?));
        Ok(())
    }

    /// Whether every client may ask: no key is configured, and none was ever made. That the last one was revoked opens
    /// nothing.
    pub fn is_open(&self) -> bool {
        self.configured.load().is_empty() && self.ring.is_empty()
    }

    /// The keys of the mesh.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Those of the configuration.
    pub(super) fn callers(&self) -> Vec<Arc<Caller>> {
        self.configured.load().iter().map(|(_, caller)| caller.clone()).collect()
    }

    /// The names of those of the configuration.
    pub(super) fn configured(&self) -> Vec<String> {
        self.configured.load().iter().map(|(_, caller)| caller.name.clone()).collect()
    }

    /// Whose key a request carries, wherever its dialect puts it; `None` where no key is asked for, a stranger where that is
    /// not known yet.
    pub(super) fn caller(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<Arc<Caller>>, Fault> {
        if self.is_open() {
            return Ok(self.ring.awaits_mesh().then(|| self.stranger.clone()));
        }
        let named = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
        let in_query = || query?.split('&').find_map(|pair| pair.strip_prefix("key="));
        let key = bearer(headers).or_else(|| named(&X_API_KEY)).or_else(|| named(&X_GOOG_API_KEY)).or_else(in_query);
        let Some(key) = key else {
            return Err(Fault::unauthorized("This node asks for a key: send `Authorization: Bearer YOUR_KEY`."));
        };
        let shown = digest(key);
        // Every key is compared, so that the time taken tells nothing.
        let mut found = None;
        for (digest, caller) in self.configured.load().iter() {
            if bool::from(digest.ct_eq(&shown)) {
                found = Some(caller.clone());
            }
        }
        let found = found.or(self.ring.caller(&shown));
        found
            .map(Some)
            .ok_or_else(|| Fault::unauthorized("This key is not known here: check it, or ask whoever runs this mesh."))
    }
}

fn read(keys: Vec<ConfiguredKey>) -> Result<Configured, globset::Error> {
    let caller = |key: ConfiguredKey| {
        let quota = Quota { id: key_id('c', &key.sha256), holder: None, limits: key.limits };
        Ok((key.sha256, Arc::new(Caller::new(key.name, key.models.as_deref(), quota)?)))
    };
    keys.into_iter().map(caller).collect()
}

/// What a client or a manager shows by `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gate::headers;

    fn ring() -> (tempfile::TempDir, Arc<Ring>) {
        let directory = tempfile::tempdir().expect("a directory");
        let ring = Ring::open(directory.path(), false, &crate::env::Env::real()).expect("an empty ring");
        (directory, Arc::new(ring))
    }

    fn configured(name: &str, key: &str) -> ConfiguredKey {
        ConfiguredKey { name: name.to_owned(), sha256: digest(key), ..ConfiguredKey::default() }
    }

    #[test]
    fn client_keys_name_their_holder() {
        let (_directory, ring) = ring();
        let key = ConfiguredKey {
            models: Some(vec!["llama*".to_owned()]),
            limits: KeyLimits { tokens_per_minute: Some(7), ..KeyLimits::default() },
            ..configured("team", "k1")
        };
        let keys = ClientKeys::new(vec![key], ring.clone()).expect("good globs");
        let caller = |pairs: &[(&'static str, &str)], query| keys.caller(&headers(pairs), query);
        let known = caller(&[("authorization", "Bearer k1")], None).expect("known").expect("asked for");
        assert!(known.may_use("llama3") && !known.may_use("gpt-4"));
        let quota = known.quota.as_ref().expect("a limit");
        assert!(quota.id.starts_with('c') && quota.id.len() == 17 && quota.holder.is_none(), "{quota:?}");
        assert_eq!(quota.limits.tokens_per_minute, Some(7));
        assert!(caller(&[("x-api-key", "k1")], None).is_ok());
        assert!(caller(&[("x-goog-api-key", "k1")], None).is_ok());
        assert!(caller(&[], Some("alt=sse&key=k1")).is_ok());
        assert!(caller(&[("authorization", "Bearer k2")], None).is_err());
        assert!(caller(&[], None).is_err());
        let bad = ConfiguredKey { models: Some(vec!["[".to_owned()]), ..configured("x", "") };
        assert!(ClientKeys::new(vec![bad], ring).is_err());
    }

    #[test]
    fn the_first_key_closes_the_door_and_revoking_the_last_does_not_open_it() {
        let (_directory, ring) = ring();
        let keys = ClientKeys::new(Vec::new(), ring.clone()).expect("no globs");
        let ask = |key: &str| keys.caller(&headers(&[("authorization", &format!("Bearer {key}"))]), None);
        assert!(matches!(ask("anything"), Ok(None)) && keys.is_open());
        ring.await_mesh();
        assert!(ask("anything").expect("let in").is_some_and(|caller| caller.is_stranger));
        let maker = crate::access::Maker { name: "p".to_owned(), holder: String::new(), now: 1 };
        let wish = crate::access::Wish { name: "laptop".to_owned(), ..Default::default() };
        let (_, key) = ring.add(&wish, &maker).expect("a key");
        assert!(ask("anything").is_err());
        assert_eq!(ask(&key).expect("good").expect("asked for").name, "laptop");
        ring.revoke("laptop", 2).expect("known");
        assert!(ask(&key).is_err() && ask("anything").is_err() && !keys.is_open());
    }
}
