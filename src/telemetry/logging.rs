//! The log: where it goes, how it looks, how much of it there is. `RUST_LOG` wins over the configuration.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::{Config, Format};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the log is set up already")]
pub struct AlreadyRunning;

/// Starts the log on standard error. `rust_log` is the value of `RUST_LOG`, if it is set.
///
/// # Errors
/// A log runs in this process already.
pub fn init(config: &Config, rust_log: Option<&str>) -> Result<(), AlreadyRunning> {
    let subscriber = subscriber(config, rust_log, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyRunning)
}

fn subscriber<W>(config: &Config, rust_log: Option<&str>, writer: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter(config, rust_log)).with_writer(writer);
    match config.format {
        Format::Pretty => Box::new(builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish()),
        Format::Json => {
            Box::new(builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
    }
}

/// Libraries speak up only when something is wrong; the parts of Nexus as configured.
fn filter(config: &Config, rust_log: Option<&str>) -> EnvFilter {
    if let Some(directives) = rust_log.filter(|directives| !directives.trim().is_empty()) {
        return EnvFilter::builder().parse_lossy(directives);
    }
    let mut directives = format!("warn,nexus={}", config.level.as_str());
    for (component, level) in &config.component_levels {
        directives.push_str(&format!(",nexus::{component}={}", level.as_str()));
    }
    EnvFilter::builder().parse_lossy(directives)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::Level;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(config: &Config, rust_log: Option<&str>) -> Vec<serde_json::Value> {
        let page = Page::default();
        let to = page.clone();
        tracing::subscriber::with_default(subscriber(config, rust_log, move || to.clone()), || {
            tracing::info!(target: "nexus::api", request_id = "req-1", peer = None::<&str>, stream = true, "Request completed");
            tracing::debug!(target: "nexus::routing", "Selected backend");
            tracing::info!(target: "somebody", "chatter");
        });
        let text = String::from_utf8(page.0.lock().expect("no panic").clone()).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    /// Fields once sat in nested spans, where no query found them.
    #[test]
    fn json_is_flat_and_absent_fields_are_absent() {
        let config = Config { format: Format::Json, ..Config::default() };
        let lines = written(&config, None);
        assert_eq!(lines.len(), 1, "no debug, no library chatter: {lines:?}");
        let line = &lines[0];
        assert_eq!(line["message"], "Request completed");
        assert_eq!(line["target"], "nexus::api");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["request_id"], "req-1");
        assert_eq!(line["stream"], true);
        assert!(line.get("peer").is_none());
        assert!(line["timestamp"].as_str().expect("a stamp").ends_with('Z'));
    }

    #[test]
    fn components_have_levels_of_their_own_and_rust_log_wins() {
        let component_levels = [("routing".to_owned(), Level::Debug)].into();
        let config = Config { format: Format::Json, component_levels, ..Config::default() };
        assert_eq!(written(&config, None).len(), 2);
        assert_eq!(written(&config, Some("somebody=info")).len(), 1);
    }
}
