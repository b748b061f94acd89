//! What prompts are known by, from body to chain.

mod conversations;
mod names;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Inspection, inspect};
use crate::exchange::Endpoint;
use crate::fleet::{Mark, Piece, Prefix};

fn look(endpoint: Endpoint, body: &str) -> Inspection {
    let found = inspect(endpoint, None, None, &Bytes::copy_from_slice(body.as_bytes()));
    found.unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The prefix of a chat.
fn chat(fields: &Value) -> Prefix {
    let mut body = json!({"model": "m"});
    body.as_object_mut().expect("fields").extend(fields.as_object().expect("fields").clone());
    look(Endpoint::ChatCompletions, &body.to_string()).prefix.expect("a prefix")
}

fn said(messages: Value) -> Prefix {
    chat(&json!({ "messages": messages }))
}

fn completion(prompt: Value) -> Option<Prefix> {
    look(Endpoint::Completions, &json!({"model": "m", "prompt": prompt}).to_string()).prefix
}

fn ends(prefix: &Prefix) -> Vec<(Piece, u64)> {
    prefix.marks.iter().map(|mark| (mark.kind, mark.bytes)).collect()
}

#[test]
fn every_machine_and_every_version_makes_the_same_of_the_same() {
    let found = chat(&json!({
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"required": ["at"], "n": 1.5}}}],
        "messages": [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:"}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "A cat.".repeat(200)},
        ],
    }));
    let hashes: Vec<String> = found.marks.iter().map(|mark| format!("{:016x}", mark.hash)).collect();
    // Another value here is another `VERSION`.
    let expected = [
        "72d1a9c36a5c8996",
        "626df771ece49707",
        "bf99cbab626c155b",
        "dad54f41773ce345",
        "1910ba7ec27be541",
        "14e4ee59c10ce801",
        "fd5f11379b2a8ced",
    ];
    assert_eq!(hashes, expected);
    assert_eq!(format!("{:016x}", found.key), hashes[3]);
    assert_eq!(ends(&found).iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), [53, 68, 85, 4181, 4232, 5261, 5437]);
}

#[test]
fn pieces_end_where_they_end() {
    use Piece::{Block, Message, Prompt, System, Tools};
    let text = |bytes: usize| "a".repeat(bytes);
    let found = chat(&json!({"messages": [
        {"role": "system", "content": text(3000)}, {"role": "developer", "content": "b"},
        {"role": "user", "content": text(1024)}, {"role": "system", "content": ""}, {"role": "user"}, {},
    ], "tools": [{"name": "f"}]}));
    let (tools, system, developer) = (5, 6 + 3000, 9 + 1);
    let expected = [
        (Tools, tools),
        (Block, tools + 6 + 1024),
        (Block, tools + 6 + 2048),
        (System, tools + system),
        (System, tools + system + developer),
        (Message, tools + system + developer + 4 + 1024),
        (Message, tools + system + developer + 1028 + 6),
        (Message, tools + system + developer + 1034 + 4),
        (Message, tools + system + developer + 1038),
    ];
    assert_eq!(ends(&found), expected);
    assert_eq!(ends(&completion(json!(text(2050))).expect("a prompt")), [(Block, 1024), (Block, 2048), (Prompt, 2050)]);
}

#[test]
fn there_may_be_nothing_to_hold_on_to() {
    let none = |endpoint, body: &str| assert_eq!(look(endpoint, body).prefix, None, "{body}");
    none(Endpoint::ChatCompletions, r#"{"model":"m","messages":[]}"#);
    none(Endpoint::ChatCompletions, r#"{"model":"m","messages":[],"tools":[],"prompt":"x"}"#);
    none(Endpoint::Completions, r#"{"model":"m","prompt":""}"#);
    none(Endpoint::Completions, r#"{"model":"m","prompt":[]}"#);
    none(Endpoint::Completions, r#"{"model":"m","prompt":["","x"]}"#);
    none(Endpoint::Embeddings, r#"{"model":"m","input":"x","messages":[{"content":"x"}],"prompt":"x"}"#);
}

/// What is read for the prefix alone keeps no request from its backend.
#[test]
fn odd_bodies_are_still_requests() {
    for (odd, has_prefix) in [
        (r#""tools":[{"maximum":1e999}]"#, false),
        (r#""user":1e999"#, false),
        (r#""tools":[{"name":"\ud800"}]"#, true),
        (r#""tools":[{"name":"\ud800","maximum":1e999}]"#, false),
        (r#""tools":[1,null,"x"]"#, true),
        (r#""prompt_cache_key":{"a":[]}"#, true),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{odd}}}"#);
        assert_eq!(look(Endpoint::ChatCompletions, &body).prefix.is_some(), has_prefix, "{odd}");
    }
    let field = |field: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"content":"hi",{field}}}]}}"#);
        look(Endpoint::ChatCompletions, &body).prefix.expect("a prefix")
    };
    let plain = field(r#""x":1"#);
    for nothing in
        [r#""role":7"#, r#""name":null"#, r#""tool_calls":[]"#, r#""tool_calls":{}"#, r#""tool_call_id":[{}]"#]
    {
        assert_eq!(field(nothing), plain, "{nothing}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for name in ["role", "name", "tool_calls", "tool_call_id"] {
        field(&format!(r#""{name}":{deep}"#));
    }
    let part =
        format!(r#"{{"model":"m","messages":[{{"content":[{{"image_url":{deep},"file":{deep}}}]}}],"tools":{deep}}}"#);
    assert!(look(Endpoint::ChatCompletions, &part).prefix.is_some());
}

#[test]
fn whatever_models_see_of_a_message_counts() {
    let one = |message: Value| said(json!([message])).marks.last().expect("a mark").hash;
    let all = [
        json!({"role": "user", "content": "a"}),
        json!({"role": "assistant", "content": "a"}),
        json!({"role": "user", "content": "a", "name": "eve"}),
        json!({"role": "user", "content": "a", "tool_call_id": "eve"}),
        json!({"role": "user", "content": "b"}),
        json!({"role": "user", "content": "a "}),
        json!({"role": "user", "content": [{"text": "a"}, {"image_url": {"url": "data:1"}}]}),
        json!({"role": "user", "content": [{"text": "a"}, {"image_url": {"url": "data:2"}}]}),
        json!({"role": "user", "content": [{"image_url": {"url": "data:1"}}, {"text": "a"}]}),
        json!({"role": "user", "content": [{"text": "a"}, {"input_audio": {"data": "1"}}]}),
        json!({"role": "user", "content": "a", "tool_calls": [{"function": {"arguments": "1"}}]}),
        json!({"role": "user", "content": "a", "tool_calls": [{"function": {"arguments": "2"}}]}),
        json!({"role": "user", "tool_calls": [{"function": {"arguments": "1"}}, {"function": {"arguments": "2"}}]}),
        json!({"role": "user", "tool_calls": [{"function": {"arguments": "2"}}, {"function": {"arguments": "1"}}]}),
    ];
    let mut hashes: Vec<u64> = all.into_iter().map(one).collect();
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

#[test]
fn tools_count_in_any_order() {
    let with = |tools: Value| chat(&json!({"tools": tools, "messages": [{"role": "user", "content": "a"}]}));
    let (one, other) = (json!({"name": "a", "strict": true}), json!({"name": "b", "strict": false}));
    assert_eq!(with(json!([one, other])), with(json!([other, one])));
    assert_ne!(with(json!([one, other])), with(json!([one, one])));
    assert_ne!(with(json!([one, other])), with(json!([one])));
    assert_eq!(with(json!([])), with(json!(null)));
}

#[test]
fn of_several_prompts_the_first_counts_and_tokens_are_text() {
    let key = |prompt: Value| completion(prompt).expect("a prompt").key;
    assert_eq!(key(json!("abc")), key(json!(["abc"])));
    assert_eq!(key(json!(["abc", "d"])), key(json!(["abc", "e", [1]])));
    assert_eq!(key(json!([1, 2, 3])), key(json!([[1, 2, 3], [4]])));
    assert_ne!(key(json!([1, 2, 3])), key(json!([1, 2, 4])));
    let tokens: Vec<u32> = (0..600).collect();
    assert_eq!(completion(json!(tokens)).expect("a prompt").bytes(), 2400);
}

#[test]
fn the_key_of_a_growing_prompt_changes_seldom() {
    let text: String = (0..3000).map(|number| format!("{number} ")).collect();
    let mut keys: Vec<u64> =
        (1..100).map(|part| completion(json!(text[..part * 100])).expect("a prompt").key).skip(10).collect();
    keys.dedup();
    assert_eq!(keys.len(), 3, "at 1, 2 and 4 KiB");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}|[\n\t\"\\\\é€😀]{0,9}",
        ("[a-z]{1,9}", 1_usize..600).prop_map(|(word, times)| word.repeat(times))
    ]
}

fn any_messages() -> impl Strategy<Value = Vec<(usize, String)>> {
    proptest::collection::vec((0_usize..4, any_text()), 1..7)
}

fn plain(messages: &[(usize, String)]) -> Vec<Value> {
    let role = |index: usize| ["system", "user", "assistant", "tool"][index];
    messages.iter().map(|(index, text)| json!({"role": role(*index), "content": text})).collect()
}

/// The same message with its content in two parts and its fields in another order.
fn in_parts(message: &Value, at: usize) -> Value {
    let text = message["content"].as_str().expect("text");
    let cut = text.floor_char_boundary(at.min(text.len()));
    let part = |text: &str| json!({"text": text, "cache_control": {"type": "ephemeral"}, "type": "text"});
    json!({"content": [part(&text[..cut]), part(&text[cut..])], "role": message["role"]})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn how_a_body_is_written_does_not_matter(messages in any_messages(), at in 0_usize..2000) {
        let tools = json!([{"name": "a", "parameters": {"x": 1, "y": [2]}}, {"name": "b"}]);
        let turned = json!([{"name": "b"}, {"parameters": {"y": [2], "x": 1}, "name": "a"}]);
        let messages = plain(&messages);
        let one = json!({"model": "m", "tools": tools, "messages": messages}).to_string();
        let parts: Vec<Value> = messages.iter().map(|message| in_parts(message, at)).collect();
        let other = json!({"messages": parts, "tools": turned, "model": "n", "temperature": 1});
        let other = serde_json::to_string_pretty(&other).expect("JSON");
        let found = |body: &str| look(Endpoint::ChatCompletions, body).prefix;
        prop_assert_eq!(found(&one), found(&other));
    }

    #[test]
    fn a_turn_goes_on_from_the_one_before(messages in any_messages(), more in any_messages()) {
        let (first, second) = (said(json!(plain(&messages))), said(json!(plain(&[messages, more].concat()))));
        let is_at = |(one, other): (&Mark, &Mark)| one.hash == other.hash && one.bytes == other.bytes;
        prop_assert!(first.marks.len() <= second.marks.len());
        prop_assert!(first.marks.iter().zip(&second.marks).all(is_at));
        let remembered = first.landmarks();
        prop_assert!(second.held(|hash| remembered.contains(&hash)) >= first.bytes());
    }

    #[test]
    fn a_change_changes_all_that_follows_and_nothing_before(messages in any_messages(), at in any::<prop::sample::Index>()) {
        let at = at.index(messages.len());
        let mut changed = messages.clone();
        changed[at].1.insert(0, '!');
        let before = messages[..at].iter().map(|(role, text)| [6, 4, 9, 4][*role] + text.len() as u64).sum::<u64>();
        let (one, other) = (said(json!(plain(&messages))), said(json!(plain(&changed))));
        let shared = |prefix: &Prefix| prefix.marks.iter().filter(|mark| mark.bytes <= before).copied().collect::<Vec<_>>();
        if at > 0 {
            prop_assert_eq!(shared(&one), shared(&other));
        }
        let hashes: Vec<u64> = other.marks.iter().map(|mark| mark.hash).collect();
        let after = one.marks.iter().filter(|mark| mark.bytes > before);
        prop_assert!(after.into_iter().all(|mark| !hashes.contains(&mark.hash)));
    }
}
