//! The request that goes to a backend: where, with whose key, with which of the client's headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body_util::Full;
use url::Url;

use crate::dialect::Ways;
use crate::exchange::headers::{CREDENTIALS, X_API_KEY, X_GOOG_API_KEY, goes_to_backends};
use crate::exchange::{Endpoint, RequestId, visited};
use crate::fleet::{BackendSpec, Kind, Locality};

/// What a backend is asked.
pub struct Question<'a> {
    /// The endpoint, one that it has.
    pub endpoint: Endpoint,
    /// The model, by the name that the backend knows.
    pub model: &'a str,
    /// The same in every log.
    pub id: &'a RequestId,
    /// The client's headers.
    pub client: &'a HeaderMap,
    /// The body, in the dialect of the endpoint.
    pub body: Bytes,
    /// Its answer will be a stream.
    pub stream: bool,
    /// The body is not the client's: it was translated, and what the client said of its own dialect is not for the backend.
    pub is_translated: bool,
}

/// The request that asks `question`.
pub fn request(spec: &BackendSpec, question: Question<'_>) -> http::Request<Full<Bytes>> {
    let Question { endpoint, model, id, client, body, stream, is_translated } = question;
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(&spec.url, &endpoint.path(model));
    let headers = request.headers_mut();
    headers.reserve(8);
    let is_of_dialect = |name: &HeaderName| DIALECT_HEADERS.iter().any(|prefix| name.as_str().starts_with(prefix));
    for (name, value) in client.iter().filter(|(name, _)| goes_to_backends(name)) {
        if !is_translated || !is_of_dialect(name) && name != header::ACCEPT {
            headers.append(name.clone(), value.clone());
        }
    }
    // A vendor's cloud never leads back here, and has no business knowing which nodes there are.
    if spec.kind.locality() == Locality::Local {
        visited::leave_by(client, &spec.name, headers);
    }
    // A form is told apart by its boundary, which only the client knows.
    let content_type = client.get(header::CONTENT_TYPE).filter(|_| endpoint.is_form()).cloned();
    headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/json")));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    for name in CREDENTIALS.iter().filter(|_| spec.passes_client_auth()) {
        if let Some(value) = client.get(name) {
            headers.insert(name, value.clone());
        }
    }
    authorize(headers, spec);
    // Whoever took such a connection next would find it closed in the middle of its request.
    if stream && spec.kind.hangs_up_after_streams() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    request
}

/// What clients say of a dialect in headers: meaningless to a backend that speaks another.
const DIALECT_HEADERS: [&str; 2] = ["openai-", "anthropic-"];

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What is peculiar to the dialect of this backend.
pub fn ways(spec: &BackendSpec) -> Ways {
    let is_openais = spec.url.host_str().is_some_and(|host| host == "openai.com" || host.ends_with(".openai.com"));
    let crate::fleet::Loading { context_length, keep_alive } = spec.loading.clone();
    Ways { context_length, keep_alive, max_completion_tokens: spec.kind == Kind::OpenAi && is_openais }
}

/// Puts the configured key in, where a backend of its kind looks for one. It wins over whatever is there.
pub(super) fn authorize(headers: &mut HeaderMap, spec: &BackendSpec) {
    if spec.kind == Kind::Anthropic {
        headers.entry(ANTHROPIC_VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
    }
    let Some(key) = &spec.key else { return };
    let (name, value) = match spec.kind {
        Kind::Anthropic => (X_API_KEY, HeaderValue::from_str(key)),
        Kind::Google => (X_GOOG_API_KEY, HeaderValue::from_str(key)),
        _ => (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))),
    };
    CREDENTIALS.iter().for_each(|name| drop(headers.remove(name)));
    if let Ok(mut value) = value {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// `path` on the server at `root`, which carries no trailing `/` and no `/v1`.
pub(super) fn uri(root: &Url, path: &str) -> Uri {
    let text = [root.as_str().trim_end_matches('/'), path].concat();
    Uri::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| Uri::from_static("http://invalid.invalid/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Source;

    fn sent(spec: &BackendSpec, headers: &[(&'static str, &str)]) -> http::Request<Full<Bytes>> {
        let mut client = HeaderMap::new();
        for (name, value) in headers {
            client.append(*name, HeaderValue::from_str(value).expect("literal"));
        }
        request(spec, question(&client, &RequestId::from_bits(1)))
    }

    fn question<'a>(client: &'a HeaderMap, id: &'a RequestId) -> Question<'a> {
        Question {
            endpoint: Endpoint::ChatCompletions,
            model: "m",
            id,
            client,
            body: Bytes::new(),
            stream: false,
            is_translated: false,
        }
    }

    fn spec(url: &str, source: Source) -> BackendSpec {
        BackendSpec::new("b", url.parse().expect("literal"), Kind::Generic, source)
    }

    #[test]
    fn a_root_with_a_path_is_kept() {
        let spec = spec("http://host:1/proxy/", Source::Static);
        assert_eq!(sent(&spec, &[]).uri(), "http://host:1/proxy/v1/chat/completions");
    }

    #[test]
    fn only_what_may_lead_back_is_told_the_way() {
        for (kind, told) in [
            (Kind::Generic, true),
            (Kind::Ollama, true),
            (Kind::OpenAi, false),
            (Kind::Anthropic, false),
            (Kind::Google, false),
        ] {
            let spec = BackendSpec::new("b", "http://host:1".parse().expect("literal"), kind, Source::Static);
            let request = sent(&spec, &[("x-nexus-visited", "peer")]);
            let way = request.headers().get(visited::VISITED).map(HeaderValue::as_bytes);
            assert_eq!(way, told.then_some(&b"peer;backend=b"[..]), "{kind}");
        }
    }

    #[test]
    fn a_connection_that_a_stream_ends_is_not_kept() {
        let is_kept = |kind, stream| {
            let spec = BackendSpec::new("b", "http://host:1".parse().expect("literal"), kind, Source::Static);
            let (id, client) = (RequestId::from_bits(1), HeaderMap::new());
            let request = request(&spec, Question { stream, ..question(&client, &id) });
            request.headers().get(header::CONNECTION).is_none()
        };
        assert!(!is_kept(Kind::LlamaCpp, true));
        assert!(is_kept(Kind::LlamaCpp, false) && is_kept(Kind::Vllm, true));
    }

    /// A client's `Authorization` once replaced the configured key, and went to anyone found by mDNS.
    #[test]
    fn keys_go_only_where_they_belong() {
        let clients = [("authorization", "Bearer client"), ("cookie", "secret"), ("x-forwarded-for", "10.0.0.1")];
        let authorization = |spec: &BackendSpec| {
            let request = sent(spec, &clients);
            assert!(request.headers().get("cookie").is_none() && request.headers().get("x-forwarded-for").is_none());
            request.headers().get("authorization").map(|value| value.to_str().expect("ASCII").to_owned())
        };
        let mut configured = spec("http://host:1", Source::Static);
        assert_eq!(authorization(&configured).as_deref(), Some("Bearer client"));
        configured.forward_client_auth = Some(false);
        assert_eq!(authorization(&configured), None);
        configured.key = Some("own".to_owned());
        configured.forward_client_auth = Some(true);
        assert_eq!(authorization(&configured).as_deref(), Some("Bearer own"));
        assert_eq!(authorization(&spec("http://host:1", Source::Mdns)), None);
    }

    #[test]
    fn every_vendor_is_shown_its_key_where_it_looks_for_it() {
        let clients =
            [("authorization", "Bearer c"), ("x-api-key", "c"), ("x-goog-api-key", "c"), ("anthropic-beta", "b")];
        for (kind, header, value) in [
            (Kind::OpenAi, "authorization", "Bearer own"),
            (Kind::Anthropic, "x-api-key", "own"),
            (Kind::Google, "x-goog-api-key", "own"),
        ] {
            let mut spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), kind, Source::Static);
            spec.key = Some("own".to_owned());
            let request = sent(&spec, &clients);
            assert_eq!(request.headers().get(header).map(HeaderValue::as_bytes), Some(value.as_bytes()), "{kind}");
            let keys = CREDENTIALS.iter().filter(|name| request.headers().contains_key(*name)).count();
            assert_eq!(keys, 1, "{kind}");
            assert_eq!(request.headers().contains_key("anthropic-version"), kind == Kind::Anthropic);
        }
    }

    #[test]
    fn a_translated_request_says_nothing_of_its_clients_dialect() {
        let mut client = HeaderMap::new();
        client.insert("anthropic-beta", HeaderValue::from_static("x"));
        client.insert("user-agent", HeaderValue::from_static("cli"));
        let (spec, id) = (spec("http://h:1", Source::Static), RequestId::from_bits(1));
        let sent = request(&spec, Question { is_translated: true, ..question(&client, &id) });
        assert!(!sent.headers().contains_key("anthropic-beta") && sent.headers().contains_key("user-agent"));
    }
}
