//! Whose place is given up where the queue is full, and that two clients get half each of what is served.

use proptest::prelude::*;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

#[test]
fn a_full_queue_makes_room_for_a_client_that_has_fewer_waiting() {
    // A word is a request: its client, in capitals where it is urgent, and a number to know it by.
    for (waiting, newcomer, evicted) in [
        ("a1 a2 a3", "b4", Some("a3")),
        ("a1 a2 b3 a4", "b5", Some("a4")),
        // With one more the two would only change parts.
        ("a1", "b2", None),
        ("a1 b2 a3", "b4", None),
        ("a1 b2 c3", "d4", None),
        // Of those that have most, the last in line.
        ("a1 b2 b3 a4", "c5", Some("a4")),
        ("a1 a2 b3 b4", "c5", Some("b4")),
        // One client alone.
        ("a1 a2 a3", "a4", None),
        ("a1 a2 a3", "A4", None),
        // What goes before the newcomer stays, and is no reason for what does not to go.
        ("A1 A2 A3", "b4", None),
        ("A1 A2 A3 a4", "b5", None),
        ("A1 a2 a3 A4", "b5", Some("a3")),
        ("A1 A2 a3 a4", "B5", Some("a4")),
        ("A1 A2 A3", "B4", Some("A3")),
        // Nor does it count for nothing where it is the newcomer's own.
        ("A1 A2 b3 b4", "a5", None),
        ("", "a1", None),
    ] {
        let waiting: Vec<&str> = waiting.split_terminator(' ').collect();
        let queue = Queue::<u32>::new(waiting.len());
        let come = |word: &str| {
            let priority = if word.starts_with(char::is_uppercase) { Priority::High } else { Priority::Normal };
            queue.enter(wish(&["b"], priority, &word[..1].to_lowercase()))
        };
        let mut places: Vec<Place<u32>> = waiting.iter().map(|word| come(word).expect("room")).collect();
        let came = come(newcomer);
        let gave_way = |place: &mut Place<u32>| place.slot.try_recv() == Err(TryRecvError::Closed);
        let gone = waiting.iter().zip(&mut places).find_map(|(word, place)| gave_way(place).then_some(*word));
        assert_eq!((gone, came.is_ok()), (evicted, evicted.is_some()), "{newcomer} comes to {waiting:?}");
        assert_eq!(queue.depth(), waiting.len());
    }
}

/// Turns are taken by those that wait, so who never got a place never got a turn.
#[test]
fn clients_that_ask_for_more_than_half_get_half_each_whatever_their_ratio() {
    for (greedy, size) in [(1, 30), (4, 30), (4, 2), (4, 3), (15, 5), (15, 100)] {
        let queue = Queue::<u32>::new(size);
        let mut places: Vec<(&str, Place<u32>)> = Vec::new();
        let mut served = [0.0_f64; 2];
        let mut asked = 0;
        for _ in 0..400 {
            // Ten come for each that is served.
            for _ in 0..10 {
                asked += 1;
                let client = if asked % (greedy + 1) == 0 { "modest" } else { "greedy" };
                places.extend(queue.enter(wish(&["b"], Priority::Normal, client)).map(|place| (client, place)));
            }
            let mut one = Some(1);
            queue.offer("b", || one.take());
            places.retain_mut(|(client, place)| match place.slot.try_recv() {
                Err(TryRecvError::Empty) => true,
                Err(TryRecvError::Closed) => false,
                Ok(_) => {
                    served[usize::from(*client == "modest")] += 1.0;
                    false
                }
            });
        }
        let [one, other] = served;
        let jain = (one + other).powi(2) / (2.0 * (one * one + other * other));
        assert!(one + other == 400.0 && jain > 0.99, "{greedy} to 1 in {size}: {served:?}");
    }
}

/// A request in the queue, as the proptest knows it.
struct Held {
    backends: &'static [&'static str],
    priority: Priority,
    client: &'static str,
    place: Place<u32>,
}

/// What is asked of the queue: somebody enters, a slot is offered, or somebody leaves.
#[derive(Clone, Debug)]
enum Act {
    Enter(&'static [&'static str], Priority, &'static str),
    Offer(&'static str),
    Leave(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    let backends = prop::sample::select(vec![&["x"][..], &["y"], &["x", "y"]]);
    let priority = prop::sample::select(vec![Priority::Normal, Priority::Normal, Priority::High]);
    let client = prop::sample::select(vec!["a", "a", "a", "b", "b", "c"]);
    prop_oneof![
        6 => (backends, priority, client).prop_map(|(which, priority, client)| Act::Enter(which, priority, client)),
        2 => prop::sample::select(vec!["x", "y"]).prop_map(Act::Offer),
        1 => any::<prop::sample::Index>().prop_map(Act::Leave),
    ]
}

/// Takes out the one whose place has come to this, with how many of the others came earlier.
fn taken(held: &mut Vec<Held>, how: impl Fn(&Result<u32, TryRecvError>) -> bool) -> Option<(usize, Held)> {
    let at = held.iter_mut().position(|held| how(&held.place.slot.try_recv()))?;
    Some((at, held.remove(at)))
}

proptest! {
    #[test]
    fn room_is_bounded_and_shared_and_no_priority_or_turn_is_inverted(
        size in 0_usize..8,
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let queue = Queue::<u32>::new(size);
        let mut held: Vec<Held> = Vec::new();
        for act in acts {
            match act {
                Act::Enter(backends, priority, client) => {
                    let was_full = held.len() == size;
                    let came = queue.enter(wish(backends, priority, client));
                    let evicted = taken(&mut held, |slot| *slot == Err(TryRecvError::Closed)).map(|(_, held)| held);
                    let count = |of: &str, from: Priority| {
                        held.iter().filter(|other| other.client == of && other.priority >= from).count()
                    };
                    match &evicted {
                        Some(evicted) => {
                            prop_assert!(was_full && evicted.client != client && evicted.priority >= priority);
                            // Without the place that was given up it still has more than the newcomer had.
                            prop_assert!(count(evicted.client, priority) > count(client, Priority::High));
                            let most = ["a", "b", "c"].into_iter().map(|other| count(other, priority)).max();
                            prop_assert!(most <= Some(count(evicted.client, priority) + 1));
                        }
                        None => prop_assert_eq!(came.is_ok(), !was_full),
                    }
                    held.extend(came.map(|place| Held { backends, priority, client, place }));
                }
                Act::Offer(backend) => {
                    let mut one = Some(1);
                    queue.offer(backend, || one.take());
                    let served = taken(&mut held, Result::is_ok);
                    let mut rivals = held.iter().enumerate().filter(|(_, other)| other.backends.contains(&backend));
                    match served {
                        Some((earlier, Held { priority, client, .. })) => {
                            let is_inverted = rivals.any(|(at, other)| {
                                let is_its = (other.client, other.priority) == (client, priority);
                                other.priority < priority || (is_its && at < earlier)
                            });
                            prop_assert!(!is_inverted);
                        }
                        None => prop_assert_eq!(rivals.count(), 0),
                    }
                }
                Act::Leave(which) if !held.is_empty() => drop(held.remove(which.index(held.len()))),
                Act::Leave(_) => {}
            }
            prop_assert!(held.len() <= size);
            prop_assert_eq!(queue.depth(), held.len());
        }
    }
}
