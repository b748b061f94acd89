//! Whether two names may stand for the same model. In doubt they do not: nobody is served another model than the one
//! asked for.

use super::Identity;
use super::size::Fit;
use super::words::CLOSED;

/// How two names go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Everything that tells models apart is told by both, and equal.
    Same,
    /// Nothing contradicts, but something is told by one side only, or by neither.
    Maybe,
    /// Something contradicts.
    Different,
}

impl Identity {
    /// How this name goes together with another.
    pub fn likeness(&self, other: &Identity) -> Likeness {
        if self.family != other.family {
            return Likeness::Different;
        }
        let points = [
            told(self.version.as_deref(), other.version.as_deref(), same_version),
            self.flavour_against(other),
            told(self.revision.as_deref(), other.revision.as_deref(), |one, two| one == two),
        ];
        let size = match (self.size, other.size) {
            (Some(one), Some(two)) => one.fit(two),
            _ => Fit::Open,
        };
        let quantisation = match (&self.quantisation, &other.quantisation) {
            (None, None) => Fit::Open,
            (one, two) => told(one.as_deref(), two.as_deref(), |one, two| one == two),
        };
        if points.contains(&Fit::Apart) || size == Fit::Apart || quantisation == Fit::Apart {
            return Likeness::Different;
        }
        let weights_known = (size == Fit::Equal && quantisation == Fit::Equal) || (self.is_closed() && self == other);
        if weights_known && points.iter().all(|&point| point == Fit::Equal) { Likeness::Same } else { Likeness::Maybe }
    }

    /// Whether `other` may be what this name means, which leaves nothing open but the size, the quantisation and the tuning.
    pub fn may_mean(&self, other: &Identity) -> bool {
        let same = |one: Option<&str>, two: Option<&str>| told(one, two, same_version) == Fit::Equal;
        let version = same(self.version.as_deref(), other.version.as_deref());
        version && self.revision == other.revision && self.likeness(other) != Likeness::Different
    }

    /// Whether the weights are of one size and quantisation, as far as both are told.
    pub fn is_same_variant(&self, other: &Identity) -> bool {
        let size = match (self.size, other.size) {
            (Some(one), Some(two)) => one.fit(two) == Fit::Equal,
            (one, two) => one.is_none() && two.is_none(),
        };
        size && self.quantisation == other.quantisation
    }

    /// Whether both may be tuned to follow instructions: one says so, and the other says nothing or the same.
    pub fn may_be_tuned_alike(&self, other: &Identity) -> bool {
        let (one, two) = (Flavour::of(self).tuning, Flavour::of(other).tuning);
        one == two || one.or(two) == Some("instruct") && (one.is_none() || two.is_none())
    }

    /// Flavours contradict where they differ, but instruct is open against nothing said.
    fn flavour_against(&self, other: &Identity) -> Fit {
        let (one, two) = (Flavour::of(self), Flavour::of(other));
        if one.rest != two.rest {
            return Fit::Apart;
        }
        told(one.tuning, two.tuning, |one, two| one == two)
    }

    /// Whether only its maker serves this model, so that a name without size and quantisation says everything.
    fn is_closed(&self) -> bool {
        let own_name = self.size.is_none() && self.quantisation.is_none();
        let medium = self.family == "mistral" && self.flavour.iter().any(|word| word == "medium");
        own_name && (medium || CLOSED.contains(&self.family.as_str()))
    }
}

struct Flavour<'a> {
    tuning: Option<&'a str>,
    rest: Vec<&'a str>,
}

impl<'a> Flavour<'a> {
    fn of(identity: &'a Identity) -> Self {
        let tuning = |word: &'a str| match word {
            "instruct" | "it" => Some("instruct"),
            "base" | "pt" => Some("base"),
            "chat" => Some("chat"),
            _ => None,
        };
        let words = || identity.flavour.iter().map(String::as_str);
        Flavour { tuning: words().find_map(tuning), rest: words().filter(|word| tuning(word).is_none()).collect() }
    }
}

fn told<'a>(one: Option<&'a str>, two: Option<&'a str>, equal: impl Fn(&str, &str) -> bool) -> Fit {
    match (one, two) {
        (None, None) => Fit::Equal,
        (Some(one), Some(two)) if equal(one, two) => Fit::Equal,
        (Some(_), Some(_)) => Fit::Apart,
        _ => Fit::Open,
    }
}

/// `1` and `1.0` are the same version.
fn same_version(one: &str, two: &str) -> bool {
    one.strip_suffix(".0").unwrap_or(one) == two.strip_suffix(".0").unwrap_or(two)
}
