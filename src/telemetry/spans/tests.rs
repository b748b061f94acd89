use std::collections::BTreeSet;

use super::*;
use crate::exchange::{Endpoint, RequestId};
use crate::gateway::TraceEnd;

fn spans(ratio: f64, room: usize) -> (Spans, mpsc::Receiver<Word>) {
    let (queue, waiting) = mpsc::channel(room);
    let counts = IntCounterVec::new(Opts::new("spans", "Spans."), &["result"]).expect("a good name");
    let (key, drawn) = ([7; 32], AtomicU64::new(0));
    (Spans { key, drawn, sampled_below: threshold(ratio), queue, counts }, waiting)
}

#[test]
fn a_trace_that_came_goes_on_and_a_new_one_is_like_no_other() {
    let (spans, _waiting) = spans(1.0, 1);
    let came = TraceContext { trace: TraceId(5), span: SpanId(6), is_sampled: false };
    let ours = spans.begin(Some(came));
    assert_eq!((ours.trace, ours.is_sampled), (came.trace, false), "who began it says whether it is sampled");
    assert_ne!(ours.span, came.span);
    let ids: BTreeSet<u128> = (0..1_000).map(|_| spans.begin(None).trace.0).collect();
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn of_the_traces_that_begin_here_a_share_is_sampled() {
    let sampled = |ratio| {
        let (spans, _waiting) = spans(ratio, 1);
        (0..1_000).filter(|_| spans.begin(None).is_sampled).count()
    };
    assert_eq!((sampled(0.0), sampled(1.0)), (0, 1_000));
    assert!((200..300).contains(&sampled(0.25)), "{}", sampled(0.25));
}

/// A collector that is away holds nobody up: what finds no room is left out.
#[test]
fn what_finds_no_room_is_counted_and_left_out() {
    let (spans, mut waiting) = spans(1.0, 1);
    for number in 0..3 {
        spans.ended(Box::new(Trace {
            context: spans.begin(None),
            parent: None,
            request_id: RequestId::from_bits(number),
            endpoint: Endpoint::ChatCompletions,
            is_from_peer: false,
            began: Duration::ZERO,
            asked: "m".to_owned(),
            attempts: Vec::new(),
            end: TraceEnd::default(),
        }));
    }
    assert_eq!(spans.counts.with_label_values(&["dropped"]).get(), 2);
    assert!(matches!(waiting.try_recv(), Ok(Word::Over(trace)) if trace.request_id == RequestId::from_bits(0)));
}
