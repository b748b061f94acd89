//! What a plan without a step means for the client, and what it is told of the reasons. Data only: status codes and
//! error bodies are for the dialect.

use serde_json::{Value, json};

use super::plan::Plan;
use super::rejection::{Capability, Rejection, Rule, Why};
use crate::fleet::Zone;

/// The most that the header with all reasons may hold, in bytes.
pub const MAX_DETAILS: usize = 4096;

/// What a plan means for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is something to try.
    Serve,
    /// Nobody has the model.
    NotFound,
    /// Whoever has it is known not to be able to do what is asked: these words say what.
    Incapable(Vec<&'static str>),
    /// Whoever has it has no such endpoint.
    NoEndpoint,
    /// Somebody has it, but none who is well.
    NoHealthyBackend,
    /// Somebody well has it, but policies leave none.
    RejectedByPolicy,
}

impl Plan {
    /// What the plan means for the client.
    pub fn verdict(&self) -> Verdict {
        if !self.steps.is_empty() {
            return Verdict::Serve;
        }
        if !self.known {
            return Verdict::NotFound;
        }
        if self.rejections.iter().all(|rejection| rejection.why == Why::NoEndpoint) {
            return Verdict::NoEndpoint;
        }
        if let Some(missing) = self.incapable() {
            return Verdict::Incapable(missing);
        }
        if self.rejections.iter().any(|rejection| rejection.rule().is_policy()) {
            return Verdict::RejectedByPolicy;
        }
        Verdict::NoHealthyBackend
    }

    /// Tokens that the request needs and the most that any place holds, where it is too long for all that have the model.
    pub fn too_long(&self) -> Option<(u64, u64)> {
        let lacks = self.rejections.iter().flat_map(|rejection| match &rejection.why {
            Why::Lacks(lacks) => lacks.as_slice(),
            _ => &[],
        });
        let limits = lacks.filter_map(|lacks| match *lacks {
            Capability::Context { limit, needed } => Some((needed, limit)),
            _ => None,
        });
        limits.max_by_key(|(_, limit)| *limit)
    }

    /// What is missing, if no place can ever serve the request.
    pub fn incapable(&self) -> Option<Vec<&'static str>> {
        if !self.steps.is_empty() || self.rejections.is_empty() {
            return None;
        }
        let mut missing = Vec::new();
        for rejection in &self.rejections {
            let Why::Lacks(lacks) = &rejection.why else { return None };
            for capability in lacks {
                if !missing.contains(capability) {
                    missing.push(*capability);
                }
            }
        }
        missing.sort();
        let mut words: Vec<&'static str> = missing.into_iter().map(|capability| capability.as_str()).collect();
        words.dedup();
        Some(words)
    }

    /// The `context` of a 503: each reason, who is there, what is demanded, and who would meet it but for something else.
    /// `here` is what this peer is called.
    pub fn context(&self, here: &str) -> Value {
        let reasons: Vec<Value> = self.rejections.iter().map(|rejection| reason(rejection, here)).collect();
        let well = |rejection: &&Rejection| !matches!(rejection.why, Why::Unusable(_));
        let mut available: Vec<&str> =
            self.rejections.iter().filter(well).map(|rejection| &**rejection.place.backend()).collect();
        available.sort_unstable();
        available.dedup();
        let mut context = json!({ "rejection_reasons": reasons, "available_backends": available });
        if let Some(tier) = self.tier {
            context["required_tier"] = tier.get().into();
        }
        if self.zone == Zone::Restricted {
            context["privacy_zone_required"] = self.zone.as_str().into();
        }
        if self.tier.is_some() || self.zone == Zone::Restricted {
            let qualified = self.rejections.iter().filter(|rejection| rejection.qualifies);
            context["would_satisfy"] = qualified.map(|rejection| qualified_place(rejection, here)).collect();
        }
        context
    }

    /// The rules that rejected any place, each once: `privacy, tier`.
    pub fn rejected_by(&self) -> String {
        let mut rules: Vec<Rule> = self.rejections.iter().map(Rejection::rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules.into_iter().map(Rule::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The value of `x-nexus-rejection-reasons`, for a 503 by policy only, from the reasons of its context.
pub fn rejection_summary(reasons: &[Value]) -> String {
    let (mut places, mut rules) = (Vec::new(), Vec::new());
    for reason in reasons {
        let place = (&reason["agent_id"], &reason["peer"]);
        if !places.contains(&place) {
            places.push(place);
        }
        let rule = reason["reconciler"].as_str().unwrap_or_default();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    format!("{} agents rejected by {}", places.len(), rules.join(", "))
}

/// The value of `x-nexus-rejection-details`: a JSON array of as many reasons as [`MAX_DETAILS`] bytes hold, in ASCII.
pub fn rejection_details(reasons: &[Value]) -> String {
    let mut details = String::from("[");
    for reason in reasons {
        let reason = ascii(&reason.to_string());
        let comma = if details.len() > 1 { "," } else { "" };
        if details.len() + comma.len() + reason.len() + 1 > MAX_DETAILS {
            break;
        }
        details.push_str(comma);
        details.push_str(&reason);
    }
    details.push(']');
    details
}

fn reason(rejection: &Rejection, here: &str) -> Value {
    json!({
        "agent_id": &**rejection.place.backend(),
        "peer": rejection.place.peer_name().map_or(here, |peer| peer),
        "reconciler": rejection.rule().as_str(),
        "reason": rejection.reason(),
        "suggested_action": rejection.suggested_action(),
    })
}

fn qualified_place(rejection: &Rejection, here: &str) -> Value {
    json!({
        "agent_id": &**rejection.place.backend(),
        "peer": rejection.place.peer_name().map_or(here, |peer| peer),
        "model": &*rejection.model,
        "tier": rejection.tier.get(),
        "zone": rejection.zone.as_str(),
        "reason": rejection.reason(),
    })
}

/// JSON with every character beyond ASCII as an escape, as headers want it.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\u{7f}' {
            escaped.push(character);
        } else {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}
