//! `/slots` of a llama-server: which of its slots are at work. A server started with `--no-slots` does not tell.

use futures_util::future::join_all;
use serde_json::Value;

use super::at_model;
use crate::backend::ask::Ask;
use crate::backend::busy::Busy;
use crate::backend::doubt::{Doubt, MOST_SLOTS};

pub(in crate::backend) const SLOTS: &str = "/slots";

/// Who is to be asked for slots, as the last check found it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::backend) enum Slots {
    /// Nobody: no check has passed yet.
    #[default]
    Nobody,
    /// Nobody, ever: it sleeps when it has nothing to do, and the question would wake it or keep it awake.
    Sleeper,
    /// The server: it has one model.
    Server,
    /// These models of a router, which have a server each.
    Models(Vec<String>),
}

pub(in crate::backend) async fn busy(ask: &Ask<'_>, slots: &Slots, doubt: &mut Doubt) -> Option<Busy> {
    match slots {
        Slots::Nobody | Slots::Sleeper => None,
        Slots::Server => {
            let running = read(&ask.get_json(SLOTS, doubt).await?, doubt)?;
            Some(Busy { running, waiting: 0 })
        }
        Slots::Models(models) => {
            let of_each = models.iter().map(async |model| {
                let mut doubt = Doubt::default();
                let answer = ask.get_json(&at_model(SLOTS, model), &mut doubt).await;
                (answer.and_then(|answer| read(&answer, &mut doubt)), doubt)
            });
            let mut running = 0_u32;
            for (told, odd) in join_all(of_each).await {
                if odd != Doubt::default() {
                    doubt.raise();
                }
                running = running.saturating_add(told?);
            }
            Some(Busy { running, waiting: 0 })
        }
    }
}

/// How many slots are at work. Where one of them says nothing that makes sense, none is believed.
fn read(answer: &Value, doubt: &mut Doubt) -> Option<u32> {
    let slots = doubt.list(answer, "")?;
    let at_work: Option<Vec<bool>> = slots.iter().map(is_at_work).collect();
    let fits = (1..=MOST_SLOTS).contains(&u64::try_from(slots.len()).unwrap_or(u64::MAX));
    let Some(at_work) = at_work.filter(|_| fits) else {
        doubt.raise();
        return None;
    };
    u32::try_from(at_work.into_iter().filter(|at_work| *at_work).count()).ok()
}

/// Older servers tell a number: 0 is idle.
fn is_at_work(slot: &Value) -> Option<bool> {
    let said = slot.get("is_processing").and_then(Value::as_bool);
    said.or_else(|| slot.get("state").and_then(Value::as_u64).map(|state| state != 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slots_at_work_are_counted() {
        let slot = |id: u32, at_work: bool| json!({"id": id, "id_task": 135, "n_ctx": 65536, "speculative": false, "is_processing": at_work, "params": {"n_predict": -1}, "next_token": {"has_next_token": true, "n_remain": -1, "n_decoded": 136}});
        for (answer, running) in [
            (json!([slot(0, true), slot(1, true), slot(2, false)]), 2),
            (json!([slot(0, false)]), 0),
            (json!([{"id": 0, "state": 1}, {"id": 1, "state": 0}]), 1),
        ] {
            let mut doubt = Doubt::default();
            assert_eq!((read(&answer, &mut doubt), doubt), (Some(running), Doubt::default()), "{answer}");
        }
    }

    #[test]
    fn absurd_answers_are_left_out_of_account() {
        for answer in [
            json!([]),
            json!({}),
            json!("busy"),
            json!(-1),
            json!(null),
            json!([1, 2]),
            json!([{"id": 0}]),
            json!([{"is_processing": "yes"}]),
            json!([{"is_processing": 1}]),
            json!([{"state": -1}]),
            json!([{"is_processing": true}, {"is_processing": null}]),
            Value::from(vec![json!({"is_processing": true}); 1025]),
        ] {
            let mut doubt = Doubt::default();
            assert_eq!(read(&answer, &mut doubt), None, "{answer}");
            assert_ne!(doubt, Doubt::default(), "{answer}");
        }
    }
}
