//! Requests in the queue: their order, and what becomes of slots.

mod room;

use super::*;

fn wish(backends: &[&str], priority: Priority, client: &str) -> Wish {
    let backends = backends.iter().map(|name| Arc::from(*name)).collect();
    Wish { backends, priority, client: client.into() }
}

/// Offers one slot after the other and says in which order they were taken.
fn drain(queue: &Queue<u32>, places: &mut [(String, Place<u32>)], backend: &str) -> Vec<String> {
    let mut order = Vec::new();
    for number in 0..u32::try_from(places.len()).expect("few") {
        let mut one = Some(number);
        queue.offer(backend, || one.take());
        for (name, place) in places.iter_mut() {
            if place.slot.try_recv().is_ok() {
                order.push(name.clone());
            }
        }
    }
    order
}

fn enter(queue: &Arc<Queue<u32>>, who: &[(&str, Priority, &str)]) -> Vec<(String, Place<u32>)> {
    let place = |(name, priority, client): &(&str, Priority, &str)| {
        ((*name).to_owned(), queue.enter(wish(&["b"], *priority, client)).expect("room"))
    };
    who.iter().map(place).collect()
}

#[test]
fn one_client_is_served_in_order_and_high_goes_first() {
    use Priority::{High, Normal};
    let queue = Queue::new(10);
    let mut places = enter(&queue, &[("1", Normal, "a"), ("2", Normal, "a"), ("3", High, "a"), ("4", Normal, "a")]);
    let positions: Vec<usize> = places.iter().map(|(_, place)| place.position).collect();
    assert_eq!(positions, [1, 2, 1, 4]);
    assert_eq!(drain(&queue, &mut places, "b"), ["3", "1", "2", "4"]);
    assert_eq!(queue.depth(), 0);
}

#[test]
fn clients_take_turns_however_much_one_of_them_asks() {
    use Priority::Normal;
    let queue = Queue::new(10);
    let many =
        [("a1", Normal, "a"), ("a2", Normal, "a"), ("a3", Normal, "a"), ("b1", Normal, "b"), ("b2", Normal, "b")];
    let mut places = enter(&queue, &many);
    assert_eq!(drain(&queue, &mut places, "b"), ["a1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn a_latecomer_takes_its_turn_now_and_not_for_the_time_it_was_away() {
    use Priority::Normal;
    let queue = Queue::new(10);
    let mut places =
        enter(&queue, &[("a1", Normal, "a"), ("a2", Normal, "a"), ("a3", Normal, "a"), ("a4", Normal, "a")]);
    for number in 0..2 {
        let mut one = Some(number);
        queue.offer("b", || one.take());
    }
    places.extend(enter(&queue, &[("b1", Normal, "b"), ("b2", Normal, "b")]));
    let order: Vec<String> = drain(&queue, &mut places, "b").into_iter().skip(2).collect();
    assert_eq!(order, ["a3", "b1", "a4", "b2"]);
}

#[test]
fn a_slot_goes_to_the_first_that_it_suits() {
    let queue = Queue::new(10);
    let mut only_x = queue.enter(wish(&["x"], Priority::Normal, "a")).expect("room");
    let mut either = queue.enter(wish(&["x", "y"], Priority::Normal, "b")).expect("room");
    assert_eq!(queue.depth_of("y"), 1);
    let mut slots = vec![7];
    queue.offer("y", || slots.pop());
    assert_eq!((only_x.slot.try_recv().ok(), either.slot.try_recv().ok()), (None, Some(7)));
    slots.push(8);
    queue.offer("z", || slots.pop());
    assert_eq!(slots, [8], "nobody waits for that one");
}

#[test]
fn it_is_bounded_and_whoever_leaves_makes_room() {
    let queue = Queue::<u32>::new(2);
    let first = queue.enter(wish(&["b"], Priority::Normal, "a")).expect("room");
    let _second = queue.enter(wish(&["b"], Priority::Normal, "a")).expect("room");
    assert_eq!(queue.enter(wish(&["b"], Priority::High, "a")).err(), Some(Full { depth: 2 }));
    drop(first);
    assert!(queue.enter(wish(&["b"], Priority::Normal, "b")).is_ok());
}

/// A slot that was given to somebody who has just left must not be lost.
#[test]
fn a_slot_for_somebody_who_left_goes_to_the_next() {
    struct Slot(Arc<AtomicUsize>);
    impl Drop for Slot {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let freed = Arc::new(AtomicUsize::new(0));
    let queue = Queue::new(2);
    let place = queue.enter(wish(&["b"], Priority::Normal, "a")).expect("room");
    let mut one = Some(Slot(freed.clone()));
    queue.offer("b", || one.take());
    drop(place);
    assert_eq!(freed.load(Ordering::SeqCst), 1, "dropped with its place, so freed, so offered again");
}

#[test]
fn priorities_are_read_as_people_write_them() {
    for high in ["high", "HIGH", "1", "2", " high "] {
        assert_eq!(Priority::read(Some(high.as_bytes())), Priority::High, "{high}");
    }
    for normal in ["normal", "3", "5", "0", "urgent", "", "é"] {
        assert_eq!(Priority::read(Some(normal.as_bytes())), Priority::Normal, "{normal}");
    }
    assert_eq!(Priority::read(None), Priority::Normal);
}

#[test]
fn a_place_says_who_goes_before_and_who_behind() {
    use Priority::{High, Normal};
    let queue = Queue::<u32>::new(10);
    let places = [(Normal, "a"), (Normal, "a"), (Normal, "a"), (Normal, "b"), (High, "b"), (Normal, "b")]
        .map(|(priority, client)| queue.enter(wish(&["x"], priority, client)).expect("room"));
    let stands: Vec<(usize, usize)> = places.iter().map(|place| (place.position, place.behind)).collect();
    assert_eq!(stands, [(1, 0), (2, 0), (3, 0), (2, 2), (1, 4), (5, 1)]);
    let elsewhere = queue.enter(wish(&["y"], Normal, "a")).expect("room");
    assert_eq!((elsewhere.position, elsewhere.behind), (1, 0), "nobody else waits for that one");
    let around = |places: &[Place<u32>]| places.iter().map(Place::around).collect::<Vec<_>>();
    assert_eq!(around(&places), [(1, 4), (3, 2), (5, 0), (2, 3), (0, 5), (4, 1)], "as it is now");
    let [first, rest @ ..] = places;
    drop(first);
    assert_eq!(around(&rest), [(2, 2), (4, 0), (1, 3), (0, 4), (3, 1)]);
}
