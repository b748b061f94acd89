//! Settings of one tool, and how they are shown. They are data: what each tool needs is in `tools` and `apps`.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};

use super::patch::Edited;
use super::write::{Planned, Written};
use super::{json, toml, yaml};
use crate::cli::render::clean;

/// The environment variable that holds a client's key.
pub(super) const KEY: &str = "NEXUS_API_KEY";

/// What a tool gets that will not run without a key, where the node asks for none.
pub(super) const NO_KEY: &str = "nexus";

/// In place of a model that nobody could be asked for.
pub(super) const PLACEHOLDER: &str = "MODEL";

/// What a tool is pointed at.
#[derive(Debug)]
pub(super) struct Target {
    /// The root of the peer's URL.
    pub(super) url: String,
    pub(super) needs_key: bool,
    /// Every model that can chat.
    pub(super) models: Vec<Offer>,
    /// The id of the one to use.
    pub(super) model: String,
}

/// A model that can be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    pub(super) id: String,
    /// Where it is known.
    pub(super) context: Option<u64>,
    pub(super) vision: bool,
    pub(super) tools: bool,
    pub(super) embeds: bool,
}

impl Target {
    /// Where the OpenAI-compatible API begins.
    pub(super) fn v1(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// A key for the environment: a name, never the key.
    pub(super) fn key(&self) -> String {
        if self.needs_key { format!("${KEY}") } else { NO_KEY.to_owned() }
    }

    /// A key for a file in which none may stand.
    pub(super) fn key_in_file(&self) -> Json {
        if self.needs_key { Json::Null } else { json!(NO_KEY) }
    }

    /// The model to use.
    pub(super) fn offer(&self) -> Offer {
        let found = self.models.iter().find(|offer| offer.id == self.model);
        found.cloned().unwrap_or_else(|| Offer { id: self.model.clone(), ..Offer::default() })
    }
}

/// What points a tool at a peer.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// All of it without a file.
    pub(super) environment: Vec<(&'static str, String)>,
    /// What is needed beside the file.
    pub(super) beside: Vec<(&'static str, String)>,
    pub(super) file: Option<File>,
    /// Why there is no file.
    pub(super) no_file: &'static str,
    /// What is to be done by hand.
    pub(super) steps: Vec<String>,
    /// What to run then, or instead.
    pub(super) command: Option<String>,
    /// The words before it, where it is not what to run then.
    pub(super) command_head: Option<&'static str>,
    pub(super) notes: Vec<String>,
}

/// A file of settings, and what it is to say.
#[derive(Debug)]
pub(super) struct File {
    /// The first that is there is the one; else the first.
    pub(super) paths: Vec<PathBuf>,
    pub(super) format: Format,
    /// What a file begins with that is not there yet.
    pub(super) fresh: Json,
    pub(super) patch: Json,
    /// What a file gets that has this key at its top: the same in a later form of the tool's.
    pub(super) later: Option<(&'static str, Json)>,
}

impl File {
    /// One file, the same in every version of the tool.
    pub(super) fn new(path: PathBuf, format: Format, patch: Json) -> Self {
        File { paths: vec![path], format, fresh: json!({}), patch, later: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
    Yaml,
}

impl Format {
    /// # Errors
    /// Why `text` cannot be changed.
    pub(super) fn apply(self, text: &str, patch: &Json) -> Result<Edited, String> {
        match self {
            Format::Json => json::apply(text, patch),
            Format::Toml => toml::apply(text, patch),
            Format::Yaml => yaml::apply(text, patch),
        }
    }
}

impl Settings {
    /// For people.
    pub(super) fn as_text(&self, file: Option<&Planned>, written: Option<&Written>) -> String {
        let mut sections = Vec::new();
        if written.is_none() && !self.environment.is_empty() {
            sections.push(format!("In the environment:\n{}", exports(&self.environment)));
        }
        match (file, written) {
            (_, Some(written)) => sections.push(written.as_text()),
            (Some(file), None) => {
                let how = if self.environment.is_empty() { "In" } else { "Or in" };
                sections.push(format!("{how} {}:\n{}", file.path.display(), indented(&file.content)));
            }
            (None, None) => {}
        }
        if file.is_some() && !self.beside.is_empty() {
            sections.push(format!("Beside the file, in the environment:\n{}", exports(&self.beside)));
        }
        if !self.steps.is_empty() {
            let mut steps = "By hand:\n".to_owned();
            for (at, step) in self.steps.iter().enumerate() {
                // Writing to a String does not fail.
                let _ = writeln!(steps, "  {}. {step}", at + 1);
            }
            sections.push(steps);
        }
        if let Some(command) = &self.command {
            sections.push(format!("{}:\n  {command}\n", self.command_head.unwrap_or("Then run")));
        }
        if !self.notes.is_empty() {
            sections.push(self.notes.iter().map(|note| format!("Note: {note}\n")).collect());
        }
        sections.join("\n")
    }

    /// For programs.
    pub(super) fn as_json(
        &self,
        tool: &str,
        target: &Target,
        file: Option<&Planned>,
        written: Option<&Written>,
    ) -> Json {
        let environment: Map<String, Json> = self
            .environment
            .iter()
            .chain(&self.beside)
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let file = file.map(|file| {
            let mut view = json!({"path": file.path, "content": file.content, "patch": file.patch});
            if let Some(written) = written {
                view["changed"] = json!(written.changed);
                view["backup"] = json!(written.backup);
            }
            view
        });
        json!({
            "tool": tool,
            "url": target.url,
            "model": target.model,
            "environment": environment,
            "files": file.into_iter().collect::<Vec<_>>(),
            "steps": self.steps,
            "command": self.command,
            "notes": self.notes,
        })
    }
}

fn exports(variables: &[(&str, String)]) -> String {
    variables.iter().map(|(name, value)| format!("  {}\n", export(name, value))).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

/// A line for a shell. Names of models are data of other machines: they are quoted, only our variable is looked up.
fn export(name: &str, value: &str) -> String {
    if value == format!("${KEY}") {
        return format!("export {name}=\"{value}\"");
    }
    format!("export {name}={}", quoted(value))
}

/// One word of a shell.
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:@+=,".contains(character);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", clean(value).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_named_is_one_word_of_a_shell() {
        assert_eq!(export("A", "http://h:1/v1"), "export A=http://h:1/v1");
        assert_eq!(export("A", "$NEXUS_API_KEY"), "export A=\"$NEXUS_API_KEY\"");
        assert_eq!(export("A", "$(rm) it's\n"), "export A='$(rm) it'\\''s\u{fffd}'");
        assert_eq!(export("A", ""), "export A=''");
    }
}
