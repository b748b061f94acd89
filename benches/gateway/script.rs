//! What the backend is to send, said in the request itself: so the backend needs no configuration, and whoever asked
//! knows every byte that must come back.

use std::fmt::Write as _;

/// The most chunks that an answer may come in.
pub(crate) const MOST_CHUNKS: u32 = 1024;

/// The end of a stream. It is a chunk of its own.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// An answer in one piece, of the size and form that servers give.
pub(crate) const WHOLE: &str = concat!(
    r#"{"id":"chatcmpl-7f1c5f3a9d2e4b60a1c8e2f47b93d015","object":"chat.completion","created":1750000000,"#,
    r#""model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"A connection that is kept "#,
    r#"saves a handshake and a slow start with every request, and a gateway that keeps few of them to each backend "#,
    r#"keeps the backend's own bookkeeping small. Under load this is the difference between a queue that drains and "#,
    r#"one that grows.","tool_calls":[],"refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":41,"completion_tokens":52,"total_tokens":93,"prompt_tokens_details":{"cached_tokens":0}},"#,
    r#""system_fingerprint":"fp_44709d6fcb"}"#
);

/// How an answer comes. All times are in microseconds, so that a request can be read by eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Events of a stream before [`DONE`]; 0 is one whole answer.
    pub(crate) chunks: u32,
    /// Time between two events.
    pub(crate) gap: u64,
    /// Time between the head and the first event.
    pub(crate) pause: u64,
}

impl Script {
    /// A chat request of about `size` bytes that asks for this.
    pub(crate) fn request(self, size: usize) -> String {
        let Script { chunks, gap, pause } = self;
        let stream = chunks > 0;
        let mut body = format!(
            r#"{{"model":"bench","user":"chunks={chunks} gap={gap} pause={pause}","stream":{stream},"temperature":0.7,"max_tokens":64,"messages":[{{"role":"system","content":"You answer questions about distributed systems, briefly."}},{{"role":"user","content":""#
        );
        let end = r#""}]}"#;
        const WORDS: &str = r#"Why does a gateway keep its connections, and what does a \"quoted\" word cost?\n"#;
        while body.len() + WORDS.len() + end.len() <= size {
            body.push_str(WORDS);
        }
        body.push_str(end);
        body
    }

    /// What a request asks for. Looks at its beginning only: `user` stands before the messages.
    pub(crate) fn of(request: &[u8]) -> Option<Script> {
        let start = std::str::from_utf8(request.get(..request.len().min(160))?).ok()?;
        let said = start.split_once(r#""user":""#)?.1.split_once('"')?.0;
        let number = |key: &str| said.split(' ').find_map(|pair| pair.strip_prefix(key)?.parse().ok());
        let chunks = u32::try_from(number("chunks=")?).ok()?.min(MOST_CHUNKS);
        Some(Script { chunks, gap: number("gap=")?, pause: number("pause=")? })
    }

    /// Every byte of the answer's body, chunked framing aside.
    pub(crate) fn answer(self) -> String {
        if self.chunks == 0 {
            return WHOLE.to_owned();
        }
        let mut body: String = (0..self.chunks).map(event).collect();
        body.push_str(DONE);
        body
    }

    /// Chunks that the backend sends for this, [`DONE`] included.
    pub(crate) fn chunks_sent(self) -> u64 {
        if self.chunks == 0 { 0 } else { u64::from(self.chunks) + 1 }
    }
}

/// The event at `index` of any stream: its text tells it from every other.
pub(crate) fn event(index: u32) -> String {
    let mut event = String::with_capacity(256);
    let _ = write!(
        event,
        "data: {{\"id\":\"chatcmpl-7f1c5f3a9d2e4b60\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\
         \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" w{index:04}\"}},\"logprobs\":null,\
         \"finish_reason\":null}}]}}\n\n"
    );
    event
}
