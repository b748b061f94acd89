//! Backends: servers that run models. What kind they are, where they were heard of, how they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Model, Tier, Zone};

/// What a backend is. A kind is not a dialect: most kinds speak OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Kind {
    /// Ollama, `http://localhost:11434`.
    Ollama,
    /// vLLM's OpenAI-compatible server.
    Vllm,
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// exo.
    Exo,
    /// OpenAI's own API, or anything that wants a key and speaks like it.
    OpenAi,
    /// LM Studio.
    LmStudio,
    /// Any other OpenAI-compatible server.
    Generic,
    /// Anthropic's API.
    Anthropic,
    /// Google's Gemini API.
    Google,
}

/// Every kind, in the order in which they are listed to users.
const KINDS: [(Kind, &str); 9] = [
    (Kind::Ollama, "ollama"),
    (Kind::Vllm, "vllm"),
    (Kind::LlamaCpp, "llamacpp"),
    (Kind::Exo, "exo"),
    (Kind::OpenAi, "openai"),
    (Kind::LmStudio, "lmstudio"),
    (Kind::Generic, "generic"),
    (Kind::Anthropic, "anthropic"),
    (Kind::Google, "google"),
];

/// Whether a kind runs on hardware of the fleet's own or behind somebody's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// Own hardware.
    Local,
    /// A paid API.
    Cloud,
}

impl Kind {
    /// The name users write and read.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("generic", |(_, name)| name)
    }

    /// Every kind's name, for error messages and completions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(_, name)| *name)
    }

    /// Every kind, in the order in which they are listed to users.
    pub fn all() -> impl Iterator<Item = Kind> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    /// Own hardware or a paid API.
    pub fn locality(self) -> Locality {
        match self {
            Kind::OpenAi | Kind::Anthropic | Kind::Google => Locality::Cloud,
            _ => Locality::Local,
        }
    }

    /// Who made it, by the word of OpenTelemetry's conventions (`gen_ai.provider.name`) where they have one.
    pub fn provider(self) -> &'static str {
        if self == Kind::Google { "gcp.gemini" } else { self.as_str() }
    }

    /// Whether it takes as many requests as come: it batches them, or has a vendor's machines behind it.
    pub fn takes_any_number(self) -> bool {
        self == Kind::Vllm || self.locality() == Locality::Cloud
    }

    /// Whether it closes its connection after every stream without saying so beforehand: llama.cpp's server ends a stream
    /// as its HTTP library takes failures.
    pub fn hangs_up_after_streams(self) -> bool {
        self == Kind::LlamaCpp
    }

    /// The zone a backend of this kind has unless the operator says otherwise.
    pub fn default_zone(self) -> Zone {
        match self.locality() {
            Locality::Local => Zone::Restricted,
            Locality::Cloud => Zone::Open,
        }
    }
}

impl Locality {
    /// The word of `x-nexus-backend-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Locality::Local => "local",
            Locality::Cloud => "cloud",
        }
    }
}

/// A backend type nobody knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unknown backend type: {0}")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_ascii_lowercase();
        let name = match name.as_str() {
            "llama.cpp" | "llama-cpp" | "llama_cpp" => "llamacpp",
            "lm-studio" | "lm_studio" => "lmstudio",
            other => other,
        };
        KINDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a backend is, as far as health checks know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not checked yet.
    #[default]
    Unknown,
    /// Answers its checks.
    Healthy,
    /// Does not.
    Unhealthy,
    /// Finishes what it has and takes no more.
    Draining,
    /// A status of a later version of Nexus: treated as not usable.
    #[serde(other)]
    Unrecognised,
}

impl Status {
    /// The lower-case word of JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Unknown | Status::Unrecognised => "unknown",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
            Status::Draining => "draining",
        }
    }
}

/// Where a backend was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration file.
    Static,
    /// `nexus backends add` on the running server.
    Manual,
    /// mDNS.
    Mdns,
    /// One of the usual ports of this machine.
    Local,
}

impl Source {
    /// The lower-case word of tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Static => "static",
            Source::Manual => "manual",
            Source::Mdns => "mdns",
            Source::Local => "local",
        }
    }

    /// Whether the operator named this backend. Only such a backend is given a client's `Authorization`.
    pub fn is_configured(self) -> bool {
        matches!(self, Source::Static | Source::Manual)
    }
}

/// All that is known of a backend before anyone has spoken to it.
#[derive(Clone, PartialEq, Eq)]
pub struct BackendSpec {
    /// The stable, human-usable id: unique on its peer.
    pub name: String,
    /// Root URL, without a trailing `/` or `/v1`.
    pub url: url::Url,
    /// What it is.
    pub kind: Kind,
    /// Lower wins. Never negative.
    pub priority: u32,
    /// Where prompts sent to it may be read.
    pub zone: Zone,
    /// How capable its models are, as the operator ranks them.
    pub tier: Tier,
    /// The key of a cloud backend, read from the environment; never shown, logged or gossiped.
    pub key: Option<String>,
    /// Where it was heard of.
    pub source: Source,
    /// How many requests it may have at once; `None` = not limited.
    pub concurrency: Option<u32>,
    /// Requests it may have in a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens it may have in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Whether other peers may use it.
    pub share: bool,
    /// Whether a client's `Authorization` goes to it; `None` = by [`Source::is_configured`].
    pub forward_client_auth: Option<bool>,
    /// How it is to load its models, where it takes such wishes with a request.
    pub loading: Loading,
}

/// How a server is to load its models: Ollama takes such wishes with each request, in its own dialect only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Tokens of context.
    pub context_length: Option<u64>,
    /// How long a model stays in memory, as `30m`, or `-1` for ever.
    pub keep_alive: Option<String>,
}

impl Loading {
    /// Whether nothing is wished.
    pub fn is_empty(&self) -> bool {
        *self == Loading::default()
    }
}

impl BackendSpec {
    /// A backend with every default of its kind.
    pub fn new(name: impl Into<String>, url: url::Url, kind: Kind, source: Source) -> Self {
        BackendSpec {
            name: name.into(),
            url,
            kind,
            priority: 50,
            zone: kind.default_zone(),
            tier: Tier::default(),
            key: None,
            source,
            concurrency: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            share: true,
            forward_client_auth: None,
            loading: Loading::default(),
        }
    }

    /// Whether other peers may know of it and use it. Where they are not proven (`keyed` is false) nobody knows who asks:
    /// what costs money is not for them.
    pub fn is_offered(&self, keyed: bool) -> bool {
        self.share && (keyed || self.kind.locality() == Locality::Local)
    }

    /// Whether other peers may know of a model of it and use it. Unproven ones are not given what leaves the machine.
    pub fn offers(&self, model: &Model, keyed: bool) -> bool {
        self.is_offered(keyed) && (keyed || !model.leaves_the_machine())
    }

    /// Whether a client's `Authorization` may be sent on. A configured key always wins over it.
    pub fn passes_client_auth(&self) -> bool {
        self.key.is_none() && self.forward_client_auth.unwrap_or(self.source.is_configured())
    }
}

/// The longest name of a backend, in characters: it still makes a readable table.
pub const NAME_LIMIT: usize = 128;

/// Whether a backend may be called so from outside: 1 to [`NAME_LIMIT`] visible characters.
pub fn is_fit_name(name: &str) -> bool {
    fit_name(name).is_some_and(|fit| fit == name.trim())
}

/// What is fit of a name that somebody else has chosen, if anything is.
pub fn fit_name(name: &str) -> Option<String> {
    let visible: String = name.chars().filter(|letter| is_visible(*letter)).collect();
    let fit: String = visible.trim().chars().take(NAME_LIMIT).collect();
    (!fit.is_empty()).then_some(fit)
}

/// Neither a control character nor one that only steers how others are shown.
fn is_visible(letter: char) -> bool {
    let steers =
        matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !letter.is_control() && !steers
}

/// The root of a backend from what a user wrote: `http` or `https`, without a trailing `/` or `/v1`.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn root_url(text: &str) -> Result<url::Url, InvalidUrl> {
    let invalid = |why: String| Err(InvalidUrl(why));
    let mut url = match url::Url::parse(text.trim()) {
        Ok(url) => url,
        Err(error) => return invalid(format!("`{text}` is no URL ({error}): use http://host:port")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid(format!("`{text}` is neither http nor https: use http://host:port"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return invalid(format!("`{text}` names no host: use http://host:port"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("a URL may not hold credentials: name a variable in `api_key_env`".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    let version = ["/v1", "/v1beta"].iter().find_map(|version| path.strip_suffix(version));
    let root = version.unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&root);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// A URL that no backend can have: why, as a phrase.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid URL: {0}")]
pub struct InvalidUrl(pub String);

impl fmt::Debug for BackendSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_as_written() {
        for name in Kind::names() {
            assert_eq!(name.parse::<Kind>().map(Kind::as_str), Ok(name));
        }
        assert_eq!("llama.cpp".parse(), Ok(Kind::LlamaCpp));
        assert_eq!("LMStudio".parse(), Ok(Kind::LmStudio));
        assert_eq!("gpt".parse::<Kind>(), Err(UnknownKind("gpt".to_owned())));
    }

    #[test]
    fn urls_are_brought_to_their_root() {
        for (text, root) in [
            ("http://h:11434/", "http://h:11434/"),
            ("https://api.openai.com/v1/", "https://api.openai.com/"),
            ("https://g.example/v1beta", "https://g.example/"),
            ("http://h/openai/v1", "http://h/openai"),
            ("http://h/v1/v1x", "http://h/v1/v1x"),
            (" http://[::1]:8080/ ", "http://[::1]:8080/"),
        ] {
            assert_eq!(root_url(text).map(String::from), Ok(root.to_owned()), "{text}");
        }
        for text in ["", "h:1", "ftp://h", "http://", "http://user:pw@h", "http://h:99999"] {
            assert!(root_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_from_outside_are_visible_and_short() {
        for name in ["a", "Büro 2", "org/a", &"é".repeat(NAME_LIMIT)] {
            assert!(is_fit_name(name), "{name}");
        }
        for name in ["", " ", "a\nb", "\u{1b}[2J", "evil\u{202e}", "\u{200b}", &"x".repeat(NAME_LIMIT + 1)] {
            assert!(!is_fit_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_status_of_a_later_version_is_not_an_error() {
        assert_eq!(serde_json::from_str::<Status>("\"sleeping\"").ok(), Some(Status::Unrecognised));
    }

    #[test]
    fn strangers_are_not_offered_what_costs_money_or_leaves_the_machine() {
        let url = url::Url::parse("http://host:1").expect("a literal URL");
        let (plain, leaving) = (Model::named("m"), Model::named("big:cloud"));
        for (kind, share, model, to_proven, to_strangers) in [
            (Kind::Ollama, true, &plain, true, true),
            (Kind::Ollama, true, &leaving, true, false),
            (Kind::OpenAi, true, &plain, true, false),
            (Kind::Ollama, false, &plain, false, false),
            (Kind::OpenAi, false, &plain, false, false),
        ] {
            let mut spec = BackendSpec::new("b", url.clone(), kind, Source::Static);
            spec.share = share;
            assert_eq!((spec.offers(model, true), spec.offers(model, false)), (to_proven, to_strangers), "{spec:?}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let url = url::Url::parse("https://api.example.com").expect("a literal URL");
        let mut spec = BackendSpec::new("cloud", url, Kind::OpenAi, Source::Static);
        spec.key = Some("sk-secret".to_owned());
        assert!(!format!("{spec:?}").contains("sk-secret"));
        assert!(!spec.passes_client_auth(), "a configured key wins over the client's");
    }
}
