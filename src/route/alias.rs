//! Other names for models. Following them always ends: circles are refused at the start, and a chain is followed for
//! [`MAX_STEPS`] steps and no further.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Problem, problem, quoted};

/// How many aliases are followed one after the other.
pub const MAX_STEPS: usize = 3;

pub(super) struct Aliases(BTreeMap<String, String>);

impl Aliases {
    pub(super) fn new(aliases: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Self {
        for (from, to) in aliases {
            if from.is_empty() || to.is_empty() {
                problems.push(problem(place(from), "an alias needs a name on both sides"));
            }
        }
        find_circles(aliases, problems);
        Aliases(aliases.clone())
    }

    /// What `name` stands for, and every step on the way there.
    pub(super) fn resolve(&self, name: &str) -> (String, Vec<(String, String)>) {
        let mut steps = Vec::new();
        let mut current = name;
        while let Some((from, to)) = self.0.get_key_value(current).filter(|_| steps.len() < MAX_STEPS) {
            steps.push((from.clone(), to.clone()));
            current = to;
        }
        (current.to_owned(), steps)
    }
}

fn place(name: &str) -> String {
    format!("routing.aliases.{}", quoted(name))
}

/// Tells of each circle once, from the first name in alphabetical order that leads into it.
fn find_circles(aliases: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    let mut settled = BTreeSet::new();
    for start in aliases.keys() {
        let mut path = BTreeSet::new();
        let mut current = start;
        while !settled.contains(current) && path.insert(current) {
            let Some(next) = aliases.get(current) else { break };
            if path.contains(next) {
                let message = format!("Circular alias detected: '{start}' eventually points back to '{next}'");
                problems.push(problem(place(start), message));
            }
            current = next;
        }
        settled.extend(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(pairs: &[(&str, &str)]) -> (Aliases, Vec<String>) {
        let map = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let mut problems = Vec::new();
        let aliases = Aliases::new(&map, &mut problems);
        (aliases, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn three_steps_are_followed_and_a_fourth_is_not() {
        let (aliases, problems) = aliases(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]);
        assert!(problems.is_empty());
        for (asked, resolved, steps) in
            [("a", "d", 3), ("b", "e", 3), ("c", "e", 2), ("d", "e", 1), ("e", "e", 0), ("other", "other", 0)]
        {
            let (name, way) = aliases.resolve(asked);
            assert_eq!((name.as_str(), way.len()), (resolved, steps), "{asked}");
        }
    }

    #[test]
    fn every_circle_is_told_once() {
        let circular = |pairs| aliases(pairs).1;
        assert_eq!(circular(&[("a", "a")]), ["Circular alias detected: 'a' eventually points back to 'a'"]);
        assert_eq!(
            circular(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a"), ("x", "y"), ("y", "x")]),
            [
                "Circular alias detected: 'a' eventually points back to 'b'",
                "Circular alias detected: 'x' eventually points back to 'x'"
            ]
        );
    }

    #[test]
    fn empty_names_are_problems_and_a_circle_still_ends() {
        assert_eq!(aliases(&[("", "a"), ("b", "")]).1.len(), 2);
        assert_eq!(aliases(&[("a", "b"), ("b", "a")]).0.resolve("a").1.len(), MAX_STEPS);
    }
}
