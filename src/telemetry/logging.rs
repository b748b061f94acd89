//! The log: where it goes, how it looks, how much of it there is. `RUST_LOG` wins over the configuration.

use tracing_subscriber::fmt::MakeWriter;

use super::json::Json;
use super::levels::{self, Levels, Swap};
use super::lines::Lines;
use super::plain::Plain;
use super::{Config, Format};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the log is set up already")]
pub struct AlreadyRunning;

/// Starts the log on standard error. `rust_log` is the value of `RUST_LOG`, if it is set.
///
/// # Errors
/// A log runs in this process already.
pub fn init(config: &Config, rust_log: Option<&str>) -> Result<Levels, AlreadyRunning> {
    let (subscriber, levels) = subscriber(config, rust_log, Lines::of_process());
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyRunning)?;
    Ok(levels)
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(config: &Config, rust_log: Option<&str>, writer: W) -> (Subscriber, Levels)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = levels::filter(&levels::directives(config, rust_log));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let (subscriber, swap): (Subscriber, Swap) = match config.format {
        Format::Pretty => {
            if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
                let builder = builder.with_ansi(true).with_filter_reloading();
                let handle = builder.reload_handle();
                (Box::new(builder.finish()), Box::new(move |filter| handle.reload(filter).is_ok()))
            } else {
                let builder = builder.with_ansi(false).event_format(Plain::new()).with_filter_reloading();
                let handle = builder.reload_handle();
                (Box::new(builder.finish()), Box::new(move |filter| handle.reload(filter).is_ok()))
            }
        }
        Format::Json => {
            let builder = builder.with_ansi(false).event_format(Json).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(builder.finish()), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    (subscriber, Levels::new(config, rust_log, swap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Level;
    use crate::telemetry::testing::Page;

    fn written(config: &Config, rust_log: Option<&str>) -> Vec<serde_json::Value> {
        let page = Page::default();
        tracing::subscriber::with_default(subscriber(config, rust_log, page.clone()).0, || {
            tracing::info!(target: "nexus::api", request_id = "req-1", peer = None::<&str>, stream = true, "Request completed");
            tracing::debug!(target: "nexus::routing", "Selected backend");
            tracing::info!(target: "somebody", "chatter");
        });
        page.text().lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
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

    /// Changing the level once meant a restart, which is when what was looked for had gone.
    #[test]
    fn the_level_changes_while_it_runs() {
        let page = Page::default();
        let (subscriber, levels) = subscriber(&Config::default(), None, page.clone());
        let lines = || page.text().lines().count();
        tracing::subscriber::with_default(subscriber, || {
            let speak = || tracing::debug!(target: "nexus::mesh", "a detail");
            speak();
            assert_eq!(lines(), 0);
            levels.ask(Some("warn,nexus::mesh=debug")).expect("a filter");
            speak();
            assert_eq!(lines(), 1);
            levels.ask(None).expect("what is configured");
            speak();
            assert_eq!(lines(), 1);
        });
    }

    #[test]
    fn components_have_levels_of_their_own_and_rust_log_wins() {
        let component_levels = [("routing".to_owned(), Level::Debug)].into();
        let config = Config { format: Format::Json, component_levels, ..Config::default() };
        assert_eq!(written(&config, None).len(), 2);
        assert_eq!(written(&config, Some("somebody=info")).len(), 1);
    }
}
