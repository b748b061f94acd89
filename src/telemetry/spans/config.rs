//! `[tracing]`: whom the spans of requests are told. What the section leaves out, OpenTelemetry's own variables may say.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// `[tracing]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Where a collector takes OTLP over HTTP (`http/protobuf`), such as `http://localhost:4318`; spans go to `/v1/traces`
    /// there. Empty: what OTEL_EXPORTER_OTLP_ENDPOINT says, else nobody is told.
    pub otlp_endpoint: String,
    /// The share of traces that are told, 0.0 to 1.0, of those that begin here. Those that come with `traceparent` say so themselves.
    pub sample_ratio: f64,
    /// What this peer is called there. Where it is `nexus`, OTEL_SERVICE_NAME wins.
    pub service_name: String,
    /// The variable that holds headers for the collector, as `name=value,name=value`. Empty: OTEL_EXPORTER_OTLP_HEADERS.
    pub headers_env: String,
}

/// The name that needs nobody to choose it.
const SERVICE: &str = "nexus";

impl Default for Config {
    fn default() -> Self {
        Config {
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
            service_name: SERVICE.to_owned(),
            headers_env: String::new(),
        }
    }
}

/// A collector, with everything looked up.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where spans are posted.
    pub(super) uri: Uri,
    /// With what, besides; values may be secrets.
    pub(super) headers: HeaderMap,
    pub(super) service_name: String,
    pub(super) sample_ratio: f64,
}

impl Config {
    /// What is wrong: the key and what to write instead.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !self.otlp_endpoint.trim().is_empty()
            && let Err(why) = uri(&self.otlp_endpoint)
        {
            problems.push(("otlp_endpoint", why));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            problems.push(("sample_ratio", "is a share: use 0.0 to 1.0".to_owned()));
        }
        if self.service_name.trim().is_empty() {
            problems.push(("service_name", format!("is empty: every name must say something; `{SERVICE}` is usual")));
        }
        problems
    }

    /// Whom to tell, if anybody, and what of it cannot be understood.
    pub fn target(&self, lookup: &dyn Fn(&str) -> Option<String>) -> (Option<Target>, Vec<String>) {
        let mut warnings = Vec::new();
        let (named, variable) = (self.otlp_endpoint.trim(), "OTEL_EXPORTER_OTLP_ENDPOINT");
        let (endpoint, key) = match named {
            "" => (lookup(variable).unwrap_or_default(), variable),
            named => (named.to_owned(), "tracing.otlp_endpoint"),
        };
        if endpoint.trim().is_empty() {
            return (None, warnings);
        }
        let uri = match uri(&endpoint) {
            Ok(uri) => uri,
            Err(why) => return (None, vec![format!("{key} {why}: no traces are sent")]),
        };
        let variable = match self.headers_env.trim() {
            "" => "OTEL_EXPORTER_OTLP_HEADERS",
            named => named,
        };
        let headers = lookup(variable);
        if headers.is_none() && !self.headers_env.trim().is_empty() {
            warnings.push(format!("the variable {variable} is not set: traces are sent without headers of their own"));
        }
        let (headers, unread) = read_headers(&headers.unwrap_or_default());
        if unread > 0 {
            warnings.push(format!("{variable}: {unread} of its parts are no `name=value`: ignored"));
        }
        let other_name = || lookup("OTEL_SERVICE_NAME").filter(|name| !name.trim().is_empty());
        let chosen = Some(self.service_name.clone()).filter(|name| name != SERVICE);
        let service_name = chosen.or_else(other_name).unwrap_or_else(|| SERVICE.to_owned());
        (Some(Target { uri, headers, service_name, sample_ratio: self.sample_ratio }), warnings)
    }
}

/// Where traces are posted at this endpoint. What is wrong with it is said without repeating it: there may be a key in it.
fn uri(endpoint: &str) -> Result<Uri, String> {
    let wrong = || "is no address of a collector: it looks like `http://localhost:4318`".to_owned();
    let url: Url = endpoint.trim().parse().map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("holds more than an address: keys belong in the variable that `headers_env` names".to_owned());
    }
    let root = url.as_str().trim_end_matches('/');
    let whole = if root.ends_with("/v1/traces") { root.to_owned() } else { format!("{root}/v1/traces") };
    whole.parse().map_err(|_| wrong())
}

/// The headers of a list, as the specification of OTLP writes it, and how many of its parts are none.
fn read_headers(list: &str) -> (HeaderMap, usize) {
    let (mut headers, mut unread) = (HeaderMap::new(), 0);
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let header = part.split_once('=').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            let mut value = HeaderValue::from_bytes(&unescaped(value.trim())).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        match header {
            Some((name, value)) => drop(headers.insert(name, value)),
            None => unread += 1,
        }
    }
    (headers, unread)
}

/// `%20` and its like are what they stand for; any other `%` is itself.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let value = digit(high).zip(digit(low)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.map(|value| (value, after))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(config: &Config, variables: &[(&str, &str)]) -> (Option<Target>, Vec<String>) {
        config
            .target(&|wanted| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned()))
    }

    fn to(endpoint: &str) -> Config {
        Config { otlp_endpoint: endpoint.to_owned(), ..Config::default() }
    }

    #[test]
    fn nobody_is_told_unless_somebody_says_so() {
        let (none, warnings) = target(&Config::default(), &[("OTEL_SERVICE_NAME", "x")]);
        assert!(none.is_none() && warnings.is_empty());
    }

    #[test]
    fn the_section_wins_over_the_variables_of_opentelemetry() {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://there:1/otlp/"), ("OTEL_SERVICE_NAME", "theirs")];
        let (by_variables, _) = target(&Config::default(), &variables);
        let by_variables = by_variables.expect("an endpoint");
        assert_eq!(by_variables.uri, "https://there:1/otlp/v1/traces");
        assert_eq!(by_variables.service_name, "theirs");
        let (ours, _) = target(&Config { service_name: "desk".to_owned(), ..to("http://here:4318") }, &variables);
        let ours = ours.expect("an endpoint");
        assert_eq!((ours.uri.to_string().as_str(), &*ours.service_name), ("http://here:4318/v1/traces", "desk"));
    }

    #[test]
    fn headers_are_read_and_never_shown() {
        let config = Config { headers_env: "H".to_owned(), ..to("http://here:4318") };
        let (found, warnings) = target(&config, &[("H", "authorization=Basic%20c2VjcmV0, x-a=1%,nonsense")]);
        let found = found.expect("an endpoint");
        assert_eq!(found.headers["authorization"], "Basic c2VjcmV0");
        assert_eq!(found.headers["x-a"], "1%");
        assert!(!format!("{found:?}").contains("c2VjcmV0") && warnings.len() == 1, "{warnings:?}");
        let (_, warnings) = target(&config, &[]);
        assert!(warnings[0].contains('H'), "{warnings:?}");
    }

    #[test]
    fn what_is_no_endpoint_says_what_one_looks_like() {
        for bad in ["localhost:4318", "ftp://h:1", "http://", "http://u:secret@h:1", "http://h:1/?key=secret"] {
            let problems = to(bad).problems();
            assert_eq!(problems[0].0, "otlp_endpoint", "{bad}");
            assert!(!problems[0].1.contains("secret"), "{problems:?}");
        }
        assert!(target(&Config::default(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")]).1[0].contains("OTEL_"));
        assert_eq!(Config { sample_ratio: f64::NAN, ..Config::default() }.problems()[0].0, "sample_ratio");
        assert!(Config::default().problems().is_empty() && to("http://h:4318").problems().is_empty());
    }
}
