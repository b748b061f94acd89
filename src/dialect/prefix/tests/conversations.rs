//! Conversations as clients hold them.

use serde_json::{Value, json};

use super::{chat, said};
use crate::fleet::{Piece, Prefix, Recent};

fn left(count: u32) -> String {
    format!("<total_tokens>{count} tokens left</total_tokens>")
}

/// A turn of Claude Code as it comes through a translator to this dialect: the bill in front, the tokens left behind the
/// system text, behind what tools answered and as a message of its own, and marks for the vendor's cache that move.
fn claude_code(turn: u32, question: &str) -> Value {
    let moved = |text: &str, is_last: bool| match is_last {
        true => json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]),
        false => json!(text),
    };
    let system = "You are an interactive agent that helps users with software engineering tasks.\n".repeat(150);
    let bill =
        format!("x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={:05x};", turn * 7919);
    let stale: String = (0..=turn).map(|past| format!("\n\n{}", left(15_000_000 - past * 1000))).collect();
    let mut messages = vec![
        json!({"role": "system", "content": [
            {"type": "text", "text": bill},
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."},
            {"type": "text", "text": system + &stale, "cache_control": {"type": "ephemeral"}},
        ]}),
        json!({"role": "user", "content": question}),
    ];
    for past in 0..turn {
        let (is_last, id) = (past + 1 == turn, format!("toolu_{past}"));
        let arguments = json!({"file_path": format!("/src/{past}.rs")}).to_string();
        let call = json!({"id": id, "type": "function", "function": {"name": "Read", "arguments": arguments}});
        let answer = "fn main() {}\n".repeat(100 + past as usize);
        let reminder =
            format!("{answer}\n\n<system-reminder>\n{}\n</system-reminder>", left(14_000_000 - turn * 100 - past));
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": moved(&reminder, is_last)}));
    }
    messages.push(json!({"role": "system", "content": left(13_000_000 - turn)}));
    let parameters = json!({"type": "object", "properties": {"file_path": {"type": "string"}}});
    let tools = ["Read", "Write", "Bash"]
        .map(|name| json!({"type": "function", "function": {"name": name, "parameters": parameters}}));
    json!({"messages": messages, "tools": tools, "stream": true})
}

#[test]
fn the_turns_of_claude_code_are_one_conversation() {
    let turns: Vec<Prefix> = (0..12).map(|turn| chat(&claude_code(turn, "Mend the test."))).collect();
    let mut owner = Recent::default();
    for (before, now) in turns.iter().zip(&turns[1..]) {
        owner.note(&before.landmarks());
        assert_eq!(now.key, turns[0].key);
        assert_eq!(now.marks[..before.marks.len()], before.marks);
        let digest = owner.digest();
        assert_eq!(now.held(|hash| digest.contains(hash)), before.bytes());
    }
}

#[test]
fn another_conversation_of_claude_code_shares_tools_and_system_text() {
    let (one, other) = (chat(&claude_code(9, "Mend the test.")), chat(&claude_code(0, "Write a test.")));
    assert_ne!(one.key, other.key);
    let remembered = one.landmarks();
    let preamble = other.marks.iter().find(|mark| mark.kind == Piece::System).expect("system text");
    assert_eq!(other.held(|hash| remembered.contains(&hash)), preamble.bytes);
    assert!(preamble.bytes > 10_000);
}

#[test]
fn a_fork_and_an_answer_made_anew_find_what_they_share() {
    let roles = ["user", "assistant"];
    let turn = |index: usize, text: &str| json!({"role": roles[index % 2], "content": text});
    let messages: Vec<Value> = (0..9).map(|index| turn(index, &format!("message {index}"))).collect();
    let served = said(json!(messages));
    let remembered = served.landmarks();
    for kept in [1, 4, 5, 6, 7, 8] {
        let forked = said(json!([&messages[..kept], &[turn(kept, "otherwise")]].concat()));
        let held = forked.held(|hash| remembered.contains(&hash));
        assert_eq!(held, served.marks[kept - 1].bytes, "after {kept} messages");
    }
    assert_eq!(served.held(|hash| remembered.contains(&hash)), served.bytes(), "the same once more");
}

#[test]
fn system_text_that_ends_otherwise_is_shared_up_to_there() {
    let text: String = (0..4000).map(|number| format!("Rule {number}. ")).collect();
    let with = |date: &str| {
        said(json!([{"role": "system", "content": format!("{text}{date}")}, {"role": "user", "content": date}]))
    };
    let (today, tomorrow) = (with("Monday"), with("Tuesday"));
    let remembered = today.landmarks();
    let held = tomorrow.held(|hash| remembered.contains(&hash));
    assert!(tomorrow.bytes() - held < 2 * 1024, "{held} of {}", tomorrow.bytes());
}

#[test]
fn of_a_long_first_message_the_beginning_makes_the_key() {
    let key = |text: &str| said(json!([{"role": "user", "content": text}])).key;
    let long = "a".repeat(4096);
    assert_eq!(key(&format!("{long}b")), key(&format!("{long}c")));
    assert_ne!(key(&long), key(&long[1..]));
    assert_ne!(key("b"), key("c"));
}

#[test]
fn the_key_is_known_with_the_first_message_of_the_user() {
    let greeting = json!({"role": "assistant", "content": "Hello!"});
    let (one, other) = (json!({"role": "user", "content": "a"}), json!({"role": "user", "content": "b"}));
    assert_eq!(said(json!([greeting, one])).key, said(json!([greeting, one, greeting, other])).key);
    assert_ne!(said(json!([greeting, one])).key, said(json!([greeting, other])).key);
    assert_ne!(said(json!([greeting])).key, said(json!([one])).key, "where there is none, it is all there is");
}
