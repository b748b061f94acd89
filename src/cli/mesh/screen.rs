//! A picture on a terminal that changes in its place: it has a screen of its own, so that what was there before comes back when it
//! ends and nothing is left to scroll through. Elsewhere pictures are printed one after another.

use std::io::{self, IsTerminal, Write};

use terminal_size::{Height, Width, terminal_size};

/// Another screen, no cursor, and lines that are too long end at the edge.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// A picture is shown when all of it is there, where the terminal knows of that, and whatever stood there is overwritten, not
/// cleared: else it would flicker.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[H";
const REST_OF_LINE: &str = "\u{1b}[K";
const REST_OF_SCREEN: &str = "\r\n\u{1b}[J";
const END: &str = "\u{1b}[?2026l";

/// Columns and lines of a terminal that does not say.
const USUAL: (usize, usize) = (80, 24);

/// Where pictures go.
pub(super) struct Screen {
    is_terminal: bool,
    last: String,
}

impl Screen {
    /// # Errors
    /// Nothing can be written.
    pub(super) fn open() -> io::Result<Self> {
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            write(ENTER)?;
        }
        Ok(Screen { is_terminal, last: String::new() })
    }

    /// Columns and lines; `None` where there is no edge.
    pub(super) fn size(&self) -> Option<(usize, usize)> {
        let told = |(Width(columns), Height(lines))| (usize::from(columns), usize::from(lines));
        let told = terminal_size().map(told).filter(|(columns, lines)| *columns > 0 && *lines > 0);
        self.is_terminal.then(|| told.unwrap_or(USUAL))
    }

    /// Shows `picture` in the place of the last one.
    ///
    /// # Errors
    /// Nobody reads any more, as `head` that has seen enough.
    pub(super) fn show(&mut self, picture: String) -> io::Result<()> {
        if self.is_terminal {
            let lines = self.size().map_or(usize::MAX, |(_, lines)| lines);
            write(&frame(&picture, lines))?;
        } else {
            let apart = if self.last.is_empty() { "" } else { "\n" };
            write(&format!("{apart}{picture}"))?;
        }
        self.last = picture;
        Ok(())
    }
}

impl Drop for Screen {
    /// The last picture stays, as if it had been printed.
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write(&format!("{LEAVE}{}", self.last));
        }
    }
}

/// Not through what takes colours away where they are not wanted: that would take these as well.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What makes a terminal of so many lines show `picture` and nothing else. Behind the last line no new one is begun: that would
/// move all of it.
fn frame(picture: &str, lines: usize) -> String {
    // Before each line: behind one that fills its line, the last letter would go.
    let shown: Vec<String> = picture.lines().take(lines).map(|line| format!("{REST_OF_LINE}{line}")).collect();
    let rest = if shown.len() < lines { REST_OF_SCREEN } else { "" };
    format!("{BEGIN}{}{rest}{END}", shown.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_overwritten_and_never_scrolls() {
        let (begin, end) = ("\u{1b}[?2026h\u{1b}[H\u{1b}[Ka\r\n\u{1b}[Kb", "\u{1b}[?2026l");
        assert_eq!(frame("a\nb\nc\n", 2), format!("{begin}{end}"), "it is full");
        assert_eq!(frame("a\nb\n", 3), format!("{begin}\r\n\u{1b}[J{end}"), "the rest is empty");
    }
}
