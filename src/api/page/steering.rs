//! Forms that change configuration files: of this peer, of another one, or of every peer whose file was shown. A form tells which
//! state of each file its reader has seen, so that nobody overwrites what somebody else has done; what would protect less is
//! asked about first.

use std::time::Duration;

use axum::response::Response;
use futures_util::future::join_all;
use http::Method;
use http::request::Parts as Head;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::actions::{Call, Form, Question};
use super::manage::{answered, ask, back, tagged};
use super::{Page, asked};
use crate::dashboard::{Name, OfPeer, Settings, escaped};
use crate::fleet::PeerState;

/// Other peers whose files are shown at once.
const MOST_PEERS: usize = 16;

/// How long another peer may take to say what its file says: the page waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What files say: where it stands, and under which key it is told.
const TOLD: [(&str, &str); 3] =
    [("/nexus/v1/aliases", "aliases"), ("/nexus/v1/fallbacks", "fallbacks"), ("/nexus/v1/policies", "policies")];

/// Whether a form is one of these.
pub(super) fn is_one(wish: &str) -> bool {
    let kinds = ["alias-set", "alias-remove", "fallback-set", "fallback-remove", "policy-set", "policy-remove"];
    kinds.contains(&wish) || matches!(wish, "budget-set" | "config-reload")
}

/// What the configuration files of the peers say, and which state of them that is.
pub(super) async fn settings(page: &Page, head: &Head) -> Settings {
    let mut settings = Settings::default();
    let own = of_peer(page, head, OfPeer::new(&page.own_name(), true)).await;
    let (others, left_out) = others(page);
    let others = others.into_iter().map(async |name| {
        let slow = || (Name::of(&name), Name::of("It did not answer in time."));
        let told = timeout(PATIENCE, of_peer(page, head, OfPeer::new(&name, false))).await;
        told.unwrap_or_else(|_| Err(slow()))
    });
    for told in std::iter::once(own).chain(join_all(others).await) {
        match told {
            Ok(of) => settings.peers.push(of),
            Err(why) => settings.untold.push(why),
        }
    }
    if left_out > 0 {
        let why = format!("Files of {MOST_PEERS} others are shown at once: manage the rest at another peer.");
        settings.untold.push((Name::of(&format!("{left_out} more peers")), Name::within(&why, 200)));
    }
    if let Some(pattern) = asked(&head.uri, "policy") {
        settings.edit(&pattern, &asked(&head.uri, "peer").unwrap_or_default());
    }
    settings
}

/// The names of the living peers that take orders, as many as are asked, and how many more there are. Nobody in an open mesh
/// takes any.
fn others(page: &Page) -> (Vec<String>, usize) {
    let Some(mesh) = page.parts.view.mesh.as_ref().filter(|mesh| mesh.is_keyed()) else { return (Vec::new(), 0) };
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let living = peers.list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead);
    let mut names: Vec<String> = living.map(|peer| peer.name.clone()).collect();
    let left_out = names.len().saturating_sub(MOST_PEERS);
    names.truncate(MOST_PEERS);
    (names, left_out)
}

async fn of_peer(page: &Page, head: &Head, mut of: OfPeer) -> Result<OfPeer, (Name, Name)> {
    let peer = if of.own { String::new() } else { of.peer.whole.clone() };
    for (path, key) in TOLD {
        let call = Call::new(Method::GET, path, "").at(&peer);
        match tagged(page, head, call, false).await {
            Ok((told, tag)) => {
                of.saw(tag);
                of.read(key, &told[key]);
            }
            // Without a file of its own this peer is shown empty.
            Err(_) if of.own => {}
            Err(why) => return Err((of.peer, Name::within(&why, 200))),
        }
    }
    Ok(of)
}

/// Does what `form` asks for, or asks whether it is meant.
pub(super) async fn act(page: &Page, head: &Head, form: &Form) -> Response {
    let calls = match calls(form) {
        Ok(calls) => calls,
        Err(wrong) => return back(page, false, wrong),
    };
    let wish = form.text("do");
    if !form.is_sure() && matches!(wish, "policy-set" | "policy-remove" | "budget-set") {
        match weakened(page, head, &calls).await {
            Err(why) => return back(page, false, why),
            Ok(effects) if effects.is_empty() && wish != "policy-remove" => {}
            Ok(effects) => return ask(page, head, form, question(form, effects)),
        }
    }
    let (mut done, mut refused, mut warnings) = (Vec::new(), Vec::new(), String::new());
    let what = calls.first().map(|(_, call)| call.done.clone()).unwrap_or_default();
    for (peer, call) in calls {
        match answered(page, head, call).await {
            Ok(told) => {
                done.push(called(&peer));
                let told = told["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let of_policies =
                    told.filter(|warning| wish == "policy-set" && warning.starts_with("routing.policies"));
                warnings.extend(of_policies.map(|warning| format!(" At {}: {warning}.", called(&peer))));
            }
            Err(why) => refused.push((called(&peer), why)),
        }
    }
    let mut text = match done.as_slice() {
        [] => String::new(),
        [only] if only == HERE && refused.is_empty() => what,
        all => format!("At {}: {what}", all.join(", ")),
    };
    for (peer, why) in &refused {
        text.push_str(&if peer == HERE && done.is_empty() {
            format!(" {why}")
        } else {
            format!(" At {peer} not: {why}")
        });
    }
    back(page, refused.is_empty(), text + &warnings)
}

const HERE: &str = "this peer";

fn called(peer: &str) -> String {
    if peer.is_empty() { HERE.to_owned() } else { peer.to_owned() }
}

/// What would protect less, at every peer that is meant; of one of several that does not say, that this is so.
async fn weakened(page: &Page, head: &Head, calls: &[(String, Call)]) -> Result<Vec<String>, String> {
    let mut effects = Vec::new();
    for (peer, call) in calls {
        let told = tagged(page, head, call.clone(), true).await;
        let at = if calls.len() > 1 { format!("At {}: ", called(peer)) } else { String::new() };
        match told {
            Ok((told, _)) => {
                let sentences = told["weakens"].as_array().into_iter().flatten().filter_map(Value::as_str);
                effects.extend(sentences.map(|sentence| format!("{at}{sentence}.")));
            }
            Err(why) if calls.len() == 1 => return Err(why),
            // What it refuses now it may do a moment later.
            Err(why) => effects.push(format!("{at}what this would do is not known: {why}")),
        }
    }
    Ok(effects)
}

fn question(form: &Form, mut effects: Vec<String>) -> Question {
    let pattern = form.text("pattern");
    if form.text("do") == "policy-remove" {
        if effects.is_empty() {
            effects.push("It demands nothing that would be missed.".to_owned());
        }
        return Question { question: format!("Remove the policy for {pattern}?"), effects, button: "Remove it" };
    }
    if form.text("do") == "budget-set" {
        return Question { question: "Let more be spent than before?".to_owned(), effects, button: "Set it" };
    }
    Question { question: format!("Protect {pattern} less than before?"), effects, button: "Set it all the same" }
}

/// The calls that `form` stands for, each with whose file it changes.
///
/// # Errors
/// What is wrong with the form.
fn calls(form: &Form) -> Result<Vec<(String, Call)>, String> {
    let call = call(form)?;
    let at = |(peer, seen): (String, Option<String>)| {
        let call = Call { seen, ..call.clone().at(&peer) };
        (peer, call)
    };
    Ok(targets(form)?.into_iter().map(at).collect())
}

/// Whose files are meant, each with the state of it that the reader has seen. This peer has no name here.
fn targets(form: &Form) -> Result<Vec<(String, Option<String>)>, String> {
    let seen = |tag: &str| Some(tag.to_owned()).filter(|tag| !tag.is_empty());
    let own = || (String::new(), seen(form.text("seen")));
    if form.text("everywhere") == "yes" {
        let others = form.all_after("seen:").map(|(peer, tag)| (peer.to_owned(), seen(tag)));
        return Ok(std::iter::once(own()).chain(others).collect());
    }
    match form.text("peer") {
        "" => Ok(vec![own()]),
        peer => {
            let mut shown = form.all_after("seen:").filter(|(name, _)| *name == peer);
            let shown = shown.next().map(|(_, tag)| vec![(peer.to_owned(), seen(tag))]);
            shown
                .ok_or_else(|| format!("What the file of {peer} says was not shown here: choose a peer whose file is."))
        }
    }
}

fn call(form: &Form) -> Result<Call, String> {
    let place = |kind: &str, field| form.needed(field).map(|name| format!("/nexus/v1/{kind}/{}", escaped(name)));
    let (name, pattern) = (form.text("name"), form.text("pattern"));
    Ok(match form.text("do") {
        "alias-set" => {
            let target = form.needed("target")?;
            Call::new(Method::PUT, place("aliases", "name")?, format!("{name} stands for {target} now."))
                .with(json!({ "target": target }))
        }
        "alias-remove" => Call::new(Method::DELETE, place("aliases", "name")?, format!("{name} is no alias any more.")),
        "fallback-set" => {
            let models = form.needed("models")?.split(',').map(str::trim).filter(|model| !model.is_empty());
            let models: Vec<&str> = models.collect();
            let done = format!("{} may answer instead of {name} now.", models.join(", "));
            Call::new(Method::PUT, place("fallbacks", "name")?, done).with(json!({ "models": models }))
        }
        "fallback-remove" => Call::new(
            Method::DELETE,
            place("fallbacks", "name")?,
            format!("Nothing answers instead of {name} any more."),
        ),
        "policy-set" => {
            Call::new(Method::PATCH, place("policies", "pattern")?, format!("The policy for {pattern} holds now."))
                .with(change(form)?)
        }
        "policy-remove" => Call::new(
            Method::DELETE,
            place("policies", "pattern")?,
            format!("There is no policy for {pattern} any more."),
        ),
        "budget-set" => {
            let body = form.object(&["hard_limit_action"], &["monthly_limit_usd", "soft_limit_percent"])?;
            if body.as_object().is_none_or(Map::is_empty) {
                return Err("Nothing of the budget is to change: fill in what is.".to_owned());
            }
            Call::new(Method::PATCH, "/nexus/v1/budget", "The budget is set.").with(body)
        }
        _ => Call::new(Method::POST, "/nexus/v1/config/reload", "The configuration file was read again."),
    })
}

/// What of a policy is to be another: what was filled in, and of one that was shown to be edited all of it.
fn change(form: &Form) -> Result<Value, String> {
    let filled = form.object(&["privacy"], &["min_tier", "max_cost_per_request"])?;
    let mut change: Map<String, Value> = filled.as_object().cloned().unwrap_or_default();
    match form.text("fallback") {
        "" => {}
        "yes" => drop(change.insert("fallback_allowed".to_owned(), true.into())),
        _ => drop(change.insert("fallback_allowed".to_owned(), false.into())),
    }
    if form.text("whole") == "yes" {
        for field in ["privacy", "min_tier", "max_cost_per_request", "fallback_allowed"] {
            change.entry(field).or_insert(Value::Null);
        }
    }
    if change.is_empty() {
        return Err("Nothing is to hold by this policy: fill in what is.".to_owned());
    }
    Ok(Value::Object(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<(String, Call)>, String> {
        calls(&Form::read(text.as_bytes()))
    }

    #[test]
    fn forms_become_the_calls_of_the_command_line() {
        let [(here, aliased)] = &of("do=alias-set&name=gpt-4&target=llama3&seen=abc").expect("a call")[..] else {
            panic!("one")
        };
        assert_eq!(
            (here.as_str(), aliased.path.as_str(), aliased.seen.as_deref()),
            ("", "/nexus/v1/aliases/gpt-4", Some("abc"))
        );
        let chain = &of("do=fallback-set&name=big&models=a,+b+,").expect("a call")[0].1;
        assert_eq!(chain.body, Some(json!({"models": ["a", "b"]})));
        for bad in [
            "do=alias-set&name=a",
            "do=policy-set&pattern=x",
            "do=policy-set&pattern=x&min_tier=high",
            "do=alias-remove",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    /// A form that was left half empty once took away what stood there.
    #[test]
    fn an_empty_field_takes_away_only_what_was_shown() {
        let body = |text: &str| of(text).expect("a call")[0].1.body.clone().expect("a body");
        assert_eq!(body("do=policy-set&pattern=x&privacy=&min_tier=4"), json!({"min_tier": 4}));
        assert_eq!(
            body("do=policy-set&pattern=x&whole=yes&privacy=restricted&min_tier=&fallback=no"),
            json!({"privacy": "restricted", "fallback_allowed": false, "min_tier": null, "max_cost_per_request": null})
        );
    }

    #[test]
    fn a_form_is_for_the_peers_whose_files_were_shown() {
        let shown = "name=a&target=b&seen=1&seen:attic=2&seen:far+one=";
        let there = of(&format!("do=alias-set&peer=attic&{shown}")).expect("a call");
        assert_eq!(there.len(), 1);
        assert_eq!(
            (there[0].1.path.as_str(), there[0].1.seen.as_deref()),
            ("/nexus/v1/aliases/a?peer=attic", Some("2"))
        );
        assert!(of(&format!("do=alias-set&peer=cellar&{shown}")).is_err(), "what it says was not shown");
        let all = of(&format!("do=alias-set&everywhere=yes&{shown}")).expect("calls");
        let seen: Vec<_> = all.iter().map(|(peer, call)| (peer.as_str(), call.seen.as_deref())).collect();
        assert_eq!(seen, [("", Some("1")), ("attic", Some("2")), ("far one", None)]);
    }
}
