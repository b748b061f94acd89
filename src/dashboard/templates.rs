//! The templates as types: what each of them is given. They escape every value; none asks not to.

use askama::Template;

use super::decision::Decision;
use super::overview::Overview;
use super::settings::Settings;
use super::words::Name;

/// What every page has around it.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// The title of the page.
    pub title: String,
    /// The version of what it looks like and moves by, so that a new one is fetched.
    pub assets: String,
    /// Said once at the top: what became of what was asked for.
    pub notice: Option<Notice>,
    /// The secret of forms of this reader; empty where nothing may be changed.
    pub form: String,
    /// Why nothing may be changed here, and what to do about it; empty where it may.
    pub why_not: String,
    /// Whether one may sign in.
    pub can_sign_in: bool,
    /// Whether one has.
    pub signed_in: bool,
}

/// What became of something.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Whether it went well.
    pub good: bool,
    /// What is said.
    pub text: String,
}

/// The page of the mesh.
#[derive(Template)]
#[template(path = "home.html", config = "src/dashboard/askama.toml")]
pub struct Home {
    /// Around it.
    pub shell: Shell,
    /// What there is to see.
    pub it: Overview,
}

/// The part of it that is kept fresh.
#[derive(Template)]
#[template(path = "main.html", config = "src/dashboard/askama.toml")]
pub struct Main {
    /// Around it.
    pub shell: Shell,
    /// What there is to see.
    pub it: Overview,
}

/// The page where things are changed.
#[derive(Template)]
#[template(path = "manage.html", config = "src/dashboard/askama.toml")]
pub struct Manage {
    /// Around it.
    pub shell: Shell,
    /// What there is to see.
    pub it: Overview,
    /// The clients' keys, for those who may see them.
    pub keys: Vec<KeyRow>,
    /// What the configuration file says of routing, likewise.
    pub settings: Settings,
}

/// A client's key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Whose it is.
    pub name: Name,
    /// Which it is.
    pub id: String,
    /// The most that it may spend in a month.
    pub limit: String,
    /// Who made it.
    pub made_by: Name,
    /// Whether it is good.
    pub active: bool,
}

/// The page of one request.
#[derive(Template)]
#[template(path = "decision.html", config = "src/dashboard/askama.toml")]
pub struct Decided {
    /// Around it.
    pub shell: Shell,
    /// How it was decided.
    pub it: Decision,
}

/// A request that nobody remembers.
#[derive(Template)]
#[template(path = "forgotten.html", config = "src/dashboard/askama.toml")]
pub struct Forgotten {
    /// Around it.
    pub shell: Shell,
}

/// Asks once more before what cannot be undone.
#[derive(Template)]
#[template(path = "confirm.html", config = "src/dashboard/askama.toml")]
pub struct Confirm {
    /// Around it.
    pub shell: Shell,
    /// What is asked.
    pub question: String,
    /// What would happen.
    pub effects: Vec<String>,
    /// What the button says.
    pub button: &'static str,
    /// The form once more.
    pub fields: Vec<Ask>,
}

/// A field of a form.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub value: String,
}

/// Asks for the admin token, or says why nothing may be changed.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/dashboard/askama.toml")]
pub struct SignIn {
    /// Around it.
    pub shell: Shell,
}

/// Shows a secret that was just made.
#[derive(Template)]
#[template(path = "secret.html", config = "src/dashboard/askama.toml")]
pub struct Secret {
    /// Around it.
    pub shell: Shell,
    /// What it is.
    pub heading: &'static str,
    /// What becomes of it.
    pub about: &'static str,
    /// What is copied.
    pub text: String,
    /// Where it came from, and what that is called.
    pub back: (&'static str, &'static str),
}

/// The text of a template. One that cannot be written is a mistake of ours: an empty page says so.
pub fn write(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}
