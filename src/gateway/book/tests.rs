use bytes::Bytes;
use http::HeaderMap;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::exchange::{Endpoint, Origin, Request, RequestId};
use crate::fleet::PeerId;
use crate::gateway::testing::hop;

fn request(number: u128, from: Option<&str>) -> Request {
    Request {
        id: RequestId::from_bits(number),
        endpoint: Endpoint::ChatCompletions,
        model: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        origin: from.map_or(Origin::Client, |from| Origin::Peer(Box::new(hop(from, "m")))),
        client: "".into(),
        caller: None,
    }
}

fn served(book: &Book, request: &Request, asked: &str, error: Option<&str>) -> Arc<Page> {
    let page = book.open(|number| Page::new(number, request, 7_000));
    page.understood(asked, false);
    let state = if error.is_none() { State::Done } else { State::Failed };
    page.end(&End { state, status: 200, error, error_type: None, tokens: None, cost_usd: None });
    book.close(&page);
    page
}

#[tokio::test(start_paused = true)]
async fn neither_clients_nor_peers_push_each_other_out_and_there_is_a_most() {
    let book = Book::default();
    for number in 0..2 * MOST_ENDED as u128 {
        served(&book, &request(number, None), "m", None);
    }
    for number in 0..3 * MOST_ENDED as u128 {
        served(&book, &request(10_000 + number, Some("far")), "m", None);
    }
    assert_eq!((book.ended().len(), book.live().len()), (2 * MOST_ENDED, 0));
    assert_eq!(book.of_clients(100).len(), 100);
    assert!(book.find(RequestId::from_bits(0).as_str()).is_none(), "the first are gone");
    assert!(book.find(RequestId::from_bits(2 * MOST_ENDED as u128 - 1).as_str()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_told_of_nothing_it_has_no_part_in() {
    let book = Book::default();
    let page = served(&book, &request(1, Some("far")), "m", None);
    assert!(page.concerns(&PeerId::from_text("far")) && !page.concerns(&PeerId::from_text("other")));
}

/// A name was once cut inside a character, and the connection died of it (W4).
#[tokio::test(start_paused = true)]
async fn long_names_and_errors_are_cut_between_characters() {
    let book = Book::default();
    let (name, error) = (format!("a{}", "é".repeat(10_000)), format!("a{}", "é".repeat(10_000)));
    let page = served(&book, &request(1, None), &name, Some(&error));
    let entry = page.history().expect("it has ended");
    assert_eq!((entry.timestamp, entry.status, entry.backend_id.as_str()), (7, "Error", "none"));
    assert_eq!(entry.model.chars().count(), 256);
    assert_eq!(entry.error_message.expect("an error").chars().count(), 1_024);
}

#[tokio::test(start_paused = true)]
async fn who_follows_hears_of_every_end_and_nobody_else_pays() {
    let book = Book::default();
    served(&book, &request(1, None), "m", None);
    let (last, mut ends) = book.follow();
    assert_eq!(last, 1);
    let page = served(&book, &request(2, None), "m", None);
    assert!(Arc::ptr_eq(&ends.recv().await.expect("one"), &page));
    assert!(ends.try_recv().is_err(), "what had ended before is not told");
}

#[tokio::test(start_paused = true)]
async fn who_missed_ends_finds_what_is_kept_of_them_in_their_order() {
    let book = Book::default();
    for number in 0..4 * MOST_ENDED as u128 {
        served(&book, &request(number, (number % 2 == 1).then_some("far")), "m", None);
    }
    let ordinals = |since| book.ended_since(since).iter().map(|page| page.ordinal()).collect::<Vec<_>>();
    let all = 4 * MOST_ENDED as u64;
    assert_eq!(ordinals(all - 3), [all - 2, all - 1, all]);
    assert_eq!((ordinals(0).len(), ordinals(0)[0], ordinals(all).len()), (2 * MOST_ENDED, all / 2 + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn of_a_long_plan_the_best_are_kept() {
    let book = Book::default();
    let page = book.open(|number| Page::new(number, &request(1, None), 7_000));
    let places: Vec<String> = (0..200).map(|number| format!("m/b{number}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let chain = Arc::new(crate::route::Chain::settled("m", &[], "m"));
    page.planned(&chain, &Arc::new(crate::gateway::turns::tests::plan(&places)));
    assert_eq!(page.decision("here", "here")["candidates"].as_array().map(Vec::len), Some(200));
    let tokens = Some((1, 2));
    page.end(&End { state: State::Done, status: 200, error: None, error_type: None, tokens, cost_usd: None });
    let told = page.decision("here", "here");
    assert_eq!((told["candidates"].as_array().map(Vec::len), &told["candidates_left_out"]), (Some(48), &152.into()));
    assert_eq!((&told["candidates"][0]["backend"], &told["tokens_completion"]), (&"b0".into(), &2.into()));
}

proptest! {
    #[test]
    fn an_entry_is_written_as_it_is_serialized(
        (model, peer, error) in ("\\PC*|[\\x00-\\x7f]*", of("\\PC{0,9}|[\\x00-\\x7f]{0,9}"), of("\\PC{0,9}")),
        (timestamp, duration_ms, has_way) in any::<(u64, u64, bool)>(),
    ) {
        let (backend_id, entry, request_id) = (model.repeat(2), model.clone(), "req-\"1".to_owned());
        let way = has_way.then_some(Way { origin: "peer", entry, peer });
        let status = "Success";
        let entry =
            History { timestamp, model, backend_id, duration_ms, status, error_message: error, request_id, way };
        let mut written = String::new();
        entry.push(&mut written);
        prop_assert_eq!(written, serde_json::to_string(&entry).expect("JSON"));
    }
}
