//! Answers, whole and as they are made.

use super::{decoded, encoded, fixture, folded, label};
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, ReplyPart, Spoken, StreamEncoder};
use crate::dialect::google::{ArrayEncoder, decode_reply, encode_reply};

const REPLIES: [(&str, &str); 5] = [
    (fixture!("text.reply.json"), fixture!("text.stream.txt")),
    (fixture!("tools.reply.json"), fixture!("tools.stream.txt")),
    (fixture!("parallel.reply.json"), fixture!("parallel.stream.txt")),
    (fixture!("reasoning.reply.json"), fixture!("reasoning.stream.txt")),
    (fixture!("length.reply.json"), fixture!("length.stream.txt")),
];

fn call(index: usize, name: &str) -> ChatEvent {
    ChatEvent::ToolCall { index, id: String::new(), name: name.to_owned() }
}

fn more(index: usize, json: &str) -> ChatEvent {
    ChatEvent::Arguments { index, json: json.to_owned() }
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

#[test]
fn a_reply_and_its_stream_are_the_same() {
    for (reply, stream) in REPLIES {
        let reply = decode_reply(reply.as_bytes()).expect("a reply");
        assert_eq!(folded(stream), reply);
        assert!(decoded(stream).expect("a stream").1);
        let again = decode_reply(&encode_reply(&reply, &label())).expect("a reply");
        assert_eq!(again, reply);
        assert_eq!(folded(&encoded(reply.clone().events())), reply);
    }
}

#[test]
fn replies_are_read_to_the_letter() {
    let wanted = ChatReply {
        id: Some("reply-1".to_owned()),
        model: Some("m".to_owned()),
        parts: vec![
            ReplyPart::Text("Let me look.".to_owned()),
            ReplyPart::ToolCall {
                id: "call_1".to_owned(),
                name: "get_weather".to_owned(),
                arguments: "{\"city\":\"Paris\"}".to_owned(),
            },
        ],
        finish: Some(Finish::ToolCalls),
        usage: Spoken { prompt_tokens: Some(20), completion_tokens: Some(9), ..Spoken::default() },
    };
    assert_eq!(folded(fixture!("tools.stream.txt")), wanted);
    let reasoning = decode_reply(fixture!("reasoning.reply.json").as_bytes()).expect("a reply");
    let used =
        Spoken { prompt_tokens: Some(12), completion_tokens: Some(9), reasoning_tokens: Some(4), ..Spoken::default() };
    assert_eq!(reasoning.usage, used);
    let cached = decode_reply(fixture!("text.reply.json").as_bytes()).expect("a reply").usage;
    assert_eq!(cached.cached_tokens, Some(4));
}

#[test]
fn answers_of_real_servers_are_read_leniently() {
    let finish = |body: &str| decode_reply(body.as_bytes()).expect("a reply").finish;
    let candidate = |reason: &str| finish(&format!(r#"{{"candidates":[{{"finishReason":{reason}}}]}}"#));
    assert_eq!(candidate("null"), None);
    assert_eq!(candidate("\"FINISH_REASON_UNSPECIFIED\""), None);
    assert_eq!(candidate("2"), Some(Finish::Length));
    assert_eq!(candidate("\"SPII\""), Some(Finish::ContentFilter));
    assert_eq!(candidate("\"MALFORMED_FUNCTION_CALL\""), Some(Finish::Stop));
    assert_eq!(candidate("\"NOVELTY\""), Some(Finish::Stop));
    let blocked = finish(r#"{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]}}"#);
    assert_eq!(blocked, Some(Finish::ContentFilter));
    let odd = r#"{"candidates":[{"content":{"parts":[{"inlineData":{}},{"functionCall":{"name":"f"}},{"text":null}]},
        "finishReason":"STOP","safetyRatings":null}],"usageMetadata":{"promptTokenCount":"3"}}"#;
    let odd = decode_reply(odd.as_bytes()).expect("a reply");
    let wanted = ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments: "{}".to_owned() };
    assert_eq!((odd.parts, odd.finish), (vec![wanted], Some(Finish::ToolCalls)));
    assert_eq!(odd.usage.prompt_tokens, Some(3));
}

#[test]
fn what_is_no_answer_is_garbled() {
    let nameless = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}}]}}]}"#;
    for body in ["", "{", "[]", "{}", r#"{"candidates":[]}"#, r#"{"candidates":"secret"}"#, nameless] {
        let garbled = decode_reply(body.as_bytes()).expect_err(body);
        assert!(!garbled.to_string().contains("secret"));
    }
}

#[test]
fn a_stream_without_a_reason_was_cut() {
    let cut = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n";
    assert!(!decoded(cut).expect("a stream").1);
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n";
    assert!(decoded(blocked).expect("a stream").1);
}

#[test]
fn calls_are_told_whole() {
    let events = [
        call(0, "f"),
        more(0, "{\"x\""),
        call(1, "g"),
        more(1, "{}"),
        more(0, ":1}"),
        call(2, "h"),
        text("and"),
        call(3, "i"),
        more(3, "no object"),
        ChatEvent::Finish(Finish::ToolCalls),
    ];
    let stream = encoded(events);
    let reply = folded(&stream);
    let told = |id: &str, name: &str, arguments: &str| ReplyPart::ToolCall {
        id: format!("call_reply-1{id}"),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(
        reply.parts,
        [
            told("0", "f", "{\"x\":1}"),
            told("1", "g", "{}"),
            told("2", "h", "{}"),
            ReplyPart::Text("and".to_owned()),
            told("3", "i", "{\"arguments\":\"no object\"}"),
        ]
    );
    assert_eq!(reply.finish, Some(Finish::ToolCalls));
}

#[test]
fn text_is_told_at_once_and_usage_last() {
    let used = Spoken { prompt_tokens: Some(1), completion_tokens: Some(2), ..Spoken::default() };
    let stream = encoded([text("a"), ChatEvent::Finish(Finish::Length), ChatEvent::Usage(used)]);
    let wanted = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index\":0}],",
        "\"modelVersion\":\"m\",\"responseId\":\"reply-1\"}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},",
        "\"finishReason\":\"MAX_TOKENS\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":1,",
        "\"candidatesTokenCount\":2,\"totalTokenCount\":3},\"modelVersion\":\"m\",\"responseId\":\"reply-1\"}\n\n",
    );
    assert_eq!(stream, wanted);
}

#[test]
fn a_signature_is_gathered() {
    let piece = |piece: &str| ChatEvent::Signature(piece.to_owned());
    let stream = encoded([ChatEvent::Reasoning("hm".to_owned()), piece("AA"), piece("AA"), text("a")]);
    let thought = ReplyPart::Reasoning { text: "hm".to_owned(), signature: Some("AAAA".to_owned()) };
    assert_eq!(folded(&stream).parts, [thought, ReplyPart::Text("a".to_owned())]);
}

#[test]
fn an_array_holds_the_same_events() {
    for (_, stream) in REPLIES {
        let events = decoded(stream).expect("a stream").0;
        let mut encoder = ArrayEncoder::new(label());
        let mut out = Vec::new();
        events.iter().cloned().for_each(|event| encoder.event(event, &mut out));
        encoder.end(&mut out);
        let all: Vec<serde_json::Value> = serde_json::from_slice(&out).expect("an array");
        let data = encoded(events);
        let data = data.lines().filter_map(|line| line.strip_prefix("data: "));
        let data: Vec<serde_json::Value> = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
        assert_eq!(all, data);
    }
}
