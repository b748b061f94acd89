//! Signs of life while a stream has nothing to say yet: a request that waits for a slot, a load or a long prefill gets an
//! SSE comment now and then, so that clients and proxies do not give up. The price is that the reply has begun: what
//! would have been a status becomes an event.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderValue, header};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};

use super::notes::DOWNGRADED;
use crate::dialect::{self, Fault};
use crate::exchange::{Body, Cut, Dialect, Reply, Request};

/// A reply that is still being made.
pub(super) type Pending = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Two line ends: a comment of its own, wherever the client's parser stands.
const BEAT: Bytes = Bytes::from_static(b": waiting\n\n");

/// The largest error or whole answer that is made into an event.
const MOST_BYTES: usize = 1 << 20;

/// Most requests that want no stream are told apart without reading them. Ollama's and Google's clients know no comments in
/// a stream.
pub(super) fn may_stream(request: &Request) -> bool {
    let knows_comments = !matches!(request.endpoint.dialect(), Dialect::Ollama | Dialect::Google);
    knows_comments && memchr::memmem::find(&request.body, b"\"stream\"").is_some()
}

pub(super) fn asks_for_a_stream(request: &Request) -> bool {
    dialect::inspect(request.endpoint, None, None, &request.body).is_ok_and(|asked| asked.stream)
}

/// A stream that says every so often that there is more to come, and then becomes the reply.
pub(super) fn stream_of(pending: Pending, every: Duration, dialect: Dialect) -> Reply {
    let frames = stream::unfold(State::Begun(pending), move |state| step(state, every, dialect));
    let mut reply = Reply::new(StreamBody::new(frames).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

enum State {
    Begun(Pending),
    Waiting(Pending),
    Passing(Body),
    Over,
}

type Next = Option<(Result<Frame<Bytes>, Cut>, State)>;

async fn step(mut state: State, every: Duration, dialect: Dialect) -> Next {
    loop {
        state = match state {
            State::Begun(pending) => return beat(pending),
            State::Waiting(mut pending) => {
                tokio::select! {
                    biased;
                    reply = &mut pending => match is_stream(&reply) {
                        true => match downgrade(&reply) {
                            Some(comment) => return Some((Ok(Frame::data(comment)), State::Passing(reply.into_body()))),
                            None => State::Passing(reply.into_body()),
                        },
                        false => return Some((Ok(Frame::data(as_event(reply, dialect).await)), State::Over)),
                    },
                    () = tokio::time::sleep(every) => return beat(pending),
                }
            }
            State::Passing(mut body) => return body.frame().await.map(|frame| (frame, State::Passing(body))),
            State::Over => return None,
        };
    }
}

fn beat(pending: Pending) -> Next {
    Some((Ok(Frame::data(BEAT)), State::Waiting(pending)))
}

/// A lower tier is never used unsaid: where the headers have gone already, a comment says it.
fn downgrade(reply: &Reply) -> Option<Bytes> {
    let told = reply.headers().get(DOWNGRADED)?.to_str().ok()?;
    Some(format!(": {DOWNGRADED}: {told}\n\n").into())
}

fn is_stream(reply: &Reply) -> bool {
    let content_type = reply.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"text/event-stream"))
}

/// A reply that is no stream, an error mostly, as one event; its lines stay lines.
async fn as_event(reply: Reply, dialect: Dialect) -> Bytes {
    let status = reply.status();
    let body = Limited::new(reply.into_body(), MOST_BYTES).collect().await;
    let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
    // Clients of other dialects than OpenAI's tell events apart by their names.
    if !status.is_success() && dialect != Dialect::OpenAi {
        return Fault::told(status, &body).event(dialect, true);
    }
    let mut event = BytesMut::with_capacity(body.len() + 16);
    for line in body.split(|byte| *byte == b'\n') {
        event.put_slice(b"data: ");
        event.put_slice(line.strip_suffix(b"\r").unwrap_or(line));
        event.put_u8(b'\n');
    }
    event.put_u8(b'\n');
    event.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::full;

    async fn said(reply: Reply) -> String {
        let whole = reply.into_body().collect().await.expect("a whole body").to_bytes();
        String::from_utf8(whole.to_vec()).expect("text")
    }

    fn late(seconds: u64, reply: Reply) -> Pending {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            reply
        })
    }

    #[tokio::test(start_paused = true)]
    async fn it_beats_until_the_stream_begins_and_never_in_it() {
        let mut reply = Reply::new(full("data: 1\n\ndata: [DONE]\n\n"));
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        let told = said(stream_of(late(25, reply), Duration::from_secs(10), Dialect::OpenAi)).await;
        assert_eq!(told, ": waiting\n\n: waiting\n\n: waiting\n\ndata: 1\n\ndata: [DONE]\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_tier_is_told_where_no_header_can() {
        let mut reply = Reply::new(full("data: 1\n\n"));
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        reply.headers_mut().insert(DOWNGRADED, HeaderValue::from_static("3->2"));
        let told = said(stream_of(late(1, reply), Duration::from_secs(10), Dialect::OpenAi)).await;
        assert_eq!(told, ": waiting\n\n: x-nexus-tier-downgraded: 3->2\n\ndata: 1\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_becomes_one_event() {
        let reply = Reply::new(full("{\n  \"error\": {}\r\n}"));
        let told = said(stream_of(late(1, reply), Duration::from_secs(10), Dialect::OpenAi)).await;
        assert_eq!(told, ": waiting\n\ndata: {\ndata:   \"error\": {}\ndata: }\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_an_event_that_its_client_looks_for() {
        let fault = Fault::busy("m", 3);
        for (dialect, begins) in
            [(Dialect::Anthropic, "event: error\ndata: {\"type\":\"error\""), (Dialect::Responses, "event: error\n")]
        {
            let mut reply = Reply::new(full(fault.body(dialect)));
            *reply.status_mut() = fault.status;
            let told = said(stream_of(late(1, reply), Duration::from_secs(10), dialect)).await;
            let event = told.strip_prefix(": waiting\n\n").expect("it waited");
            assert!(event.starts_with(begins) && event.contains("is taken"), "{told}");
        }
    }
}
