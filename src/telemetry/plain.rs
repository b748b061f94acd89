//! A log line without colours, letter by letter as `tracing_subscriber` writes it: when, how grave, from where, and the fields as
//! ` name=value`, text in quotes. There is one for each request, so it is put together in one piece, and what is plain, as
//! nearly all of it is, is copied; the rest goes the usual way.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::VisitOutput;
use tracing_subscriber::fmt::format::{DefaultVisitor, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::stamp::{self, Stamp};
use crate::exchange::text::{is_all, push_number};

/// A long line has about so many bytes.
const LINE: usize = 1_024;

/// Writes a line for each event.
pub(super) struct Plain {
    /// Writes those of libraries that open spans.
    usual: Format<Full, Stamp>,
}

impl Plain {
    pub(super) fn new() -> Self {
        Plain { usual: Format::default().with_ansi(false).with_timer(Stamp) }
    }
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if context.event_scope().is_some_and(|mut scope| scope.next().is_some()) {
            return self.usual.format_event(context, writer, event);
        }
        let about = event.metadata();
        let mut line = Line { text: String::with_capacity(LINE), is_first: true, result: Ok(()) };
        line.text.push_str(std::str::from_utf8(&stamp::now()).unwrap_or_default());
        line.text.push_str(level(*about.level()));
        line.text.push_str(about.target());
        line.text.push_str(": ");
        event.record(&mut line);
        line.text.push('\n');
        line.result?;
        writer.write_str(&line.text)
    }
}

/// All of them are equally wide.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    }
}

/// A line as far as it is written.
struct Line {
    text: String,
    /// Whether no field is written yet.
    is_first: bool,
    result: fmt::Result,
}

/// What the message is called among the fields.
const MESSAGE: &str = "message";

impl Line {
    /// Begins a field; not for names that are cut, or for the message where it is no text.
    fn name(&mut self, field: &Field) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.text.push(' ');
        }
        self.text.push_str(field.name());
        self.text.push('=');
    }

    /// As it is written everywhere else.
    fn usual(&mut self, visit: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let mut usual = DefaultVisitor::new(Writer::new(&mut self.text), is_first);
        visit(&mut usual);
        self.result = self.result.and(usual.finish());
    }
}

/// Whether a field of this name stands there as it is called.
fn is_ours(field: &Field) -> bool {
    field.name() != MESSAGE && !field.name().starts_with("r#")
}

/// Whether nothing in it is written otherwise than it stands there.
fn is_plain(text: &str) -> bool {
    is_all(text, |byte| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\'))
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, text: &str) {
        if is_ours(field) && is_plain(text) {
            self.name(field);
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        } else {
            self.usual(|usual| usual.record_str(field, text));
        }
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        if is_ours(field) {
            self.name(field);
            push_number(&mut self.text, number);
        } else {
            self.usual(|usual| usual.record_u64(field, number));
        }
    }

    fn record_bool(&mut self, field: &Field, is_so: bool) {
        if is_ours(field) {
            self.name(field);
            self.text.push_str(if is_so { "true" } else { "false" });
        } else {
            self.usual(|usual| usual.record_bool(field, is_so));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let (before, is_first) = (self.text.len(), self.is_first);
        if is_ours(field) {
            self.name(field);
        } else if field.name() == MESSAGE && std::mem::replace(&mut self.is_first, false) {
            // Words stand there without a name.
        } else {
            return self.usual(|usual| usual.record_debug(field, value));
        }
        let begin = self.text.len();
        // What has quotation marks of its own keeps them.
        let is_shown = write!(self.text, "{value:?}").is_ok();
        let shown = &self.text.as_bytes()[begin..];
        if !is_shown || !shown.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.text.truncate(before);
            self.is_first = is_first;
            self.usual(|usual| usual.record_debug(field, value));
        }
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.usual(|usual| usual.record_error(field, error));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::testing::{Page, speak};

    /// What `log` says, by lines, without the time, which is as long as always.
    fn said(log: &dyn Fn(), ours: bool) -> Vec<String> {
        let page = Page::default();
        let builder =
            || tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(page.clone());
        if ours {
            tracing::subscriber::with_default(builder().event_format(Plain::new()).finish(), log);
        } else {
            tracing::subscriber::with_default(builder().finish(), log);
        }
        let without_time = |line: &str| match line.get(..28) {
            Some(time) if time.ends_with("Z ") => line[28..].to_owned(),
            _ => line.to_owned(),
        };
        page.text().split_inclusive('\n').map(without_time).collect()
    }

    fn assert_alike(log: &dyn Fn()) {
        assert_eq!(said(log, true), said(log, false));
    }

    #[test]
    fn a_line_is_as_it_always_was() {
        assert_alike(&|| {
            speak();
            tracing::info!(r#type = "ollama", r#in = 1_u64, empty = "", "cut names");
        });
        let span = || {
            let span = tracing::info_span!("request", id = "req-1", nth = 2_u64);
            let _inside = span.enter();
            tracing::info!(a = "b", "inside");
        };
        assert_alike(&span);
    }

    proptest! {
        #[test]
        fn every_text_and_every_number_is(text in "\\PC*|[\\x00-\\x7f]*", number in any::<u64>()) {
            assert_alike(&|| tracing::info!(first = text, number, second = %text, "{text}"));
        }
    }
}
