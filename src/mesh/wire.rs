//! The frames of a forwarded request and of an order: `[u32 length, big-endian][JSON]`, followed by raw bytes where a body belongs. Only
//! their form is here; when which is sent is `forward`'s and `accept`'s business. Written down in `docs/mesh-wire.md`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quinn::VarInt;
use serde::{Deserialize, Deserializer, Serialize};

use crate::exchange::headers::goes_to_peers;
use crate::exchange::{Cut, Endpoint, Hop, Objection, Order, Origin, Outcome, Payer, Refusal, Request, RequestId};
use crate::fleet::{Load, PeerId, Tier, Zone};

/// The version that is written. Readers take any head that they can parse.
pub(super) const VERSION: u32 = 1;

/// Bytes of a head or an answer.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// Bytes of the body of a forwarded request.
pub(super) const MAX_BODY: u64 = 64 << 20;

/// Headers of one frame, and bytes of them together.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Peers that a request may have passed.
const MAX_VISITED: usize = 16;

/// Whoever asked is gone, or wants no more.
pub(super) const CANCELLED: VarInt = VarInt::from_u32(1);

/// What opens a forwarded request.
#[derive(Serialize, Deserialize)]
pub(super) struct Head<'a> {
    v: u32,
    #[serde(borrow)]
    dialect: Cow<'a, str>,
    endpoint: Endpoint,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    asked: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "no_names")]
    by: Cow<'a, [String]>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    backend: Cow<'a, str>,
    hops_left: u8,
    visited: Cow<'a, [PeerId]>,
    time_left_ms: u64,
    #[serde(default)]
    may_queue: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    may_wait_ms: u64,
    #[serde(default)]
    last_resort: bool,
    #[serde(default, borrow)]
    client: Cow<'a, str>,
    #[serde(deserialize_with = "strict_zone")]
    zone: Zone,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<Payer>,
    #[serde(default, borrow)]
    headers: Vec<Field<'a>>,
    /// Bytes of the body that follows: a stream that ends early is not a shorter body.
    pub(super) body: u64,
}

/// What opens an order. Nothing follows it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OrderHead {
    v: u32,
    pub(super) order: Order,
}

impl OrderHead {
    pub(super) fn new(order: Order) -> Self {
        OrderHead { v: VERSION, order }
    }

    /// Reads an order of this version or a later one; `None` where it is none.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        parse(frame).ok()
    }
}

/// A header, borrowed where its value stands in the frame as it is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Field<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);

/// Why a head is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("the head is not understood: {0}")]
    Malformed(String),
    #[error("the dialect `{0}` is not spoken here")]
    Dialect(String),
    #[error("the body of {0} bytes is longer than {MAX_BODY}")]
    BodyTooLong(u64),
    #[error("the request has passed {0} peers, more than {MAX_VISITED}")]
    TooManyHops(usize),
}

impl<'a> Head<'a> {
    /// The head of `request`, forwarded as `hop` says.
    pub(super) fn new(hop: &'a Hop, request: &'a Request) -> Self {
        Head {
            v: VERSION,
            dialect: request.endpoint.dialect().as_str().into(),
            endpoint: request.endpoint,
            id: request.id.as_str().into(),
            asked: hop.asked.as_str().into(),
            by: hop.by.as_slice().into(),
            model: hop.model.as_str().into(),
            backend: hop.backend.as_str().into(),
            hops_left: hop.hops_left,
            visited: hop.visited.as_slice().into(),
            time_left_ms: millis(hop.time_left),
            may_queue: hop.may_queue,
            may_wait_ms: millis(hop.may_wait),
            last_resort: hop.last_resort,
            client: (&*request.client).into(),
            zone: hop.zone,
            tier: hop.tier,
            most: hop.most,
            payer: hop.payer.clone(),
            headers: outbound(&request.headers, goes_to_peers),
            body: request.body.len() as u64,
        }
    }

    /// Reads a head of this version or a later one.
    pub(super) fn read(frame: &'a [u8]) -> Result<Self, HeadError> {
        let head: Head<'a> = parse(frame).map_err(|error| HeadError::Malformed(error.to_string()))?;
        if head.endpoint.dialect().as_str() != head.dialect {
            return Err(HeadError::Dialect(head.dialect.chars().take(32).collect()));
        }
        if head.visited.len() > MAX_VISITED {
            return Err(HeadError::TooManyHops(head.visited.len()));
        }
        if head.body > MAX_BODY { Err(HeadError::BodyTooLong(head.body)) } else { Ok(head) }
    }

    /// The request it opens, of which the body is still to come; `from` is who forwarded it.
    pub(super) fn into_request(self, from: PeerId) -> Result<Request, HeadError> {
        let id = RequestId::from_outside(&self.id)
            .ok_or_else(|| HeadError::Malformed("the request id is not fit for a header".to_owned()))?;
        let hop = Hop {
            from,
            asked: self.asked.into_owned(),
            by: self.by.into_owned(),
            model: self.model.into_owned(),
            backend: self.backend.into_owned(),
            hops_left: self.hops_left,
            visited: self.visited.into_owned(),
            time_left: Duration::from_millis(self.time_left_ms),
            may_queue: self.may_queue,
            may_wait: Duration::from_millis(self.may_wait_ms),
            last_resort: self.last_resort,
            zone: self.zone,
            tier: self.tier,
            most: self.most,
            payer: self.payer,
        };
        let headers = inbound(&self.headers, goes_to_peers);
        let model = self.endpoint.names_model_in_path().then(|| hop.asked.as_str().into());
        Ok(Request {
            id,
            endpoint: self.endpoint,
            model,
            headers,
            body: Bytes::new(),
            origin: Origin::Peer(Box::new(hop)),
            client: self.client.chars().take(MAX_CLIENT).collect::<String>().into(),
            caller: None,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn no_names(names: &[String]) -> bool {
    names.is_empty()
}

fn is_zero(millis: &u64) -> bool {
    *millis == 0
}

/// Characters of a client's name that are kept.
const MAX_CLIENT: usize = 64;

/// A zone of a later version can only be stricter than `open`.
fn strict_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
    let word = Cow::<str>::deserialize(deserializer)?;
    Ok(word.parse().unwrap_or(Zone::Restricted))
}

/// What comes back before the bytes of a reply. Exactly one field is set; none of them is an answer of a later version,
/// to be skipped.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    /// It is being worked on; the reply or a refusal follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admitted: Option<Admitted>,
    /// The head of the reply; its body follows until the end of the stream.
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    pub(super) reply: Option<ReplyHead<'a>>,
    /// It is not served here; nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<Refusal>,
    /// What has come of an order; nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordered: Option<Outcome>,
    /// Why an order is not followed; nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) objected: Option<Objection>,
}

/// That a request is being worked on.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Admitted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<Load>,
}

impl<'a> Answer<'a> {
    /// Reads an answer of this version or a later one.
    pub(super) fn read(frame: &'a [u8]) -> Result<Self, FrameError> {
        parse(frame).map_err(|_| FrameError::Malformed)
    }
}

/// The head of a reply.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ReplyHead<'a> {
    status: u16,
    #[serde(default, borrow)]
    headers: Vec<Field<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<Load>,
}

impl<'a> ReplyHead<'a> {
    pub(super) fn new(parts: &'a http::response::Parts, load: Option<Load>) -> Self {
        let headers = outbound(&parts.headers, |name| !is_hop_by_hop(name));
        ReplyHead { status: parts.status.as_u16(), headers, load }
    }

    /// Status and headers, or `None` where the status is none.
    pub(super) fn parts(&self) -> Option<(StatusCode, HeaderMap)> {
        let status = StatusCode::from_u16(self.status).ok()?;
        Some((status, inbound(&self.headers, |name| !is_hop_by_hop(name))))
    }
}

/// What belongs to one connection, or to one browser, and not to the answer.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    use http::header::{
        CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    };
    [
        CONNECTION,
        CONTENT_LENGTH,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
        || name.as_str() == "keep-alive"
}

fn outbound(headers: &HeaderMap, wanted: impl Fn(&HeaderName) -> bool) -> Vec<Field<'_>> {
    let mut room = MAX_HEADER_BYTES;
    headers
        .iter()
        .filter(|(name, _)| wanted(name))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .take(MAX_HEADERS)
        .take_while(|(name, value)| fits(&mut room, name, value))
        .map(|(name, value)| Field(name.into(), value.into()))
        .collect()
}

fn inbound(headers: &[Field<'_>], wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut room = MAX_HEADER_BYTES;
    headers
        .iter()
        .filter_map(|Field(name, value)| {
            Some((HeaderName::try_from(&**name).ok()?, HeaderValue::from_str(value).ok()?))
        })
        .filter(|(name, _)| wanted(name))
        .take(MAX_HEADERS)
        .take_while(|(name, value)| fits(&mut room, name.as_str(), value.to_str().unwrap_or_default()))
        .fold(HeaderMap::with_capacity(headers.len().min(MAX_HEADERS)), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

fn fits(room: &mut usize, name: &str, value: &str) -> bool {
    match room.checked_sub(name.len() + value.len()) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

/// Why no frame came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    #[error("the stream ended within a frame")]
    Cut,
    #[error("the frame is not understood")]
    Malformed,
}

/// A frame, ready to be sent; `None` where it would be longer than anybody reads.
pub(super) fn frame<T: Serialize>(content: &T) -> Option<Bytes> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut bytes, content).ok()?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return None;
    }
    bytes[..4].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    Some(bytes.into())
}

/// What a frame says. It is looked at once for being text, and not again with each string in it.
fn parse<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(frame) {
        Ok(text) => serde_json::from_str(text),
        // Which string is none, if it matters, is for the parser to say.
        Err(_) => serde_json::from_slice(frame),
    }
}

/// The next frame of a stream, without its length.
pub(super) async fn read_frame(stream: &mut quinn::RecvStream) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|_| FrameError::Cut)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await.map_err(|_| FrameError::Cut)?;
    Ok(content)
}

/// The code with which the stream of a body is reset.
pub(super) fn code_of(cut: Cut) -> VarInt {
    VarInt::from_u32(match cut {
        Cut::Backend => 0x10,
        Cut::Garbled => 0x14,
        Cut::Idle => 0x11,
        Cut::Peer => 0x12,
        Cut::Shutdown => 0x13,
    })
}

/// What such a code means; one of a later version means that the owner could not go on.
pub(super) fn cut_of(code: VarInt) -> Cut {
    match code.into_inner() {
        0x10 => Cut::Backend,
        0x11 => Cut::Idle,
        0x13 => Cut::Shutdown,
        0x14 => Cut::Garbled,
        _ => Cut::Peer,
    }
}

#[cfg(test)]
mod tests;
