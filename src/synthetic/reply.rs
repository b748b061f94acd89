//! Replies: what is said, written as JSON in OpenAI's shapes. Written by hand, for this is a benchmark's backend; the
//! only strings that could need escaping are the model names, and those are escaped once, at the start.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use super::embed;
use super::request::{EmbedJob, Job, Refusal};

/// Which of the two text endpoints is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Chat,
    Completion,
}

/// Everything a reply says, before it is cut into pieces or not.
pub(super) struct Script {
    pub(super) form: Form,
    pub(super) job: Job,
    /// The model's name as a JSON string, quotes included.
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
}

impl Script {
    /// The whole reply as one JSON object.
    pub(super) fn whole(&self) -> Bytes {
        let mut text = self.head("");
        text.push_str(match self.form {
            Form::Chat => r#""choices":[{"index":0,"message":{"role":"assistant","content":""#,
            Form::Completion => r#""choices":[{"index":0,"text":""#,
        });
        for index in 0..self.job.tokens {
            self.word(&mut text, index);
        }
        let close = if self.form == Form::Chat { r#""}"# } else { r#"""# };
        write(&mut text, format_args!(r#"{close},"logprobs":null,"finish_reason":"{}"}}],"#, self.finish_reason()));
        self.usage(&mut text);
        text.push('}');
        text.into()
    }

    /// What every chunk of the stream begins with.
    pub(super) fn frame_head(&self) -> String {
        let mut text = String::from("data: ");
        text.push_str(&self.head(".chunk"));
        if self.job.usage {
            text.push_str(r#""usage":null,"#);
        }
        text.push_str(r#""choices":[{"index":0,"#);
        text
    }

    /// The chunk that names the role; chat only.
    pub(super) fn role_frame(&self, head: &str) -> Bytes {
        frame(&[head, r#""delta":{"role":"assistant","content":""},"finish_reason":null}]}"#])
    }

    /// The chunk of the `index`-th word.
    pub(super) fn word_frame(&self, head: &str, index: u32) -> Bytes {
        let (open, close) = match self.form {
            Form::Chat => (r#""delta":{"content":""#, r#""},"finish_reason":null}]}"#),
            Form::Completion => (r#""text":""#, r#"","logprobs":null,"finish_reason":null}]}"#),
        };
        let space = if index == 0 { "" } else { " " };
        frame(&[head, open, space, self.job.prompt.word(index.into()), close])
    }

    /// The chunk that says why it ends.
    pub(super) fn finish_frame(&self, head: &str) -> Bytes {
        let open = match self.form {
            Form::Chat => r#""delta":{},"finish_reason":""#,
            Form::Completion => r#""text":"","logprobs":null,"finish_reason":""#,
        };
        frame(&[head, open, self.finish_reason(), r#""}]}"#])
    }

    /// The chunk of usage, without choices.
    pub(super) fn usage_frame(&self) -> Bytes {
        let mut text = self.head(".chunk");
        text.push_str(r#""choices":[],"#);
        self.usage(&mut text);
        frame(&["data: ", &text, "}"])
    }

    fn head(&self, suffix: &str) -> String {
        let mut text = String::with_capacity(256 + 10 * self.job.tokens as usize);
        let (prefix, object) = match self.form {
            Form::Chat => ("chatcmpl", "chat.completion"),
            Form::Completion => ("cmpl", "text_completion"),
        };
        let suffix = if self.form == Form::Chat { suffix } else { "" };
        let (id, created, model) = (self.job.prompt.digest, self.created, &self.model);
        write(
            &mut text,
            format_args!(
                r#"{{"id":"{prefix}-{id:016x}","object":"{object}{suffix}","created":{created},"model":{model},"#
            ),
        );
        text
    }

    fn word(&self, text: &mut String, index: u32) {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(self.job.prompt.word(index.into()));
    }

    fn usage(&self, text: &mut String) {
        let (prompt, completion) = (self.job.prompt.tokens, u64::from(self.job.tokens));
        write(
            text,
            format_args!(
                r#""usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{}}}"#,
                prompt + completion
            ),
        );
    }

    fn finish_reason(&self) -> &'static str {
        if self.job.capped { "length" } else { "stop" }
    }
}

/// The reply to an embeddings request; `model` is a JSON string.
pub(super) fn embeddings(job: &EmbedJob) -> Response {
    let data: Vec<_> = job
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = embed::vector(input, job.dimensions);
            json!({"object": "embedding", "index": index, "embedding": embed::encoded(&vector, job.base64)})
        })
        .collect();
    let tokens: u64 = job.inputs.iter().map(|input| input.tokens).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    axum::Json(json!({"object": "list", "data": data, "model": job.model, "usage": usage})).into_response()
}

/// A reply of finished JSON.
pub(super) fn json_bytes(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = json!({"message": self.message, "type": kind, "param": self.param, "code": self.code});
        (self.status, axum::Json(json!({ "error": error }))).into_response()
    }
}

fn frame(parts: &[&str]) -> Bytes {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 2);
    parts.iter().for_each(|part| text.push_str(part));
    text.push_str("\n\n");
    text.into()
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
