//! The fields of a log line without colours, letter by letter as `tracing_subscriber` writes them: ` name=value`, text in
//! quotes. Plain text and whole numbers, which nearly all fields are, are copied and pass no formatter; the rest goes its way.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Writes fields without colours.
pub(super) struct Plain;

/// The fields of a line have about so many bytes.
const FIELDS: usize = 1_024;

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        // In one piece: every step of what writes a line costs as much as a field.
        let mut fill = Fill { text: String::with_capacity(FIELDS), is_first: true, result: Ok(()) };
        fields.record(&mut fill);
        fill.result?;
        writer.write_str(&fill.text)
    }
}

struct Fill {
    text: String,
    is_first: bool,
    result: fmt::Result,
}

/// What the message is called among the fields.
const MESSAGE: &str = "message";

impl Fill {
    /// Whether `field` is written here: others have names that are cut, or none.
    fn is_ours(field: &Field) -> bool {
        field.name() != MESSAGE && !field.name().starts_with("r#")
    }

    fn field(&mut self, field: &Field, parts: &[&str]) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.text.push(' ');
        }
        self.text.push_str(field.name());
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    /// As it is written everywhere else.
    fn usual(&mut self, visit: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let mut usual = DefaultVisitor::new(Writer::new(&mut self.text), is_first);
        visit(&mut usual);
        self.result = self.result.and(usual.finish());
    }
}

/// Whether nothing in it is written otherwise than it stands there.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// The digits of a number, in the room that the longest takes.
fn digits(mut number: u64, room: &mut [u8; 20]) -> &str {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&room[at..]).unwrap_or_default();
        }
    }
}

impl Visit for Fill {
    fn record_str(&mut self, field: &Field, text: &str) {
        if Self::is_ours(field) && is_plain(text) {
            self.field(field, &["=\"", text, "\""]);
        } else {
            self.usual(|usual| usual.record_str(field, text));
        }
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        if Self::is_ours(field) {
            self.field(field, &["=", digits(number, &mut [0; 20])]);
        } else {
            self.usual(|usual| usual.record_u64(field, number));
        }
    }

    fn record_bool(&mut self, field: &Field, is_so: bool) {
        if Self::is_ours(field) {
            self.field(field, &[if is_so { "=true" } else { "=false" }]);
        } else {
            self.usual(|usual| usual.record_bool(field, is_so));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.usual(|usual| usual.record_debug(field, value));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.usual(|usual| usual.record_error(field, error));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::*;
    use crate::telemetry::testing::Page;

    /// What `log` says by the fields' writer, without the time.
    fn said<F>(fields: F, log: &dyn Fn()) -> String
    where
        F: for<'a> FormatFields<'a> + Send + Sync + 'static,
    {
        let page = Page::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .fmt_fields(fields)
            .with_writer(page.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        page.text()
    }

    fn assert_alike(log: &dyn Fn()) {
        assert_eq!(said(Plain, log), said(DefaultFields::new(), log));
    }

    #[test]
    fn a_line_is_as_it_always_was() {
        let error = io::Error::other("lost \"it\"");
        assert_alike(&|| {
            tracing::info!(
                model = "qwen3:8b",
                none = None::<&str>,
                some = Some("x"),
                stream = true,
                took = 12_u64,
                "done"
            );
            tracing::warn!(small = 3_u8, minus = -4, much = u64::MAX, zero = 0_u32, part = 0.5, wide = u128::MAX);
            tracing::info!(shown = %"a b", seen = ?"a b", error = &error as &(dyn std::error::Error + 'static), "{}", "said");
            tracing::info!("only words, \u{1b}[31mred");
            tracing::info!(r#type = "ollama", r#in = 1_u64, empty = "", "cut names");
            tracing::info!("");
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
