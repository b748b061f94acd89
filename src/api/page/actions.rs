//! What a form of the page asks for, as the call that the command line would make of it. There is no second way to change
//! something: what a call checks, refuses and logs holds here as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::membership;
use crate::dashboard::escaped;
use crate::fleet::Model;
use crate::mesh::Peers;
use crate::registry::Snapshot;

/// The fields of a form.
pub(super) struct Form(BTreeMap<String, String>);

/// A call of the interface.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// What is said when it went well.
    pub(super) done: String,
    /// The state of the configuration file that whoever asks has seen.
    pub(super) seen: Option<String>,
}

/// What is asked before what cannot be undone.
pub(super) struct Question {
    pub(super) question: String,
    pub(super) effects: Vec<String>,
    pub(super) button: &'static str,
}

/// Fields that a form may have; further ones are passed over.
const MOST_FIELDS: usize = 64;

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).take(MOST_FIELDS);
        Form(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// What was written, without room around it; empty where nothing was.
    pub(super) fn text(&self, field: &str) -> &str {
        self.0.get(field).map_or("", |text| text.trim())
    }

    /// All fields but the secret and the word of assent, to ask again.
    pub(super) fn again(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().filter(|(name, _)| !matches!(name.as_str(), "form" | "sure" | "token"))
    }

    /// Whether whoever sent it was asked and agreed.
    pub(super) fn is_sure(&self) -> bool {
        self.text("sure") == "yes"
    }

    /// The fields whose names begin so, each with the rest of its name.
    pub(super) fn all_after(&self, start: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(start)?, value.as_str())))
    }

    /// The same where the peer that is named is this one, which has no name in a form.
    pub(super) fn at_home(mut self, own: &str) -> Self {
        if self.text("peer") == own {
            self.0.remove("peer");
        }
        self
    }

    pub(super) fn needed(&self, field: &'static str) -> Result<&str, String> {
        match self.text(field) {
            "" => Err(format!("The field `{field}` is empty: fill it in.")),
            text => Ok(text),
        }
    }

    /// Those of `texts` and `numbers` that were filled in, as JSON.
    pub(super) fn object(&self, texts: &[&str], numbers: &[&'static str]) -> Result<Value, String> {
        let mut object = Map::new();
        for name in texts.iter().filter(|name| !self.text(name).is_empty()) {
            object.insert((*name).to_owned(), self.text(name).into());
        }
        for name in numbers.iter().filter(|name| !self.text(name).is_empty()) {
            let number: serde_json::Number =
                self.text(name).parse().map_err(|_| format!("The field `{name}` must be a number."))?;
            object.insert((*name).to_owned(), number.into());
        }
        Ok(Value::Object(object))
    }
}

/// The call that `form` stands for.
///
/// # Errors
/// What is wrong with the form.
pub(super) fn call(form: &Form) -> Result<Call, String> {
    match form.text("do") {
        "backend-add" | "backend-remove" | "backend-drain" | "backend-undrain" => backend(form),
        "peer-drain" | "peer-undrain" | "peer-forget" => peer(form),
        "model-load" | "model-unload" => model(form),
        "key-add" | "key-revoke" => key(form),
        "mesh-invite" | "mesh-close" | "mesh-join" => membership::call(form),
        _ => Err("This form asks for nothing that is known here: load the page again.".to_owned()),
    }
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>, done: impl Into<String>) -> Self {
        Call { method, path: path.into(), body: None, done: done.into(), seen: None }
    }

    pub(super) fn with(self, body: Value) -> Self {
        Call { body: Some(body), ..self }
    }

    /// Asked of the peer that `form` names, if that is another one.
    fn at_peer_of(self, form: &Form) -> Self {
        self.at(form.text("peer"))
    }

    /// Asked of the peer called so; of this one where that is nothing.
    pub(super) fn at(self, peer: &str) -> Self {
        if peer.is_empty() {
            return self;
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("peer", peer).finish();
        Call { path: format!("{}?{query}", self.path), ..self }
    }
}

fn backend(form: &Form) -> Result<Call, String> {
    if form.text("do") == "backend-add" {
        let body = form.object(&["url", "name", "type", "zone"], &["tier", "priority"])?;
        let done = format!("{} is a backend now.", form.needed("url")?);
        return Ok(Call::new(Method::POST, "/nexus/v1/backends", done).with(body).at_peer_of(form));
    }
    let name = form.needed("backend")?;
    let drain = format!("/nexus/v1/drain/{}", escaped(name));
    let call = match form.text("do") {
        "backend-drain" => Call::new(Method::POST, drain, format!("{name} finishes what it has and takes no more.")),
        "backend-undrain" => Call::new(Method::DELETE, drain, format!("{name} takes requests again.")),
        _ => Call::new(
            Method::DELETE,
            format!("/nexus/v1/backends/{}", escaped(name)),
            format!("Backend {name} is gone."),
        ),
    };
    Ok(call.at_peer_of(form))
}

fn peer(form: &Form) -> Result<Call, String> {
    let called = match form.text("peer") {
        "" => "This peer".to_owned(),
        peer => format!("Peer {peer}"),
    };
    match form.text("do") {
        "peer-drain" => {
            let done = format!("{called} finishes what it has and takes no more.");
            Ok(Call::new(Method::POST, "/nexus/v1/drain", done).at_peer_of(form))
        }
        "peer-undrain" => {
            let done = format!("{called} takes requests again.");
            Ok(Call::new(Method::DELETE, "/nexus/v1/drain", done).at_peer_of(form))
        }
        _ => {
            let name = form.needed("peer")?;
            let call = Call::new(
                Method::POST,
                "/nexus/v1/mesh/forget",
                format!("{called} is forgotten as soon as whoever knows of its rights agrees."),
            );
            Ok(call.with(json!({ "name": name })))
        }
    }
}

fn model(form: &Form) -> Result<Call, String> {
    let model = form.needed("model")?;
    let places = [("backend_id", form.text("backend")), ("peer", form.text("peer"))];
    let places = places.into_iter().filter(|(_, value)| !value.is_empty());
    if form.text("do") == "model-load" {
        let mut body = json!({ "model_id": model });
        places.for_each(|(key, value)| body[key] = value.into());
        return Ok(Call::new(Method::POST, "/v1/models/load", format!("{model} is being loaded.")).with(body));
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(places).finish();
    let path = format!("/v1/models/{}?{query}", escaped(model));
    Ok(Call::new(Method::DELETE, path.trim_end_matches('?'), format!("{model} is out of memory.")))
}

fn key(form: &Form) -> Result<Call, String> {
    let name = form.needed("name")?;
    if form.text("do") == "key-add" {
        let body = form.object(&["name"], &["monthly_limit_usd", "requests_per_minute", "tokens_per_minute"])?;
        return Ok(Call::new(Method::POST, "/nexus/v1/keys", format!("A key for {name} was made.")).with(body));
    }
    Ok(Call::new(Method::DELETE, format!("/nexus/v1/keys/{}", escaped(name)), format!("The key {name} is revoked.")))
}

/// What is asked before `form` is followed, where it cannot be undone.
pub(super) fn question(form: &Form, own: &Snapshot, peers: &Peers) -> Option<Question> {
    let ask = |question: String, effects: &[&str], button| {
        let effects = effects.iter().map(|effect| (*effect).to_owned()).collect();
        Some(Question { question, effects, button })
    };
    match form.text("do") {
        "backend-remove" => Some(removal(form.text("backend"), form.text("peer"), own, peers)),
        "key-revoke" => ask(
            format!("Revoke the key {}?", form.text("name")),
            &[
                "Whoever holds it is refused from now on, at every peer that can be reached.",
                "It cannot be made good again; a new key has another secret.",
            ],
            "Revoke it",
        ),
        "peer-forget" => ask(
            format!("Forget the peer {}?", form.text("peer")),
            &[
                "Its rights to spend are handed on to the others, as soon as all that may know of them agree.",
                "Do this only if it is lost for good: should it come back, what it spends besides is not covered.",
            ],
            "Forget it",
        ),
        _ => None,
    }
}

/// Models that a question names.
const MODELS_NAMED: usize = 12;

fn removal(name: &str, at: &str, own: &Snapshot, peers: &Peers) -> Question {
    let question =
        format!("Remove the backend {name}{}?", if at.is_empty() { String::new() } else { format!(" of peer {at}") });
    let Some((in_flight, models, is_in_file)) = removed(name, at, own, peers) else {
        let effects = vec![format!("Nothing: no backend there is called {name}.")];
        return Question { question, effects, button: "Remove it" };
    };
    let mut effects = vec![format!("It takes no more requests; those that it has now ({in_flight}) are finished.")];
    let elsewhere = |model: &str| {
        let here = own.offering(model).iter().any(|offered| !at.is_empty() || offered.entry.spec.name != name);
        here || peers.offering(model).any(|(peer, backend, _)| peer.name != at || backend.about.name != name)
    };
    let (kept, lost): (Vec<&Arc<Model>>, Vec<_>) = models.iter().partition(|model| elsewhere(&model.id));
    if !lost.is_empty() {
        let more = lost.len().saturating_sub(MODELS_NAMED);
        let named: Vec<&str> = lost.iter().take(MODELS_NAMED).map(|model| model.id.as_str()).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        effects.push(format!("Nobody else has {}{more}: requests for that are refused.", named.join(", ")));
    }
    if !kept.is_empty() {
        effects.push(format!("{} of its models are served by others.", kept.len()));
    }
    if is_in_file {
        effects.push("It is in the configuration file: when its peer is started anew, it is back.".to_owned());
    }
    Question { question, effects, button: "Remove it" }
}

/// What a backend of this peer, or of the one called `at`, has to do, and whether it is in the configuration.
fn removed(name: &str, at: &str, own: &Snapshot, peers: &Peers) -> Option<(u32, Vec<Arc<Model>>, bool)> {
    if at.is_empty() {
        let entry = own.get(name)?;
        let is_in_file = entry.spec.source == crate::fleet::Source::Static;
        return Some((entry.load().in_flight, entry.condition().models.clone(), is_in_file));
    }
    let peer = peers.list.iter().find(|peer| peer.name == at)?;
    let backend = peer.backends.iter().find(|backend| backend.about.name == name)?;
    Some((backend.load.in_flight, backend.models.clone(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_the_calls_of_the_command_line() {
        let of = |text: &str| call(&Form::read(text.as_bytes()));
        let added = of("do=backend-add&url=http://h:1&name=&type=ollama&tier=3").expect("a call");
        assert_eq!(added.body, Some(json!({"url": "http://h:1", "type": "ollama", "tier": 3})));
        let removed = of("do=backend-remove&backend=org/a+b%3F").expect("a call");
        assert_eq!(removed.path, "/nexus/v1/backends/org/a%20b%3F");
        let unloaded = of("do=model-unload&model=m:1&backend=a%26b").expect("a call");
        assert_eq!(unloaded.path, "/v1/models/m:1?backend_id=a%26b");
        assert_eq!(of("do=model-unload&model=m").expect("a call").path, "/v1/models/m");
        let drained = of("do=backend-drain&backend=gpu&peer=far+one").expect("a call");
        assert_eq!((drained.method, drained.path.as_str()), (Method::POST, "/nexus/v1/drain/gpu?peer=far+one"));
        for bad in ["", "do=format-disk", "do=backend-remove&backend=+", "do=backend-add&url=x&tier=much"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
