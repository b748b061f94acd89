//! Frames of this version, of a later one, and of nobody.

use proptest::prelude::*;

use super::*;
use crate::exchange::RefusalReason;

fn hop() -> Hop {
    Hop {
        from: PeerId::from_text("entry"),
        asked: "gpt-4".to_owned(),
        by: vec!["llama3".to_owned()],
        model: "llama3:8b".to_owned(),
        backend: "gpu \"1\"".to_owned(),
        hops_left: 0,
        visited: vec![PeerId::from_text("entry")],
        time_left: Duration::from_millis(1_500),
        may_queue: true,
        may_wait: Duration::from_millis(2_500),
        last_resort: true,
        zone: Zone::Restricted,
        tier: Tier::try_from(3).ok(),
        most: None,
        payer: None,
    }
}

fn request() -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer secret"),
        ("cookie", "session=1"),
        ("host", "localhost"),
        ("x-nexus-tier", "3"),
        ("openai-organization", "org"),
        ("connection", "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Request {
        id: RequestId::from_bits(7),
        endpoint: Endpoint::ChatCompletions,
        model: None,
        headers,
        body: Bytes::from_static(b"{}"),
        origin: Origin::Client,
        client: "desk".into(),
        caller: None,
    }
}

fn written() -> Vec<u8> {
    let (hop, request) = (hop(), request());
    frame(&Head::new(&hop, &request)).expect("short").split_off(4).to_vec()
}

fn read(content: &[u8]) -> Request {
    let head = Head::read(content).expect("a head");
    assert_eq!(head.body, 2);
    head.into_request(PeerId::from_text("proven")).expect("a request")
}

#[test]
fn a_head_arrives_as_it_was_sent_except_who_sends_it() {
    let heard = read(&written());
    let Origin::Peer(heard_hop) = heard.origin else { panic!("it came from a peer") };
    assert_eq!(*heard_hop, Hop { from: PeerId::from_text("proven"), ..hop() });
    assert_eq!((heard.id, heard.endpoint), (request().id, request().endpoint));
}

#[test]
fn only_headers_that_backends_need_travel_and_no_credentials() {
    let text = String::from_utf8(written()).expect("JSON");
    assert!(!text.contains("secret"), "{text}");
    let heard = read(text.as_bytes()).headers;
    let names: Vec<&str> = heard.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["content-type", "x-nexus-tier", "openai-organization"]);
}

#[test]
fn headers_that_no_backend_needs_are_dropped_on_arrival_too() {
    let text = String::from_utf8(written()).expect("JSON");
    for forged in ["cookie", "authorization", "bad name"] {
        let forged = text.replace("x-nexus-tier", forged).replace("openai-organization", forged);
        assert_eq!(read(forged.as_bytes()).headers.len(), 1, "{forged}");
    }
}

#[test]
fn a_head_of_a_later_version_is_understood() {
    let text = String::from_utf8(written()).expect("JSON");
    let later = text.replacen("{\"v\":1", r#"{"v":2,"mood":{"a":[1]}"#, 1).replace("restricted", "secret");
    let Origin::Peer(hop) = read(later.as_bytes()).origin else { panic!("it came from a peer") };
    assert_eq!(hop.zone, Zone::Restricted, "a zone nobody knows is not open");
}

#[test]
fn what_cannot_be_served_is_refused_with_its_reason() {
    let text = String::from_utf8(written()).expect("JSON");
    let read = |text: String| Head::read(text.as_bytes()).err();
    assert_eq!(read(text.replace("\"openai\"", "\"telnet\"")), Some(HeadError::Dialect("telnet".to_owned())));
    assert!(matches!(read(text.replace("chat_completions", "teleport")), Some(HeadError::Malformed(_))));
    assert!(matches!(read(text.replace("\"tier\":3", "\"tier\":9")), Some(HeadError::Malformed(_))));
    assert_eq!(read(text.replace("\"body\":2", "\"body\":99999999")), Some(HeadError::BodyTooLong(99_999_999)));
    let crowd = format!("[{}]", vec!["\"p\""; 17].join(","));
    assert_eq!(read(text.replace("[\"entry\"]", &crowd)), Some(HeadError::TooManyHops(17)));
}

#[test]
fn a_reply_keeps_status_and_headers_but_not_what_belongs_to_a_connection() {
    let reply = http::Response::builder()
        .status(429)
        .header("retry-after", "7")
        .header("x-ratelimit-limit", "5")
        .header("x-ratelimit-limit", "6")
        .header("transfer-encoding", "chunked")
        .header("set-cookie", "a=b")
        .body(())
        .expect("a reply");
    let (parts, _) = reply.into_parts();
    let sent = Answer { reply: Some(ReplyHead::new(&parts, None)), ..Answer::default() };
    let content = frame(&sent).expect("short").split_off(4);
    let heard: Answer<'_> = serde_json::from_slice(&content).expect("JSON");
    let (status, headers) = heard.reply.expect("a reply").parts().expect("a status");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers.len(), 3);
    assert_eq!(headers.get_all("x-ratelimit-limit").iter().count(), 2);
}

#[test]
fn an_answer_of_a_later_version_is_no_answer_and_no_error() {
    assert_eq!(serde_json::from_str::<Answer<'_>>(r#"{"queued":{"place":3}}"#).ok(), Some(Answer::default()));
    let refused: Answer<'_> = serde_json::from_str(r#"{"refused":{"reason":"too_warm","message":"m"}}"#).expect("JSON");
    assert_eq!(refused.refused.map(|refusal| refusal.reason), Some(RefusalReason::Other));
}

#[test]
fn every_cut_means_the_same_at_both_ends() {
    for cut in [Cut::Backend, Cut::Idle, Cut::Peer, Cut::Shutdown] {
        assert_eq!(cut_of(code_of(cut)), cut);
    }
    assert_eq!(cut_of(VarInt::from_u32(999)), Cut::Peer);
}

#[test]
fn a_frame_nobody_would_read_is_not_written() {
    assert!(frame(&"x".repeat(MAX_FRAME)).is_none());
}

proptest! {
    #[test]
    fn no_head_panics(content in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
        let _ = Head::read(&content).map(|head| head.into_request(PeerId::from_text("p")));
        let text = written();
        let _ = Head::read(&text[..cut.min(text.len())]);
    }

    #[test]
    fn headers_are_bounded(count in 0usize..200, length in 0usize..2_000) {
        let mut headers = HeaderMap::new();
        for number in 0..count {
            let name = HeaderName::try_from(format!("x-nexus-{number}")).expect("a name");
            headers.insert(name, HeaderValue::try_from("v".repeat(length)).expect("a value"));
        }
        let sent = outbound(&headers, |_| true);
        prop_assert!(sent.len() <= MAX_HEADERS);
        prop_assert!(sent.iter().map(|Field(name, value)| name.len() + value.len()).sum::<usize>() <= MAX_HEADER_BYTES);
    }
}

#[test]
fn an_order_is_no_head_and_a_head_is_no_order() {
    let order = Order::Load { model: "org/m:7b".to_owned(), backend: "gpu \"1\"".to_owned(), pull: true };
    let written = frame(&OrderHead::new(order.clone())).expect("short").split_off(4).to_vec();
    assert_eq!(OrderHead::read(&written).map(|head| head.order), Some(order));
    assert!(matches!(Head::read(&written), Err(HeadError::Malformed(_))), "an earlier version refuses it politely");
    assert_eq!(OrderHead::read(&self::written()), None);
    assert_eq!(OrderHead::read(br#"{"v":2,"order":{"do":"dance"}}"#), None, "an order of a later version");
}
