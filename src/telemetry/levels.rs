//! How much is logged, changed while the process runs. What stands in the configuration counts until somebody says otherwise,
//! and again when they have said enough; `RUST_LOG` wins over the configuration, not over them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;

use super::Config;

/// Libraries speak up only when something is wrong; the parts of Nexus as configured.
pub(super) fn directives(config: &Config, rust_log: Option<&str>) -> String {
    if let Some(directives) = rust_log.filter(|directives| !directives.trim().is_empty()) {
        return directives.to_owned();
    }
    let mut directives = format!("warn,nexus={}", config.level.as_str());
    for (component, level) in &config.component_levels {
        directives.push_str(&format!(",nexus::{component}={}", level.as_str()));
    }
    directives
}

/// What managers change is written down whatever else is.
const ALWAYS: &str = ",nexus::audit=info";

/// The filter of these directives. What cannot be read of them is left out.
pub(super) fn filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(directives.to_owned() + ALWAYS)
}

/// Replaces the filter of the log.
pub(super) type Swap = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The levels of this process. Cheap to clone; one that stands for no log changes nothing.
#[derive(Clone, Default)]
pub struct Levels(Option<Arc<Inner>>);

struct Inner {
    swap: Swap,
    rust_log: Option<String>,
    state: Mutex<State>,
}

struct State {
    configured: String,
    /// What an operator has asked for since.
    asked: Option<String>,
}

/// Why the levels are as they were.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    /// The filter is none.
    #[error("`{filter}` is no filter: {reason}. It looks like `info` or `info,nexus::mesh=debug`")]
    Filter {
        /// What was asked for.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This process writes no log of its own.
    #[error("the log of this process is not its own: its level cannot be changed here")]
    NoLog,
}

/// The longest filter.
const LONGEST: usize = 1024;

impl Levels {
    pub(super) fn new(config: &Config, rust_log: Option<&str>, swap: Swap) -> Self {
        let rust_log = rust_log.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let configured = directives(config, rust_log.as_deref());
        Levels(Some(Arc::new(Inner { swap, rust_log, state: Mutex::new(State { configured, asked: None }) })))
    }

    /// The filter that counts now, and whether an operator has asked for it; `None` where there is no log.
    pub fn now(&self) -> Option<(String, bool)> {
        let state = self.0.as_ref()?.state.lock().unwrap_or_else(PoisonError::into_inner);
        Some((state.asked.clone().unwrap_or_else(|| state.configured.clone()), state.asked.is_some()))
    }

    /// From now on this filter counts; `None`: what is configured.
    ///
    /// # Errors
    /// It is none, or there is no log.
    pub fn ask(&self, filter: Option<&str>) -> Result<(), LevelsError> {
        let inner = self.0.as_ref().ok_or(LevelsError::NoLog)?;
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = filter.map(str::trim).map(str::to_owned);
        let wanted = asked.as_deref().unwrap_or(&state.configured);
        let parsed = read(wanted)?;
        state.asked = asked;
        drop(state);
        if (inner.swap)(parsed) { Ok(()) } else { Err(LevelsError::NoLog) }
    }

    /// The configuration says something else from now on. Where an operator has asked for a filter, that still counts.
    pub fn configure(&self, config: &Config) {
        let Some(inner) = &self.0 else { return };
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let configured = directives(config, inner.rust_log.as_deref());
        let is_news = state.configured != configured && state.asked.is_none();
        state.configured = configured;
        let filter = filter(&state.configured);
        drop(state);
        if is_news {
            (inner.swap)(filter);
        }
    }
}

fn read(filter: &str) -> Result<EnvFilter, LevelsError> {
    let wrong = |reason: String| LevelsError::Filter { filter: filter.chars().take(100).collect(), reason };
    if filter.is_empty() || filter.len() > LONGEST {
        return Err(wrong(format!("use 1 to {LONGEST} characters")));
    }
    for part in filter.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        let is_target = !part.contains('=') && part.contains("::");
        // The empty word would count as `error`.
        let is_level = !level.is_empty() && level.parse::<tracing::level_filters::LevelFilter>().is_ok();
        if !is_target && !is_level {
            return Err(wrong(format!("`{level}` is no level: there are off, error, warn, info, debug, trace")));
        }
    }
    EnvFilter::builder().parse(filter.to_owned() + ALWAYS).map_err(|error| wrong(error.to_string()))
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Level;

    fn levels(rust_log: Option<&str>) -> (Levels, Arc<Mutex<Vec<String>>>) {
        let set = Arc::new(Mutex::new(Vec::new()));
        let seen = set.clone();
        let swap = move |filter: EnvFilter| {
            seen.lock().expect("no panic").push(filter.to_string());
            true
        };
        (Levels::new(&Config::default(), rust_log, Box::new(swap)), set)
    }

    #[test]
    fn what_an_operator_asks_for_counts_until_they_have_seen_enough() {
        let (levels, set) = levels(None);
        assert_eq!(levels.now(), Some(("warn,nexus=info".to_owned(), false)));
        levels.ask(Some("info,nexus::mesh=debug")).expect("a filter");
        assert_eq!(levels.now(), Some(("info,nexus::mesh=debug".to_owned(), true)));
        assert!(set.lock().expect("no panic")[0].contains("nexus::audit=info"), "what managers do is written down");
        levels.configure(&Config { level: Level::Debug, ..Config::default() });
        assert_eq!(set.lock().expect("no panic").len(), 1, "asked for goes before configured");
        levels.ask(None).expect("what is configured");
        assert_eq!(levels.now(), Some(("warn,nexus=debug".to_owned(), false)));
        assert_eq!(set.lock().expect("no panic").len(), 2);
    }

    #[test]
    fn rust_log_goes_before_what_is_configured() {
        let (levels, set) = levels(Some("trace"));
        levels.configure(&Config { level: Level::Error, ..Config::default() });
        assert_eq!(levels.now(), Some(("trace".to_owned(), false)));
        assert!(set.lock().expect("no panic").is_empty());
    }

    #[test]
    fn what_is_no_filter_is_refused_and_nothing_has_changed() {
        let (levels, set) = levels(None);
        for bad in ["", "loud", "nexus=loud", "info,nexus::mesh=", &"x".repeat(5_000)] {
            assert!(matches!(levels.ask(Some(bad)), Err(LevelsError::Filter { .. })), "{bad}");
        }
        assert!(set.lock().expect("no panic").is_empty() && levels.now().is_some_and(|(_, asked)| !asked));
        assert_eq!(Levels::default().ask(Some("info")), Err(LevelsError::NoLog));
    }
}
