//! Who can be measured: which process that is, and who looks at it meanwhile.

/// Who can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The backend itself, on the core of those that are measured.
    Direct,
    /// nginx with `proxy_pass` and kept connections, no access log.
    Nginx,
    /// One node; the log at `warn`, as nginx has none.
    Nexus,
    /// The same, one that nobody ever looks at: what is left behind where somebody has looked would show beside it.
    Unseen,
    /// One node with a log line for every request.
    Logging,
    /// One node as `nexus`, a dashboard following it.
    Watched,
    /// One node with a log line for every request, a dashboard following it and a Prometheus asking every second.
    Observed,
    /// The same, every request traced to a collector.
    Traced,
    /// A node that forwards every request to another.
    Hop,
}

/// How a node is looked at.
pub(crate) struct Look {
    /// What it logs.
    pub(crate) level: &'static str,
    /// Whether a dashboard follows it.
    pub(crate) follows: bool,
    /// Whether a Prometheus asks it.
    pub(crate) scrapes: bool,
}

/// A log that says nothing of requests that end well.
pub(crate) const QUIET: &str = "warn";

/// A log that has a line for each request.
const LINES: &str = "info";

impl Kind {
    /// Everybody.
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Direct,
        Kind::Nginx,
        Kind::Nexus,
        Kind::Unseen,
        Kind::Logging,
        Kind::Watched,
        Kind::Observed,
        Kind::Traced,
        Kind::Hop,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Nginx => "nginx",
            Kind::Nexus => "nexus",
            Kind::Unseen => "unseen",
            Kind::Logging => "logging",
            Kind::Watched => "watched",
            Kind::Observed => "observed",
            Kind::Traced => "traced",
            Kind::Hop => "hop",
        }
    }

    /// Whose process it is. Kinds that differ only in who looks at them are one process: two would differ by where their memory
    /// lies, and by more than looking costs.
    pub(crate) fn process(self) -> Kind {
        match self {
            Kind::Logging | Kind::Watched | Kind::Observed => Kind::Nexus,
            Kind::Direct | Kind::Nginx | Kind::Nexus | Kind::Unseen | Kind::Traced | Kind::Hop => self,
        }
    }

    /// How it is looked at, where that can be changed.
    pub(crate) fn look(self) -> Option<Look> {
        let look = |level, follows, scrapes| Some(Look { level, follows, scrapes });
        match self {
            Kind::Nexus => look(QUIET, false, false),
            Kind::Logging => look(LINES, false, false),
            Kind::Watched => look(QUIET, true, false),
            Kind::Observed | Kind::Traced => look(LINES, true, true),
            Kind::Direct | Kind::Nginx | Kind::Unseen | Kind::Hop => None,
        }
    }

    /// What its answers say of their way.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Kind::Direct | Kind::Nginx => "",
            Kind::Nexus | Kind::Unseen | Kind::Logging | Kind::Watched | Kind::Observed | Kind::Traced => {
                "x-nexus-hops: 0"
            }
            Kind::Hop => "x-nexus-hops: 1",
        }
    }
}
