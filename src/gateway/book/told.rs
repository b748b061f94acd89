//! A page as people read it: an entry of the history, a line of the list of requests, or the whole decision. Made when
//! somebody asks. Who is who is known by whoever asks.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::page::{self, MOST_NAME, Page, State, Tried};
use crate::exchange::text::{cut, push_json, push_number};
use crate::gateway::explain;
use crate::route::{Place, Plan};

/// What stands for a backend where none was asked.
const NONE: &str = "none";

/// Characters of what went wrong in an entry of the history.
const MOST_ERROR: usize = 1_024;

/// An ended request, as `/v1/history` and `/ws` tell it. What is written at once is borrowed: see [`Page::read_history`].
#[derive(Debug, Serialize)]
pub struct History<T = String> {
    /// When it ended, in seconds since 1970.
    pub timestamp: u64,
    /// The model that was asked for, after aliases, or the one that served.
    pub model: T,
    /// The name of the backend, or `none`.
    pub backend_id: T,
    /// From its coming to its end.
    pub duration_ms: u64,
    /// `Success` or `Error`.
    pub status: &'static str,
    /// What went wrong.
    pub error_message: Option<T>,
    /// Names it to `/nexus/v1/requests/{id}`.
    pub request_id: T,
    /// Where it came from and went, for those who see the whole mesh.
    #[serde(flatten)]
    pub way: Option<Way<T>>,
}

/// The way of a request through the mesh.
#[derive(Debug, Serialize)]
pub struct Way<T = String> {
    /// `client`, or `peer` where another peer forwarded it.
    pub origin: &'static str,
    /// The name of the peer that its client asked.
    pub entry: T,
    /// The name of the peer whose backend was asked; `None` where none was.
    pub peer: Option<T>,
}

/// Two peers, as people call them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// This one.
    pub here: &'a str,
    /// The one that the client of a request asked.
    pub entry: &'a str,
}

impl History {
    /// The entry of an ended request with its way, of a [`Page::line`] that any peer may have told; `None` where it does not
    /// say when it ended.
    pub fn of_line(line: &Value) -> Option<Self> {
        let text = |key: &str| line[key].as_str().map(|text| cut(text, MOST_NAME).to_owned());
        let came = line["since"].as_str()?.parse::<jiff::Timestamp>().ok()?;
        let duration_ms = line["elapsed_ms"].as_u64()?;
        let way = Way {
            origin: if line["origin"] == "peer" { "peer" } else { "client" },
            entry: text("entry").unwrap_or_default(),
            peer: text("peer"),
        };
        Some(History {
            timestamp: u64::try_from(came.as_millisecond()).ok()?.saturating_add(duration_ms) / 1_000,
            model: text("served_model").or_else(|| text("model")).unwrap_or_default(),
            backend_id: text("backend").unwrap_or_else(|| NONE.to_owned()),
            duration_ms,
            status: if line["state"] == State::Done.as_str() { "Success" } else { "Error" },
            error_message: line["error"].as_str().map(|error| cut(error, MOST_ERROR).to_owned()),
            request_id: text("id").unwrap_or_default(),
            way: Some(way),
        })
    }

    /// Such an entry as another peer has told it, whatever that says; `None` where it is none.
    pub fn of_entry(told: &Value) -> Option<Self> {
        let text = |key: &str| told[key].as_str().map(|text| cut(text, MOST_NAME).to_owned());
        let way = Way {
            origin: if told["origin"] == "peer" { "peer" } else { "client" },
            entry: text("entry")?,
            peer: text("peer"),
        };
        Some(History {
            timestamp: told["timestamp"].as_u64()?,
            model: text("model")?,
            backend_id: text("backend_id")?,
            duration_ms: told["duration_ms"].as_u64()?,
            status: if told["status"] == "Success" { "Success" } else { "Error" },
            error_message: told["error_message"].as_str().map(|error| cut(error, MOST_ERROR).to_owned()),
            request_id: text("request_id")?,
            way: Some(way),
        })
    }
}

impl<T: AsRef<str>> History<T> {
    /// Appends it as JSON, letter by letter as it is serialized: everybody who follows is told of every request.
    pub fn push(&self, to: &mut String) {
        let push_json_or_null = |to: &mut String, text: Option<&str>| match text {
            Some(text) => push_json(to, text),
            None => to.push_str("null"),
        };
        to.push_str(r#"{"timestamp":"#);
        push_number(to, self.timestamp);
        to.push_str(r#","model":"#);
        push_json(to, self.model.as_ref());
        to.push_str(r#","backend_id":"#);
        push_json(to, self.backend_id.as_ref());
        to.push_str(r#","duration_ms":"#);
        push_number(to, self.duration_ms);
        to.push_str(r#","status":"#);
        push_json(to, self.status);
        to.push_str(r#","error_message":"#);
        push_json_or_null(to, self.error_message.as_ref().map(T::as_ref));
        to.push_str(r#","request_id":"#);
        push_json(to, self.request_id.as_ref());
        if let Some(way) = &self.way {
            to.push_str(r#","origin":"#);
            push_json(to, way.origin);
            to.push_str(r#","entry":"#);
            push_json(to, way.entry.as_ref());
            to.push_str(r#","peer":"#);
            push_json_or_null(to, way.peer.as_ref().map(T::as_ref));
        }
        to.push('}');
    }

    /// The same with so many characters of each name and of the error at most.
    pub fn shortened(&self, characters: usize) -> History<&str> {
        let request_id = self.request_id.as_ref();
        History { request_id, ..self.map(|text| cut(text.as_ref(), characters)) }
    }

    /// The same with every text as `of` makes it.
    fn map<'a, U>(&'a self, of: impl Fn(&'a T) -> U) -> History<U> {
        let way = |way: &'a Way<T>| Way { origin: way.origin, entry: of(&way.entry), peer: way.peer.as_ref().map(&of) };
        History {
            timestamp: self.timestamp,
            model: of(&self.model),
            backend_id: of(&self.backend_id),
            duration_ms: self.duration_ms,
            status: self.status,
            error_message: self.error_message.as_ref().map(&of),
            request_id: of(&self.request_id),
            way: self.way.as_ref().map(way),
        }
    }
}

impl Page {
    /// The entry of the history; `None` while it is under way.
    pub fn history(&self) -> Option<History> {
        self.read_history(None, |entry| entry.map(|text| (*text).to_owned()))
    }

    /// What `read` makes of the entry of the history, with its way for those who know the names of the peers; `None` while it
    /// is under way. Whoever writes on the page waits for `read`, which is not to ask for anything else of it.
    pub fn read_history<R>(&self, names: Option<Names<'_>>, read: impl FnOnce(History<&str>) -> R) -> Option<R> {
        let way = self.way();
        let ended = way.ended.as_ref()?;
        let last = way.attempts.last();
        let model = last.map_or_else(|| way.resolved(), |tried| tried.model.as_str());
        let way_of = |Names { here, entry }| {
            let peer = last.map(|tried| tried.place.peer_name().map_or(here, |name| &**name));
            Way { origin: self.origin(), entry, peer }
        };
        Some(read(History {
            timestamp: self.began_ms.saturating_add(millis(ended.took)) / 1_000,
            model: cut(model, MOST_NAME),
            backend_id: cut(last.map_or(NONE, |tried| tried.place.backend()), MOST_NAME),
            duration_ms: millis(ended.took),
            status: if way.state == State::Done { "Success" } else { "Error" },
            error_message: ended.error.as_deref().map(|error| cut(error, MOST_ERROR)),
            request_id: self.id.as_str(),
            way: names.map(way_of),
        }))
    }

    fn origin(&self) -> &'static str {
        if self.is_from_peer() { "peer" } else { "client" }
    }

    /// One line of the list of requests. `here` is this peer, `entry` the one that its client asked.
    pub fn line(&self, here: &str, entry: &str) -> Value {
        let way = self.way();
        let last = way.attempts.last();
        let ended = way.ended.as_ref();
        let (prompt, completion) = ended.and_then(|ended| ended.tokens).unzip();
        let retries = way.attempts.len().saturating_sub(1) + way.attempts_left_out as usize;
        json!({
            "id": self.id,
            "state": way.state.as_str(),
            "model": way.asked,
            "served_model": last.map(|tried| &tried.model),
            "endpoint": self.endpoint.path(&way.asked),
            "stream": way.stream,
            "client": self.client(),
            "origin": self.origin(),
            "entry": entry,
            "peer": last.map(|tried| tried.place.peer_name().map_or(here, |name| name)),
            "backend": last.map(|tried| tried.place.backend()),
            "since": stamp(self.began_ms),
            "elapsed_ms": millis(ended.map_or_else(|| self.began.elapsed(), |ended| ended.took)),
            "queued_ms": millis(way.queued()),
            "first_byte_ms": way.first_byte().map(millis),
            "status_code": ended.map(|ended| ended.status).filter(|status| *status > 0),
            "error": ended.and_then(|ended| ended.error.as_deref()),
            "error_type": ended.and_then(|ended| ended.error_type),
            "tokens_prompt": prompt,
            "tokens_completion": completion,
            "cost_usd": ended.and_then(|ended| ended.cost_usd),
            "retries": retries,
        })
    }

    /// All of it: how it was decided and what came of it.
    pub fn decision(&self, here: &str, entry: &str) -> Value {
        let mut told = self.line(here, entry);
        let way = self.way();
        told["told_by"] = here.into();
        if let Some(chain) = &way.chain {
            told["resolved"] = cut(&chain.resolved, MOST_NAME).into();
            told["aliases"] = chain.steps.iter().map(|(from, to)| json!([from, to])).collect();
            told["fallbacks"] = chain.fallbacks.clone().into();
        }
        if let Some(plan) = &way.plan {
            told["strategy"] = json!(plan.strategy);
            told["zone"] = json!(plan.zone);
            told["tier"] = json!(plan.tier);
            told["candidates"] = candidates(plan, here);
        }
        told["candidates_left_out"] = way.left_out.into();
        told["plans"] = way.plans.into();
        told["attempts"] = way.attempts.iter().map(|tried| attempt(tried, here)).collect();
        told["attempts_left_out"] = way.attempts_left_out.into();
        told["route_reason"] = (!way.route_reason.is_empty()).then_some(way.route_reason).into();
        told
    }

    fn client(&self) -> Option<&str> {
        self.caller.as_ref().filter(|caller| !caller.is_stranger).map(|caller| caller.name.as_str())
    }
}

impl page::Way {
    fn resolved(&self) -> &str {
        self.chain.as_ref().map_or(&self.asked, |chain| &chain.resolved)
    }

    fn queued(&self) -> Duration {
        self.queued + self.in_line.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// From the coming of the request.
    fn first_byte(&self) -> Option<Duration> {
        let last = self.attempts.last().filter(|tried| tried.missed.is_none())?;
        Some(last.at + last.took?)
    }
}

fn candidates(plan: &Plan, here: &str) -> Value {
    let kept = plan.steps.iter().enumerate().map(|(at, step)| {
        let mut told = place(&step.place, &step.model, here);
        told["terms"] = json!({});
        explain::rank(&mut told, at, step);
        told["fact_age_ms"] = step.fact_age.map(millis).into();
        told["terms"]["full"] = step.full.into();
        told["terms"]["suspect"] = step.suspect.into();
        told["terms"]["residency"] = json!(step.residency);
        told["terms"]["zone"] = json!(step.zone);
        told
    });
    let rejected = plan.rejections.iter().map(|rejection| {
        let mut told = place(&rejection.place, &rejection.model, here);
        explain::reject(&mut told, rejection);
        told["terms"] = json!({ "zone": rejection.zone, "tier": rejection.tier });
        told
    });
    kept.chain(rejected).collect()
}

fn place(place: &Place, model: &str, here: &str) -> Value {
    json!({
        "peer": place.peer_name().map_or(here, |name| name),
        "backend": place.backend(),
        "model": cut(model, MOST_NAME),
    })
}

fn attempt(tried: &Tried, here: &str) -> Value {
    let result = match (&tried.missed, tried.took) {
        (Some(_), _) => "missed",
        (None, Some(_)) => "answered",
        (None, None) => "trying",
    };
    let mut told = place(&tried.place, &tried.model, here);
    told["at_ms"] = millis(tried.at).into();
    told["took_ms"] = tried.took.map(millis).into();
    told["result"] = result.into();
    told["reason"] = tried.missed.as_deref().into();
    told
}

/// A moment for people, RFC 3339 in UTC.
fn stamp(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or_default().to_string()
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
