//! Putting a request to a backend that speaks another dialect, and its answer back. Every dialect brings a decoder and an
//! encoder of its own; which ones meet is decided here, and nothing else is.

mod count;
mod embed;
mod flow;
mod interject;
mod load;
mod pair;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::chat::{ChatReply, Garbled, Json, Label, Took};
use super::inspect::{BadRequest, mend};
use super::observe::Usage;
use crate::exchange::{Dialect, Endpoint};

pub use count::{prompt_bytes, told as count_told};
pub use flow::{Flow, failure as failure_in};
pub use load::answer_to_nothing;

/// What backends of one kind do in their own way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Tokens of context to load models with, where the request does not say.
    pub context_length: Option<u64>,
    /// How long a model is to stay in memory, where the request does not say.
    pub keep_alive: Option<String>,
    /// It wants `max_completion_tokens` where others know only `max_tokens`: OpenAI's own API.
    pub max_completion_tokens: bool,
}

/// Why a request cannot be put to a backend that speaks another dialect.
#[derive(Clone, Debug, PartialEq)]
pub enum Untranslated {
    /// It is no request.
    Bad(BadRequest),
    /// The backend's dialect has no word for these fields.
    Unsupported(Vec<String>),
}

impl From<BadRequest> for Untranslated {
    fn from(bad: BadRequest) -> Self {
        Untranslated::Bad(bad)
    }
}

impl From<super::chat::Unsupported> for Untranslated {
    fn from(unsupported: super::chat::Unsupported) -> Self {
        Untranslated::Unsupported(unsupported.0)
    }
}

/// A request in the words of its backend.
#[derive(Debug)]
pub struct Translated {
    /// The body.
    pub body: Bytes,
    /// How the answer is told to the client.
    pub translation: Translation,
    /// What of the request was left out: the client is told.
    pub left_out: Vec<String>,
}

/// How an answer is told to a client that speaks another dialect than the backend.
#[derive(Clone, Debug)]
pub struct Translation {
    /// What the client asked.
    from: Endpoint,
    /// What the backend is asked.
    to: Endpoint,
    label: Label,
    /// Embeddings are wanted as base64.
    base64: bool,
    took: Option<Took>,
}

/// An answer in the words of the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The body.
    pub body: Bytes,
    /// What was used, where the backend says so.
    pub usage: Option<Usage>,
}

/// Puts `body`, which asks for `from`, as a request for `to`. The answer will be told under `label`, whose model is the one
/// that the backend is asked for.
///
/// # Errors
/// It is no request, or holds what the other dialect has no word for.
pub fn translate(
    from: Endpoint,
    to: Endpoint,
    body: &Bytes,
    mut label: Label,
    ways: &Ways,
) -> Result<Translated, Untranslated> {
    let text = std::str::from_utf8(body).map_err(|error| BadRequest::NotUtf8 { at: error.valid_up_to() })?;
    let put = match put(from, to, text, &label.model, ways) {
        // Half characters are no text, but they must not keep a request from its backend.
        Err(Untranslated::Bad(bad)) => match mend(text) {
            Some(mended) => put(from, to, &mended, &label.model, ways)?,
            None => return Err(bad.into()),
        },
        result => result?,
    };
    label.include_usage = put.include_usage;
    let translation = Translation { from, to: put.to, label, base64: put.base64, took: None };
    Ok(Translated { body: put.body.into(), translation, left_out: put.left_out })
}

/// A request as it is put to a backend.
struct Put {
    body: Vec<u8>,
    to: Endpoint,
    include_usage: bool,
    base64: bool,
    left_out: Vec<String>,
}

fn put(from: Endpoint, to: Endpoint, text: &str, model: &str, ways: &Ways) -> Result<Put, Untranslated> {
    if from.is_embedding() {
        let (body, base64) = embed::request(from, to, text, model)?;
        return Ok(Put { body, to, include_usage: false, base64, left_out: Vec::new() });
    }
    if from.is_count() {
        return Ok(Put {
            body: count::request(from, to, text, model)?,
            to,
            include_usage: false,
            base64: false,
            left_out: Vec::new(),
        });
    }
    let decoded = pair::decode_request(from, text)?;
    if !decoded.uncarried.is_empty() {
        return Err(Untranslated::Unsupported(decoded.uncarried));
    }
    let mut request = decoded.request;
    request.context_length = request.context_length.or(ways.context_length);
    request.keep_alive = request.keep_alive.or_else(|| ways.keep_alive.as_deref().map(stay));
    if matches!(to.dialect(), Dialect::Anthropic | Dialect::Google) {
        interject::into_turns(&mut request.messages);
    }
    let request = &request;
    let to = if request.stream { streaming(to) } else { to };
    let body = pair::encode_request(to, request, model, ways)?;
    let include_usage = request.include_usage;
    Ok(Put { body, to, include_usage, base64: false, left_out: decoded.left_out })
}

/// A number of seconds, or a text as `30m`.
fn stay(time: &str) -> Json {
    let value = time.trim().parse::<i64>().map_or_else(|_| time.into(), serde_json::Value::from);
    Json::from(&value)
}

/// Where the path says whether a stream is wanted, it is another endpoint.
fn streaming(to: Endpoint) -> Endpoint {
    if to == Endpoint::GenerateContent { Endpoint::StreamContent } else { to }
}

impl Translation {
    /// What the backend is asked.
    pub fn to(&self) -> Endpoint {
        self.to
    }

    /// The same for an answer that took so long.
    #[must_use]
    pub fn having_taken(self, took: Took) -> Self {
        Translation { took: Some(took), ..self }
    }

    /// The content type that the client sees.
    pub fn content_type(&self, stream: bool) -> &'static str {
        match (stream, self.from) {
            (true, Endpoint::StreamContentArray) | (false, _) => "application/json",
            (true, from) if from.dialect() == Dialect::Ollama => "application/x-ndjson",
            (true, _) => "text/event-stream",
        }
    }

    /// A whole answer.
    ///
    /// # Errors
    /// It is none that the backend's dialect has.
    pub fn whole(&self, body: &[u8]) -> Result<Told, Garbled> {
        if self.from.is_embedding() {
            return embed::reply(self.from, self.to, body, &self.label, self.base64);
        }
        if self.from.is_count() {
            return count::reply(self.from, self.to, body);
        }
        Ok(self.tell(pair::decode_reply(self.to, body)?))
    }

    /// The same, where the backend sent a stream though none was asked for.
    ///
    /// # Errors
    /// It is none that the backend's dialect has.
    pub fn whole_of_stream(&self, body: &[u8]) -> Result<Told, Garbled> {
        Ok(self.tell(flow::fold(self.to, body)?))
    }

    fn tell(&self, mut reply: ChatReply) -> Told {
        let usage = (!reply.usage.is_empty()).then(|| reply.usage.into());
        reply.usage.took = self.took;
        Told { body: pair::encode_reply(self.from, &reply, &self.label).into(), usage }
    }

    /// A stream, told as it comes.
    pub fn flow(&self) -> Flow {
        Flow::new(self.from, self.to, self.label.clone())
    }

    /// A whole answer as a stream, where the client wanted one and the backend did not make one.
    ///
    /// # Errors
    /// It is none that the backend's dialect has.
    pub fn stream_of_whole(&self, body: &[u8]) -> Result<Told, Garbled> {
        let mut reply = pair::decode_reply(self.to, body)?;
        let usage = (!reply.usage.is_empty()).then(|| reply.usage.into());
        reply.usage.took = self.took;
        let mut encoder = pair::encoder(self.from, self.label.clone());
        let mut out = Vec::new();
        reply.events().into_iter().for_each(|event| encoder.event(event, &mut out));
        encoder.end(&mut out);
        Ok(Told { body: out.into(), usage })
    }
}
