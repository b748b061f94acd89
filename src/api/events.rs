//! `GET /nexus/v1/events`: the last events as JSON, or every one as it happens, as a stream of events that a browser and
//! `nexus mesh events` can follow. What has happened is known elsewhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::query::Query;
use super::serve::Source;
use super::watchers::{Place, Watchers};
use super::{gate, respond};
use crate::dialect::Fault;
use crate::telemetry::events::{Events, MOST, Told};

/// A sign of life to who follows while nothing happens: so a connection that is gone is found out.
const BEAT: Duration = Duration::from_secs(15);

/// What the handler speaks to.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) events: Arc<Events>,
    pub(super) watchers: Arc<Watchers>,
}

#[derive(Serialize)]
struct List<'a> {
    events: Vec<&'a RawValue>,
}

pub(super) async fn show(
    State(seen): State<Seen>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match answer(&seen, source.map(|Extension(source)| source), &headers, query.as_deref()) {
        Ok(response) => response,
        Err(fault) => respond::fault(&fault),
    }
}

fn answer(seen: &Seen, source: Option<Source>, headers: &HeaderMap, query: Option<&str>) -> Result<Response, Fault> {
    let query = Query::read(query, &["follow", "limit"])?;
    let limit = query.number("limit", 0..=MOST)?;
    let accepts =
        headers.get(header::ACCEPT).is_some_and(|accepts| accepts.as_bytes().starts_with(b"text/event-stream"));
    if !accepts && !query.flag("follow")? {
        let last = seen.events.last(limit.unwrap_or(MOST));
        let events = last.iter().filter_map(|told| serde_json::from_str(&told.json).ok()).collect();
        return Ok(respond::json(StatusCode::OK, &List { events }));
    }
    gate::refuse_other_pages(headers)?;
    let place = seen.watchers.place(source)?;
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (missed, live) = seen.events.follow(id, limit.unwrap_or(0));
    let mut response = Response::new(Body::from_stream(follow(missed, live, place, seen.watchers.closing.clone())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One that follows.
struct Follower {
    live: broadcast::Receiver<Arc<Told>>,
    closing: CancellationToken,
    _place: Place,
}

fn follow(
    missed: Vec<Arc<Told>>,
    live: broadcast::Receiver<Arc<Told>>,
    place: Place,
    closing: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let follower = Follower { live, closing, _place: place };
    // A comment first, so that the head and a sign of life are there at once.
    let before =
        std::iter::once(Bytes::from_static(b": events\n\n")).chain(missed.into_iter().map(|told| frame(&told)));
    let after = stream::unfold(follower, |mut follower| async move {
        let bytes = follower.next().await?;
        Some((bytes, follower))
    });
    stream::iter(before).chain(after).map(Ok)
}

impl Follower {
    /// What it is sent next; `None` where this node stops.
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            told = self.live.recv() => match told {
                Ok(told) => Some(frame(&told)),
                Err(RecvError::Lagged(missed)) => {
                    let message = format!("{missed} events were missed: read /nexus/v1/events");
                    Some(format!("data: {}\n\n", serde_json::json!({ "kind": "missed", "message": message })).into())
                }
                Err(RecvError::Closed) => None,
            },
            () = tokio::time::sleep(BEAT) => Some(Bytes::from_static(b":\n\n")),
        }
    }
}

fn frame(told: &Told) -> Bytes {
    format!("id: {}\ndata: {}\n\n", told.id, told.json).into()
}
