//! Which of a client's headers go on: one list, whether its backend is here or behind a hop.

use http::{HeaderName, header};

/// What a backend may want to see. Credentials have rules of their own; hop-by-hop headers, cookies and everything about
/// how the client reached us stay here.
const PASSED: [HeaderName; 2] = [header::ACCEPT, header::USER_AGENT];
const PASSED_PREFIXES: [&str; 4] = ["openai-", "anthropic-", "trace", "x-session-"];

/// Whether a backend is sent this header.
pub fn goes_to_backends(name: &HeaderName) -> bool {
    PASSED.contains(name) || PASSED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Where keys stand, in one dialect or another. They go nowhere unless somebody decides so.
pub const CREDENTIALS: [HeaderName; 3] = [header::AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY];
/// Anthropic's.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Google's.
pub const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// In which a client names its conversation. Peers go by it.
const SESSION: &str = "x-claude-code-session-id";

/// Whether the peer that owns the backend is: what the backend wants to see, and what Nexus itself goes by.
pub fn goes_to_peers(name: &HeaderName) -> bool {
    let is_ours = name.as_str().starts_with("x-nexus-") || name == SESSION;
    goes_to_backends(name) || *name == header::CONTENT_TYPE || is_ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_backends_see_crosses_a_hop_and_what_is_private_goes_nowhere() {
        for (name, to_backends, to_peers) in [
            ("accept", true, true),
            ("user-agent", true, true),
            ("openai-organization", true, true),
            ("anthropic-beta", true, true),
            ("traceparent", true, true),
            ("x-session-id", true, true),
            ("x-session-affinity", true, true),
            ("x-claude-code-session-id", false, true),
            ("content-type", false, true),
            ("x-nexus-strict", false, true),
            ("authorization", false, false),
            ("x-api-key", false, false),
            ("cookie", false, false),
            ("host", false, false),
            ("connection", false, false),
            ("content-length", false, false),
            ("x-forwarded-for", false, false),
        ] {
            let header = HeaderName::from_static(name);
            assert_eq!((goes_to_backends(&header), goes_to_peers(&header)), (to_backends, to_peers), "{name}");
        }
    }
}
