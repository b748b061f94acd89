//! What happens in the mesh, as people follow it: who comes and goes, what falls ill and is well again, what money and keys
//! do. The last ones are kept; who follows hears of each once. What an event means is known to whoever publishes it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::broadcast;

use crate::env::Clock;
use crate::exchange::text;

/// Events that are kept.
pub const MOST: usize = 256;

/// Characters of a name or a message.
const MOST_CHARACTERS: usize = 512;

/// Something has happened.
#[derive(Clone, Debug)]
pub struct Event {
    kind: Cow<'static, str>,
    message: String,
    about: Vec<(&'static str, Value)>,
}

impl Event {
    /// Of a kind, which is one word for programs; `message` is for people.
    pub fn new(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Event { kind: kind.into(), message: message.into(), about: Vec::new() }
    }

    /// What it is about: a `peer`, a `backend`, a `model`, a `key`.
    #[must_use]
    pub fn about(mut self, what: &'static str, name: impl Into<String>) -> Self {
        let name: String = name.into();
        self.about.push((what, cut(&name).into()));
        self
    }
}

/// An event that was published.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// Names it among all of this peer, even after a restart.
    pub id: String,
    /// All of it, as JSON in one line.
    pub json: String,
    number: u64,
}

/// The events of this peer.
pub struct Events {
    clock: Arc<dyn Clock>,
    began: u64,
    kept: Mutex<Kept>,
    live: broadcast::Sender<Arc<Told>>,
}

#[derive(Default)]
struct Kept {
    published: u64,
    last: VecDeque<Arc<Told>>,
}

impl Events {
    /// Nothing has happened.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let began = clock.unix_seconds();
        Events { clock, began, kept: Mutex::default(), live: broadcast::Sender::new(MOST) }
    }

    /// Tells everybody who follows.
    pub fn publish(&self, event: Event) {
        let at = i64::try_from(self.clock.unix_millis()).ok();
        let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        let mut kept = self.lock();
        kept.published += 1;
        let number = kept.published;
        let id = format!("{}-{number}", self.began);
        let mut told = Map::new();
        told.insert("id".to_owned(), id.clone().into());
        told.insert("at".to_owned(), at.to_string().into());
        told.insert("kind".to_owned(), cut(&event.kind).into());
        for (what, name) in event.about {
            told.insert(what.to_owned(), name);
        }
        told.insert("message".to_owned(), cut(&event.message).into());
        let told = Arc::new(Told { id, json: Value::Object(told).to_string(), number });
        if kept.last.len() == MOST {
            kept.last.pop_front();
        }
        kept.last.push_back(told.clone());
        // With the lock, so that who begins to follow misses none and hears none twice.
        let _ = self.live.send(told);
    }

    /// The last events, oldest first.
    pub fn last(&self, most: usize) -> Vec<Arc<Told>> {
        let kept = self.lock();
        kept.last.iter().skip(kept.last.len().saturating_sub(most)).cloned().collect()
    }

    /// Those after `id`, as far as they are kept, else the last `most`; and every one from now on.
    pub fn follow(&self, id: Option<&str>, most: usize) -> (Vec<Arc<Told>>, broadcast::Receiver<Arc<Told>>) {
        let kept = self.lock();
        let seen = id.map(|id| {
            let (began, number) = id.split_once('-').unwrap_or_default();
            let is_ours = began.parse() == Ok(self.began);
            // Of before a restart: everything since is news.
            number.parse().ok().filter(|_| is_ours).unwrap_or(0)
        });
        let first = seen.map_or(kept.published.saturating_sub(most as u64), |seen: u64| seen);
        let missed = kept.last.iter().filter(|told| told.number > first).cloned().collect();
        (missed, self.live.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(text: &str) -> &str {
    text::cut(text, MOST_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events::new(crate::env::Env::real().clock)
    }

    #[test]
    fn who_comes_back_is_told_what_it_missed_and_nothing_twice() {
        let events = events();
        for number in 0..5 {
            events.publish(Event::new("peer_joined", format!("{number}")).about("peer", "gpu-box"));
        }
        let ids = |list: &[Arc<Told>]| list.iter().map(|told| told.id.clone()).collect::<Vec<_>>();
        let all = events.last(MOST);
        assert_eq!(all.len(), 5);
        let told: Value = serde_json::from_str(&all[0].json).expect("JSON");
        assert_eq!(
            (&told["kind"], &told["peer"], &told["message"]),
            (&"peer_joined".into(), &"gpu-box".into(), &"0".into())
        );
        assert_eq!(ids(&events.follow(Some(&all[2].id), 0).0), ids(&all[3..]));
        assert_eq!(ids(&events.follow(None, 2).0), ids(&all[3..]));
        assert!(events.follow(None, 0).0.is_empty());
        assert_eq!(events.follow(Some("1-4"), 0).0.len(), 5, "another life of this peer");
        assert_eq!(events.follow(Some("nonsense"), 0).0.len(), 5);
    }

    #[test]
    fn the_last_are_kept_and_a_slow_follower_is_told_that_it_missed_some() {
        let events = events();
        let (_, mut slow) = events.follow(None, 0);
        for _ in 0..2 * MOST {
            events.publish(Event::new("x", "é".repeat(10_000)));
        }
        assert_eq!(events.last(usize::MAX).len(), MOST);
        assert!(matches!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
        assert!(events.last(1)[0].json.len() < 2_000);
    }
}
