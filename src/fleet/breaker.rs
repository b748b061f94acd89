//! A breaker that is open, in the words of peers, logs and views: what it guards, what opened it, and until when it is
//! left alone. When one opens and closes is for the owner of its backend to say.

use std::fmt;
use std::time::Duration;

/// What requests to a backend came to grief on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It could not be reached, or the connection broke. All its models are concerned.
    Connection,
    /// It accepted a request and said nothing.
    Silence,
    /// It answered with errors of its own.
    Errors,
    /// Something of a later version of Nexus.
    Unrecognised,
}

impl Trouble {
    /// The word of JSON, gossip and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Trouble::Connection => "connection",
            Trouble::Silence => "silence",
            Trouble::Errors => "errors",
            Trouble::Unrecognised => "unrecognised",
        }
    }

    /// What a word means.
    pub fn of(word: &str) -> Self {
        let known = [Trouble::Connection, Trouble::Silence, Trouble::Errors];
        known.into_iter().find(|trouble| trouble.as_str() == word).unwrap_or(Trouble::Unrecognised)
    }

    /// What happened, as a sentence about the backend.
    pub fn sentence(self) -> &'static str {
        match self {
            Trouble::Connection => "it could not be reached, or broke off",
            Trouble::Silence => "it accepted a request and said nothing",
            Trouble::Errors => "it answered too many requests with errors of its own",
            Trouble::Unrecognised => "its peer has a reason that this version does not know",
        }
    }
}

/// One breaker that is not closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breaker {
    /// The model that it guards; `None` = every model of its backend.
    pub model: Option<String>,
    /// What opened it.
    pub trouble: Trouble,
    /// How it stands.
    pub standing: Standing,
}

/// How a breaker stands that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Left alone for so long from when this was said; after that the next request probes it.
    Open(Duration),
    /// Left alone until its peer has found it well, by a check or by asking it for a token.
    Unchecked,
    /// One request is on its way to see whether it is well.
    Probing,
}

impl Breaker {
    /// Whether it guards `model`.
    pub fn guards(&self, model: &str) -> bool {
        self.model.as_deref().is_none_or(|guarded| guarded == model)
    }

    /// Whether requests had better go elsewhere.
    pub fn keeps_away(&self) -> bool {
        self.standing != Standing::Open(Duration::ZERO)
    }

    /// The same as it stands so much later, as far as nobody says otherwise.
    #[must_use]
    pub fn after(&self, age: Duration) -> Self {
        let standing = match self.standing {
            Standing::Open(left) => Standing::Open(left.saturating_sub(age)),
            same => same,
        };
        Breaker { standing, ..self.clone() }
    }

    /// Time until a request probes it, where that is a matter of time.
    pub fn probed_in(&self) -> Option<Duration> {
        match self.standing {
            Standing::Open(left) => Some(left),
            Standing::Unchecked | Standing::Probing => None,
        }
    }

    /// The same in whole seconds, rounded up: nobody is told of none while there is some time left.
    pub fn seconds_until_probe(&self) -> Option<u64> {
        self.probed_in().map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// `open` or `half_open`.
    pub fn state(&self) -> &'static str {
        match self.standing {
            Standing::Probing => "half_open",
            Standing::Open(_) | Standing::Unchecked => "open",
        }
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.trouble.sentence();
        match (self.seconds_until_probe(), self.standing) {
            (Some(0), _) => write!(f, "to be probed by the next request: {why}"),
            (Some(seconds), _) => write!(f, "left alone for {seconds} s: {why}"),
            (None, Standing::Probing) => write!(f, "left alone while one request probes it: {why}"),
            (None, _) if self.trouble == Trouble::Silence => {
                write!(f, "left alone until its peer has a word from it: {why}")
            }
            (None, _) => write!(f, "left alone until a check passes: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(standing: Standing) -> Breaker {
        Breaker { model: Some("m".to_owned()), trouble: Trouble::Silence, standing }
    }

    #[test]
    fn it_is_told_in_a_sentence() {
        for (standing, sentence) in [
            (
                Standing::Open(Duration::from_millis(11_001)),
                "left alone for 12 s: it accepted a request and said nothing",
            ),
            (
                Standing::Open(Duration::ZERO),
                "to be probed by the next request: it accepted a request and said nothing",
            ),
            (
                Standing::Unchecked,
                "left alone until its peer has a word from it: it accepted a request and said nothing",
            ),
            (Standing::Probing, "left alone while one request probes it: it accepted a request and said nothing"),
        ] {
            assert_eq!(silent(standing).to_string(), sentence);
        }
    }

    #[test]
    fn time_passes_for_what_is_open_and_for_nothing_else() {
        let open = silent(Standing::Open(Duration::from_secs(10)));
        for (age, left, keeps_away) in [(0, 10, true), (9, 1, true), (10, 0, false), (1000, 0, false)] {
            let later = open.after(Duration::from_secs(age));
            assert_eq!(later.probed_in(), Some(Duration::from_secs(left)));
            assert_eq!(later.keeps_away(), keeps_away);
        }
        for standing in [Standing::Unchecked, Standing::Probing] {
            let later = silent(standing).after(Duration::from_secs(1000));
            assert!(later == silent(standing) && later.keeps_away() && later.probed_in().is_none());
        }
    }

    #[test]
    fn it_guards_its_model_or_all() {
        let one = silent(Standing::Probing);
        assert!(one.guards("m") && !one.guards("n"));
        assert!(Breaker { model: None, ..one }.guards("n"));
    }
}
