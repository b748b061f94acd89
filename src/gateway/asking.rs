//! Putting a request to one of our own backends: as the client wrote it where the backend speaks its dialect, translated
//! where not. Translation happens here and nowhere else, at the peer that owns the backend.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::Instant;

use super::cost::COST;
use super::notes::{LEFT_OUT, TOKEN_COUNT};
use super::outcome::{Miss, Step};
use super::scrub::Scrub;
use super::tally::Tally;
use super::{Ask, Gateway};
use crate::backend::{self, Question};
use crate::dialect::{self, Fault, Label, Took, Translated, Translation, Untranslated};
use crate::env::ExchangeError;
use crate::exchange::{Dialect, Endpoint, Reply, full};
use crate::fleet::{Kind, Locality, Speech};
use crate::registry::Entry;

/// The largest whole answer that is translated, and the largest error that is read.
const MOST_ANSWER: usize = 64 << 20;
const MOST_ERROR: usize = 1 << 20;

/// What came of asking a backend.
pub(super) struct Asked {
    /// What it said, in the client's dialect from here on.
    pub(super) reply: Reply,
    /// What a translated answer says was used, once it is over.
    pub(super) tally: Option<Tally>,
    /// The backend was not asked: it has proved nothing, and taught nothing.
    pub(super) is_ours: bool,
}

impl Asked {
    fn by_backend(reply: Reply, tally: Option<Tally>) -> Self {
        Asked { reply, tally, is_ours: false }
    }

    fn by_us(reply: Reply) -> Self {
        Asked { reply, tally: None, is_ours: true }
    }
}

/// Why there is no reply.
pub(super) enum NotAsked {
    /// The backend could not be asked, or did not answer.
    Exchange(ExchangeError),
    /// Nothing came in time.
    Silent,
    /// It makes no sense to ask this backend.
    Miss(Miss),
}

impl From<Miss> for NotAsked {
    fn from(miss: Miss) -> Self {
        NotAsked::Miss(miss)
    }
}

impl Gateway {
    /// Asks `entry`, in whatever words it understands. What is translated is on the heap: most requests are not, and should not
    /// carry room for it.
    pub(super) async fn ask(&self, entry: &Entry, step: &Step, ask: &Ask<'_>) -> Result<Asked, NotAsked> {
        let asking = Asking { gateway: self, entry, step, ask };
        if let Some(own) = entry.spec.prefers(ask.request.endpoint) {
            match Box::pin(asking.translate(own)).await {
                // What its own dialect has no word for is asked without its wishes.
                Err(NotAsked::Miss(Miss::Unfit(_))) => {}
                asked => return asked,
            }
        }
        match entry.spec.kind.speech(ask.request.endpoint) {
            Speech::Relayed => asking.relay().await,
            // Engines that have another's endpoint beside their own take no notice there of what the answer is to look like.
            Speech::RelayedOr(instead)
                if entry.lacks(ask.request.endpoint) || ask.asked.needs.json_mode && asking.is_local() =>
            {
                Box::pin(asking.translate(instead)).await
            }
            Speech::RelayedOr(instead) => {
                let mut relayed = asking.relay().await?;
                if !has_no_such_endpoint(relayed.reply.status()) {
                    return Ok(relayed);
                }
                if !asking.is_local() {
                    // A vendor says the same of a model, a file or a prompt that it does not know; only then with a word.
                    let (parts, body) = relayed.reply.into_parts();
                    let body = asking.whole(body, MOST_ERROR).await?;
                    let said = Fault::told(parts.status, &body);
                    relayed.reply = Reply::from_parts(parts, full(body));
                    if !matches!(&*said.code, "backend_error" | "unknown_url" | "not_found") {
                        return Ok(relayed);
                    }
                }
                let translated = Box::pin(asking.translate(instead)).await?;
                // Else it was the model that it did not know.
                if translated.reply.status().is_success() {
                    entry.has_no(ask.request.endpoint);
                }
                Ok(translated)
            }
            Speech::Translated(instead) => Box::pin(asking.translate(instead)).await,
            Speech::Estimated => Ok(asking.estimate()),
            Speech::Never => Err(Miss::NoEndpoint.into()),
        }
    }
}

struct Asking<'a> {
    gateway: &'a Gateway,
    entry: &'a Entry,
    step: &'a Step,
    ask: &'a Ask<'a>,
}

impl Asking<'_> {
    fn model(&self) -> &str {
        &self.step.planned.served.id
    }

    fn is_local(&self) -> bool {
        self.entry.spec.kind.locality() == Locality::Local
    }

    async fn relay(&self) -> Result<Asked, NotAsked> {
        let Ask { request, asked, .. } = self.ask;
        let body = dialect::splice(&request.body, &asked.model_at, self.model());
        let asking = self.wants_usage().then(|| dialect::asking_for_usage(&body)).flatten();
        let hides_usage = asking.is_some();
        let reply = self.send(request.endpoint, asking.unwrap_or(body), false).await?;
        if !reply.status().is_success() {
            return Ok(Asked::by_backend(self.shaped(reply).await?, None));
        }
        if hides_usage && is_stream(&reply) {
            let (parts, body) = reply.into_parts();
            let (body, tally) = super::translated::without_usage(body);
            return Ok(Asked::by_backend(Reply::from_parts(parts, body), Some(tally)));
        }
        Ok(Asked::by_backend(reply, None))
    }

    /// An error in the client's shape, where the backend has the endpoint of another's dialect but errors of its own.
    async fn shaped(&self, reply: Reply) -> Result<Reply, NotAsked> {
        let (kind, dialect) = (self.entry.spec.kind, self.ask.request.endpoint.dialect());
        let is_foreign = dialect == Dialect::Anthropic && kind.dialect() != dialect;
        if !is_foreign || reply.status().is_server_error() {
            return Ok(reply);
        }
        let status = reply.status();
        let (parts, body) = reply.into_parts();
        let body = self.whole(body, MOST_ERROR).await?;
        let is_shaped = serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|body| body["type"] == "error");
        let body = if is_shaped { body } else { Fault::told(status, &body).body(dialect) };
        Ok(with_body(parts, full(body), "application/json"))
    }

    /// Whether the backend must say what its stream used though the client does not ask: where that is paid for.
    fn wants_usage(&self) -> bool {
        let is_paid = self.entry.spec.kind.locality() == Locality::Cloud;
        let may_tell = matches!(self.ask.request.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
        is_paid && self.ask.asked.stream && may_tell
    }

    async fn translate(&self, instead: Endpoint) -> Result<Asked, NotAsked> {
        let request = self.ask.request;
        let label = Label {
            id: self.gateway.label_of(&request.id),
            model: self.model().to_owned(),
            created: self.gateway.clock.unix_seconds(),
            include_usage: false,
        };
        if self.ask.asked.needs.prompt_bytes == 0
            && let Some(answer) = dialect::answer_to_nothing(request.endpoint, &request.body, &label)
        {
            let mut reply = Reply::new(full(answer));
            reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(Asked::by_us(reply));
        }
        let ways = backend::ways(&self.entry.spec);
        let began = Instant::now();
        let translated = dialect::translate(request.endpoint, instead, &request.body, label, &ways);
        let Translated { body, translation, left_out } = translated.map_err(|why| unfit(why, instead))?;
        let reply = self.send(translation.to(), body, true).await?;
        let mut asked = self.told(reply, translation, began).await?;
        if let Ok(left_out) = HeaderValue::from_str(&left_out.join(", "))
            && !left_out.is_empty()
        {
            asked.reply.headers_mut().insert(LEFT_OUT, left_out);
        }
        Ok(asked)
    }

    async fn send(&self, endpoint: Endpoint, body: Bytes, is_translated: bool) -> Result<Reply, NotAsked> {
        let Ask { request, asked, .. } = self.ask;
        let (id, client, model, stream) = (&request.id, &request.headers, self.model(), asked.stream);
        let question = Question { endpoint, model, id, client, body, stream, is_translated };
        let mut reply = self.exchange(backend::request(&self.entry.spec, question)).await?;
        // What Nexus says of itself, no backend says.
        for name in [TOKEN_COUNT, LEFT_OUT, COST] {
            reply.headers_mut().remove(name);
        }
        Ok(match Scrub::of(self.entry.spec.key.as_deref()) {
            Some(scrub) => reply.map(|body| super::translated::scrubbed(body, scrub)),
            None => reply,
        })
    }

    async fn exchange(&self, outgoing: http::Request<Full<Bytes>>) -> Result<Reply, NotAsked> {
        match tokio::time::timeout_at(self.step.deadline, self.gateway.http.send(outgoing)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(NotAsked::Exchange(error)),
            Err(_) => Err(NotAsked::Silent),
        }
    }

    /// The answer of the backend in the client's words.
    async fn told(&self, reply: Reply, translation: Translation, began: Instant) -> Result<Asked, NotAsked> {
        let first = began.elapsed();
        let status = reply.status();
        if status.is_server_error() {
            return Ok(Asked::by_backend(reply, None));
        }
        if !status.is_success() {
            let (parts, body) = reply.into_parts();
            let body = self.whole(body, MOST_ERROR).await?;
            let fault = Fault::told(status, &body);
            let said = fault.body(self.ask.request.endpoint.dialect());
            let mut reply = with_body(parts, full(said), "application/json");
            if let Some(seconds) = fault.retry_after {
                reply.headers_mut().entry(header::RETRY_AFTER).or_insert(seconds.into());
            }
            return Ok(Asked::by_backend(reply, None));
        }
        let comes_as_stream = is_stream(&reply);
        let (parts, body) = reply.into_parts();
        let wants_stream = self.ask.asked.stream;
        if wants_stream && comes_as_stream {
            let (body, tally) = super::translated::translated(body, translation.flow(), began);
            let reply = with_body(parts, body, translation.content_type(true));
            return Ok(Asked::by_backend(reply, Some(tally)));
        }
        let body = self.whole(body, MOST_ANSWER).await?;
        let translation = translation.having_taken(Took { first, total: began.elapsed() });
        if let Some(fault) = dialect::failure_in(&body) {
            return Err(Miss::Broken(format!("it reported an error: {}", fault.message)).into());
        }
        let told = match (wants_stream, comes_as_stream) {
            (true, _) => translation.stream_of_whole(&body),
            (false, true) => translation.whole_of_stream(&body),
            (false, false) => translation.whole(&body),
        };
        let told = told.map_err(|garbled| Miss::Broken(garbled.to_string()))?;
        let reply = with_body(parts, full(told.body), translation.content_type(wants_stream));
        Ok(Asked::by_backend(reply, Some(Tally::of(told.usage))))
    }

    async fn whole(&self, body: crate::exchange::Body, most: usize) -> Result<Bytes, NotAsked> {
        let whole = Limited::new(body, most).collect();
        match tokio::time::timeout_at(self.step.deadline, whole).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) => Err(Miss::Broken(error.to_string()).into()),
            Err(_) => Err(NotAsked::Silent),
        }
    }

    /// Tokens of the prompt, at four bytes each: the backend has no way to count them.
    fn estimate(&self) -> Asked {
        let (endpoint, body) = (self.ask.request.endpoint, &self.ask.request.body);
        let bytes = match self.ask.asked.needs.prompt_bytes {
            0 => dialect::prompt_bytes(endpoint, body),
            bytes => bytes,
        };
        let mut reply = Reply::new(full(dialect::count_told(endpoint, bytes.div_ceil(4))));
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TOKEN_COUNT, HeaderValue::from_static("estimated"));
        Asked::by_us(reply)
    }
}

/// What is said by servers that have no such path; llama.cpp says 501 of what it was not started for.
fn has_no_such_endpoint(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}

fn is_stream(reply: &Reply) -> bool {
    let content_type = reply.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.starts_with(b"text/event-stream") || content_type.starts_with(b"application/x-ndjson")
}

fn with_body(mut parts: http::response::Parts, body: crate::exchange::Body, content_type: &'static str) -> Reply {
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Reply::from_parts(parts, body)
}

fn unfit(why: Untranslated, instead: Endpoint) -> Miss {
    Miss::Unfit(Box::new(match why {
        Untranslated::Bad(bad) => Fault::bad_request(bad.to_string()),
        Untranslated::Unsupported(fields) => Fault::untranslatable(instead.dialect(), &fields),
    }))
}

/// Those that would have it.
pub(super) fn kinds_having(endpoint: Endpoint) -> Vec<&'static str> {
    Kind::having(endpoint).map(Kind::as_str).collect()
}
