//! Long lists: the page shows the first of them and says how many more there are.

/// The first of a list, and how many follow.
#[derive(Clone, Debug)]
pub struct Cut<T> {
    /// Those that are shown.
    pub shown: Vec<T>,
    /// How many are not.
    pub more: usize,
}

impl<T> Cut<T> {
    /// The first `limit` of `items`, each as `row` makes it: what is not shown costs nothing.
    pub(super) fn of<I>(items: &[I], limit: usize, row: impl FnMut(&I) -> T) -> Self {
        Cut { shown: items.iter().take(limit).map(row).collect(), more: items.len().saturating_sub(limit) }
    }
}

/// How something stands: a word, and what the style sheet calls it. The shape before the word goes by it, so that colour
/// alone never tells anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is read.
    pub word: &'static str,
    /// `good`, `waning`, `bad`, `away` or `plain`.
    pub class: &'static str,
}

impl Standing {
    /// The shape: full, half, crossed, empty or a ring.
    pub fn shape(&self) -> &'static str {
        match self.class {
            "good" => "●",
            "waning" => "◐",
            "bad" => "✕",
            "away" => "○",
            _ => "◌",
        }
    }
}
