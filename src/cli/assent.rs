//! The question before what cannot be undone, or protects less. The rule for every command: whoever sits at a terminal is
//! told what would be, and asked. Where nobody does, as in a script, what a command is called for is done, and what comes
//! of it besides is refused. `--yes` answers in advance.

use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::render::clean;

/// Whether it is meant.
#[derive(Debug, Args)]
pub(super) struct Sure {
    /// Do not ask first
    #[arg(short, long)]
    pub(super) yes: bool,
}

/// The longest answer that is read, in bytes.
const ANSWER: u64 = 256;

impl Sure {
    /// Before what the command is called for. `would` is what a dry run says, and is looked up only to be shown; where it is
    /// nothing nobody is asked.
    ///
    /// # Errors
    /// They say no, or what would be cannot be told.
    pub(super) async fn of_order(&self, would: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<()> {
        if self.yes || !somebody_is_there() {
            return Ok(());
        }
        match would.await?.as_str() {
            "" => Ok(()),
            would => ask(would, io::stdin().lock(), anstream::stderr()),
        }
    }

    /// Before what would come of it besides. Where that is nothing nobody is asked.
    ///
    /// # Errors
    /// They say no, or nobody can be asked.
    pub(super) fn of_effects(&self, what: &str, effects: &[String]) -> anyhow::Result<()> {
        if effects.is_empty() || self.yes {
            return Ok(());
        }
        let effects: String = effects.iter().map(|effect| format!("  {}\n", clean(effect))).collect();
        anyhow::ensure!(somebody_is_there(), "{what}:\n{effects}Add --yes if that is meant.");
        ask(&format!("{what}:\n{effects}"), io::stdin().lock(), anstream::stderr())
    }
}

/// Whether a question can be seen and answered.
fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Goes on only after a clear yes.
fn ask(would: &str, answers: impl BufRead, mut questions: impl Write) -> anyhow::Result<()> {
    write!(questions, "{would}Go on? [y/N] ")?;
    questions.flush()?;
    let mut answer = String::new();
    answers.take(ANSWER).read_line(&mut answer)?;
    if !answer.ends_with('\n') {
        // Whoever typed the end of the input instead of one is still on the line of the question.
        writeln!(questions)?;
    }
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    anyhow::ensure!(is_yes, "everything is left as it was");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let asked = |answer: &[u8]| {
            let mut shown = Vec::new();
            let agreed = ask("Would revoke key: laptop\n", answer, &mut shown);
            assert!(shown.starts_with(b"Would revoke key: laptop\nGo on? [y/N] "), "{shown:?}");
            agreed.map_err(|error| error.to_string())
        };
        for yes in [&b"y\n"[..], b" YES\n", b"Yes\r\n", b"y"] {
            assert_eq!(asked(yes), Ok(()), "{yes:?}");
        }
        for no in [&b"\n"[..], b"", b"n\n", b"yess\n", b"no\ny\n", b"ja\n"] {
            assert_eq!(asked(no), Err("everything is left as it was".to_owned()), "{no:?}");
        }
        assert!(asked(b"\xff\n").is_err() && asked(&[b' '; 1000]).is_err());
    }

    #[test]
    fn whoever_is_sure_is_not_asked_and_nothing_is_looked_up() {
        let sure = Sure { yes: true };
        assert!(sure.of_effects("this", &["harm".to_owned()]).is_ok());
        assert!(Sure { yes: false }.of_effects("this", &[]).is_ok());
        let would = async { anyhow::bail!("looked up") };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert!(runtime.block_on(sure.of_order(would)).is_ok());
    }
}
