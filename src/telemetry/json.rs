//! A log line as a flat JSON object: `timestamp`, `level`, the fields in their order, `target`. It is what
//! `tracing_subscriber` writes flattened, put together in one piece: there every quotation mark is a write of its own.

use std::fmt;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::stamp;

/// A long line has about so many bytes.
const LINE: usize = 1_024;

/// Writes a line for each event. Spans are not told: nothing here opens any.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let about = event.metadata();
        let mut line = Line(Vec::with_capacity(LINE));
        line.0.extend_from_slice(b"{\"timestamp\":\"");
        line.0.extend_from_slice(&stamp::now());
        line.0.push(b'"');
        line.member("level", about.level().as_str());
        event.record(&mut line);
        line.member("target", about.target());
        line.0.extend_from_slice(b"}\n");
        writer.write_str(std::str::from_utf8(&line.0).map_err(|_| fmt::Error)?)
    }
}

/// A line as far as it is written.
struct Line(Vec<u8>);

impl Line {
    /// A member after others. Names stand in the code and need no escapes.
    fn member(&mut self, name: &str, value: impl Serialize) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        // Text and numbers go into memory: there is nothing that could fail.
        let _ = serde_json::to_writer(&mut self.0, &value);
    }

    fn field(&mut self, field: &Field, value: impl Serialize) {
        self.member(field.name(), value);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, text: &str) {
        self.field(field, text);
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.field(field, number);
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.field(field, number);
    }

    fn record_f64(&mut self, field: &Field, number: f64) {
        self.field(field, number);
    }

    fn record_bool(&mut self, field: &Field, is_so: bool) {
        self.field(field, is_so);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::testing::{Page, speak};

    /// What `log` says, a member an entry, without the time.
    fn members(log: &dyn Fn(), ours: bool) -> Vec<Vec<(String, serde_json::Value)>> {
        let page = Page::default();
        let builder = || tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(page.clone());
        if ours {
            tracing::subscriber::with_default(builder().event_format(Json).finish(), log);
        } else {
            let usual = builder().json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::with_default(usual.finish(), log);
        }
        let object = |line: &str| -> serde_json::Map<String, serde_json::Value> {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        let members = |line: &str| object(line).into_iter().filter(|(name, _)| name != "timestamp").collect();
        page.text().lines().map(members).collect()
    }

    fn assert_alike(log: &dyn Fn()) {
        assert_eq!(members(log, true), members(log, false));
    }

    #[test]
    fn a_line_is_as_it_always_was() {
        assert_alike(&|| {
            speak();
            let span = tracing::info_span!("request", id = "req-1");
            let _inside = span.enter();
            tracing::debug!(a = "b", "inside");
        });
    }

    proptest! {
        #[test]
        fn every_text_and_every_number_is(text in "\\PC*|[\\x00-\\x7f]*", number in any::<i64>(), part in any::<f64>()) {
            assert_alike(&|| tracing::info!(first = text, number, part, second = %text, "{text}"));
        }
    }
}
