//! A question before what protects less, or cannot be undone: asked where somebody sits at a terminal, refused where nobody
//! does, left out with `--yes`.

use std::io::{self, IsTerminal, Write};

use super::render::clean;

/// Goes on where there is nothing in `effects`, or whoever runs this has said or says that it is meant.
///
/// # Errors
/// They say no, or nobody can be asked.
pub(super) fn assent(what: &str, effects: &[String], yes: bool) -> anyhow::Result<()> {
    if effects.is_empty() || yes {
        return Ok(());
    }
    let effects: String = effects.iter().map(|effect| format!("  {}\n", clean(effect))).collect();
    anyhow::ensure!(io::stdin().is_terminal(), "{what}:\n{effects}Add --yes if that is meant.");
    let mut stderr = anstream::stderr();
    write!(stderr, "{what}:\n{effects}Go on? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    anyhow::ensure!(is_yes(&answer), "everything is left as it was");
    Ok(())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(is_yes("y\n") && is_yes(" YES\n"));
        assert!(!is_yes("\n") && !is_yes("yess") && !is_yes("n"));
        assert!(assent("this", &[], false).is_ok());
        assert!(assent("this", &["harm".to_owned()], true).is_ok());
    }
}
