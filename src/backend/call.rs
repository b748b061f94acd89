//! The request that goes to a backend: where, with whose key, with which of the client's headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body_util::Full;
use url::Url;

use crate::exchange::headers::goes_to_backends;
use crate::exchange::{Endpoint, RequestId, visited};
use crate::fleet::{BackendSpec, Locality};

/// The request for `endpoint` in OpenAI's dialect, with `body` as it is; `stream` = its answer will be one.
pub fn request(
    spec: &BackendSpec,
    endpoint: Endpoint,
    id: &RequestId,
    client: &HeaderMap,
    body: Bytes,
    stream: bool,
) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(&spec.url, endpoint.path());
    let headers = request.headers_mut();
    headers.reserve(8);
    for (name, value) in client.iter().filter(|(name, _)| goes_to_backends(name)) {
        headers.append(name.clone(), value.clone());
    }
    // A vendor's cloud never leads back here, and has no business knowing which nodes there are.
    if spec.kind.locality() == Locality::Local {
        visited::leave_by(client, &spec.name, headers);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    if spec.passes_client_auth()
        && let Some(authorization) = client.get(header::AUTHORIZATION)
    {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    authorize(headers, spec);
    // Whoever took such a connection next would find it closed in the middle of its request.
    if stream && spec.kind.hangs_up_after_streams() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    request
}

/// Puts the configured key in. It wins over whatever is there.
pub(super) fn authorize(headers: &mut HeaderMap, spec: &BackendSpec) {
    let Some(key) = &spec.key else { return };
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}")) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
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
    use crate::fleet::{Kind, Source};

    fn sent(spec: &BackendSpec, headers: &[(&'static str, &str)]) -> http::Request<Full<Bytes>> {
        let mut client = HeaderMap::new();
        for (name, value) in headers {
            client.append(*name, HeaderValue::from_str(value).expect("literal"));
        }
        request(spec, Endpoint::ChatCompletions, &RequestId::from_bits(1), &client, Bytes::new(), false)
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
            let request = request(&spec, Endpoint::ChatCompletions, &id, &client, Bytes::new(), stream);
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
}
