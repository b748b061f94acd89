//! What a new key is to be, as somebody asks for it, and why there is none. Every refusal says what to change.

use serde::Deserialize;

use crate::fleet::{KEY_GLOBS_BYTES, KEY_GLOBS_LIMIT, KeyLimits, KeyRecord, NAME_LIMIT, is_fit_name};

/// What a new key is to be.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wish {
    /// Whose it is.
    pub name: String,
    /// Globs of the models it may use; `None`: all.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// The most it may spend in a month, in USD.
    #[serde(default)]
    pub monthly_limit_usd: Option<f64>,
    /// Requests it may make in a minute.
    #[serde(default)]
    pub requests_per_minute: Option<i64>,
    /// Tokens it may use in a minute.
    #[serde(default)]
    pub tokens_per_minute: Option<i64>,
}

/// Why there is no new key, or none that is revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name is none.
    #[error("Invalid name: use 1 to {NAME_LIMIT} visible characters")]
    Name,
    /// Another key that is good has it.
    #[error("a key named `{0}` exists already: choose another name, or revoke that one first (`nexus keys revoke`)")]
    Taken(String),
    /// A pattern of models is none.
    #[error("models: `{glob}` is no pattern: {reason}")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are none, or too many of them.
    #[error(
        "models: name 1 to {KEY_GLOBS_LIMIT} patterns of at most {KEY_GLOBS_BYTES} bytes together, or leave them out to allow all"
    )]
    Globs,
    /// A limit is none.
    #[error("{0} must be more than 0: leave it out for no limit")]
    Limit(&'static str),
    /// There are as many as are kept.
    #[error(
        "this mesh has {} keys, revoked ones among them, and keeps no more: share keys, or put further ones into the \
         configuration (`[[auth.client_keys]]`)",
        super::MOST_KEYS
    )]
    Full,
    /// There is none of that name or id.
    #[error("there is no key `{name}`{}", near.as_ref().map(|near| format!(": did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// It cannot be kept.
    #[error("{0}")]
    Disk(String),
}

impl Wish {
    /// Whether it can be granted at all, and within which limits.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<KeyLimits, Error> {
        self.read().map(|wished| wished.limits())
    }

    /// What of the record is wished for.
    pub(super) fn read(&self) -> Result<KeyRecord, Error> {
        if !is_fit_name(&self.name) {
            return Err(Error::Name);
        }
        if let Some(globs) = &self.models {
            let bytes: usize = globs.iter().map(String::len).sum();
            if globs.is_empty() || globs.len() > KEY_GLOBS_LIMIT || bytes > KEY_GLOBS_BYTES {
                return Err(Error::Globs);
            }
            for glob in globs {
                if glob.trim().is_empty() {
                    return Err(Error::Globs);
                }
                globset::Glob::new(glob)
                    .map_err(|error| Error::Glob { glob: glob.clone(), reason: error.kind().to_string() })?;
            }
        }
        if self.monthly_limit_usd.is_some_and(|limit| !(limit.is_finite() && limit > 0.0)) {
            return Err(Error::Limit("monthly_limit_usd"));
        }
        let count = |limit: Option<i64>, key| {
            let positive = |limit| u64::try_from(limit).ok().filter(|limit| *limit > 0).ok_or(Error::Limit(key));
            limit.map(positive).transpose()
        };
        let requests = count(self.requests_per_minute, "requests_per_minute")?;
        Ok(KeyRecord {
            name: self.name.clone(),
            models: self.models.clone(),
            monthly_limit_usd: self.monthly_limit_usd,
            requests_per_minute: requests.map(|requests| u32::try_from(requests).unwrap_or(u32::MAX)),
            tokens_per_minute: count(self.tokens_per_minute, "tokens_per_minute")?,
            ..KeyRecord::default()
        })
    }
}

impl Error {
    /// There is no key `name`; one of `names` may have been meant.
    pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let distance = |known: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
        let is_near = |known: &&str| distance(known) <= 1.max(known.chars().count().max(name.chars().count()) / 3);
        let near = names.filter(is_near).min_by_key(distance).map(str::to_owned);
        Error::Unknown { name: name.chars().take(NAME_LIMIT).collect(), near }
    }
}
