//! Which trace a request belongs to, as W3C Trace Context writes it (`traceparent`). No ids are made here, and nothing is
//! told to anybody.

use std::fmt;

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Request;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems add. It means nothing without the `traceparent` that it came with.
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The bytes of `VERSION-TRACE-SPAN-FLAGS`. Later versions may have more behind it.
const LENGTH: usize = 55;

/// The one id of a trace, at every server that it passes: 32 hex digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// The id of one span of a trace: 16 hex digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A span, as the next server is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace that it is of.
    pub trace: TraceId,
    /// The span itself.
    pub span: SpanId,
    /// Whether it is told to a collector.
    pub is_sampled: bool,
}

impl TraceContext {
    /// What `headers` say, if they say it once and well.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let only = all.next().filter(|_| all.next().is_none())?;
        Self::read(only.to_str().ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
        let (span, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
        let is_whole = parts.next().is_none()
            && match version {
                0 => rest.is_empty(),
                255 => false,
                _ => rest.is_empty() || rest.starts_with('-'),
            };
        let span = u64::try_from(span).ok()?;
        (is_whole && trace != 0 && span != 0).then_some(TraceContext {
            trace: TraceId(trace),
            span: SpanId(span),
            is_sampled: flags & 1 == 1,
        })
    }

    /// The value of `traceparent`.
    fn header(&self) -> HeaderValue {
        let mut text = *b"00-................................-................-00";
        let hex = |room: &mut [u8], id: &[u8]| HEXLOWER.encode_mut(id, room);
        hex(&mut text[3..35], &self.trace.0.to_be_bytes());
        hex(&mut text[36..52], &self.span.0.to_be_bytes());
        hex(&mut text[53..], &[self.is_sampled.into()]);
        HeaderValue::from_bytes(&text).expect("hex digits are fit for a header")
    }
}

impl Request {
    /// The same request, sent by this span. What another trace said of itself is left out.
    pub fn within(&self, span: &TraceContext) -> Self {
        let mut request = self.clone();
        if TraceContext::of(&self.headers).is_none_or(|came| came.trace != span.trace) {
            request.headers.remove(TRACESTATE);
        }
        request.headers.insert(TRACEPARENT, span.header());
        request
    }
}

/// `digits` lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).expect("literal"));
        }
        headers
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let read = TraceContext::of(&headers(&[GOOD])).expect("good");
        assert_eq!((read.trace.to_string().as_str(), read.is_sampled), ("4bf92f3577b34da6a3ce929d0e0e4736", true));
        assert_eq!(read.header(), GOOD);
        let not_sampled = GOOD.replace("-01", "-00");
        assert_eq!(TraceContext::of(&headers(&[&not_sampled])).expect("good").header(), not_sampled.as_str());
    }

    /// The rules of the recommendation, and what clients really send.
    #[test]
    fn what_is_not_well_formed_is_no_context() {
        let later = GOOD.replacen("00", "01", 1) + "-more";
        assert!(TraceContext::of(&headers(&[&later])).is_some(), "a later version may have more");
        for bad in [
            "",
            "t-1",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("00f067aa0ba902b7-01", "00f067aa0ba902b-701"),
            &GOOD.replace("4bf9", "+bf9"),
            &later.replace("-more", "more"),
        ] {
            assert_eq!(TraceContext::of(&headers(&[bad])), None, "{bad}");
        }
        assert_eq!(TraceContext::of(&headers(&[GOOD, GOOD])), None, "two contradict each other");
        assert_eq!(TraceContext::of(&HeaderMap::new()), None);
    }
}
