//! What requests were decided and what became of them, for people: this peer's own part, and that of the other peer where
//! there is one. In an open mesh, where nobody is proven, a peer is told of those requests alone in which it has a part.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Gateway;
use super::book::{Book, History, Names, Page};
use crate::exchange::{Order, Outcome};
use crate::fleet::PeerId;
use crate::mesh::Mesh;

/// How long another peer may take to tell its part.
const DEADLINE: Duration = Duration::from_secs(2);

impl Gateway {
    /// The requests of this peer.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// One line for a request, as the list of them has it.
    pub fn told_line(&self, page: &Page) -> Value {
        page.line(&self.here(), &self.entry_of(page))
    }

    /// What `read` makes of an entry of the history with the way of its request, once it has ended: see
    /// [`Page::read_history`].
    pub fn read_way<R>(&self, page: &Page, read: impl FnOnce(History<&str>) -> R) -> Option<R> {
        let (here, entry) = (self.here(), self.entry_of(page));
        page.read_history(Some(Names { here: &here, entry: &entry }), read)
    }

    /// How a request was decided, at its entry and at the owner of the backend; `None` where no such request is known.
    /// What cannot be had from the other peer is `null`, and `missing` says why.
    pub async fn decision(&self, id: &str) -> Option<Value> {
        let page = self.book.find(id)?;
        let ours = page.decision(&self.here(), &self.entry_of(&page));
        let other = page.from().cloned().or_else(|| page.asked_peer());
        let (theirs, missing) = match other {
            None => (Value::Null, Value::Null),
            Some(peer) => match self.ask_decision(&peer, id).await {
                Ok(theirs) => (theirs, Value::Null),
                Err(why) => (Value::Null, json!({ "peer": self.name_of(&peer), "reason": why })),
            },
        };
        let (entry, owner) = if page.is_from_peer() { (theirs, ours) } else { (ours, theirs) };
        Some(json!({ "entry": entry, "owner": owner, "missing": missing }))
    }

    /// How a request was decided in which this peer has no part, as `entry` and `owner` tell it; `None` where neither does.
    /// What cannot be had is `null`, and `missing` says why.
    pub async fn decision_of_others(&self, id: &str, entry: Option<PeerId>, owner: Option<PeerId>) -> Option<Value> {
        let ask = async |peer: Option<PeerId>| match peer {
            None => (Value::Null, Value::Null),
            Some(peer) => match self.ask_decision(&peer, id).await {
                Ok(told) => (told, Value::Null),
                Err(why) => (Value::Null, json!({ "peer": self.name_of(&peer), "reason": why })),
            },
        };
        let ((entry, no_entry), (owner, no_owner)) = tokio::join!(ask(entry), ask(owner));
        let unheard = |name: &Value| json!({ "peer": name, "reason": "it has not told of the request" });
        let missing = match (entry.is_null(), owner.is_null()) {
            (true, true) => return None,
            (true, false) if no_entry.is_null() => unheard(&owner["entry"]),
            (true, false) => no_entry,
            (false, true) if !no_owner.is_null() => no_owner,
            (false, true) if entry["peer"].is_string() && entry["peer"] != entry["told_by"] => unheard(&entry["peer"]),
            (false, _) => Value::Null,
        };
        Some(json!({ "entry": entry, "owner": owner, "missing": missing }))
    }

    /// Our part of a request, for another peer: a proven one may see it on its page as it may on ours, where nobody needs a
    /// key for it; any other only where it has a part in it itself.
    pub fn decision_for(&self, peer: &PeerId, id: &str) -> Option<Value> {
        let is_proven = self.mesh.as_ref().is_some_and(Mesh::is_keyed);
        let page = self.book.find(id).filter(|page| is_proven || page.concerns(peer))?;
        let mut told = page.decision(&self.here(), &self.entry_of(&page));
        shorten(&mut told);
        Some(told)
    }

    async fn ask_decision(&self, peer: &PeerId, id: &str) -> Result<Value, String> {
        let mesh = self.mesh.as_ref().ok_or("the mesh is off")?;
        match mesh.order(peer, Order::Decision { id: id.to_owned() }, DEADLINE).await {
            Ok(Outcome::Decision { told: Some(told) }) => Ok(told),
            Ok(_) => Err("it does not remember the request".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The name of the peer that the client of a request asked.
    fn entry_of(&self, page: &Page) -> String {
        page.from().map_or_else(|| self.here().to_string(), |peer| self.name_of(peer))
    }

    fn name_of(&self, peer: &PeerId) -> String {
        let named = self.mesh.as_ref().and_then(|mesh| mesh.peers().get(peer).map(|peer| peer.name.clone()));
        named.unwrap_or_else(|| peer.short().to_owned())
    }
}

/// What fits into one frame between peers, with room for what is around it.
const MOST_BYTES: usize = 56 << 10;

/// Lets the last candidates go until the rest fits into a frame. What they were ranked by stands at the other peer, too.
fn shorten(told: &mut Value) {
    while told.to_string().len() > MOST_BYTES {
        let Some(list) = told["candidates"].as_array_mut().filter(|list| !list.is_empty()) else { return };
        let gone = list.len().div_ceil(2);
        list.truncate(list.len() - gone);
        told["candidates_left_out"] = (told["candidates_left_out"].as_u64().unwrap_or(0) + gone as u64).into();
    }
}
