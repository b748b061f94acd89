//! The page that shows the whole mesh: what there is to see is gathered from snapshots, put into words, and written by
//! templates that escape whatever others have chosen. It takes no lock of the request path and knows nothing of HTTP or of
//! who may manage: that is the business of `api`.

mod backends;
mod decision;
mod events;
mod models;
mod money;
mod overview;
mod peers;
mod pulse;
mod requests;
mod rows;
mod seen;
mod settings;
mod spark;
mod templates;
mod topology;
mod warnings;
mod words;

pub use backends::Card;
pub use decision::Decision;
pub use overview::{Limits, Overview};
pub use pulse::{Pulse, Sample};
pub use rows::Cut;
pub use seen::{MeshSeen, Seen, WarningSeen};
pub use settings::{OfPeer, Settings};
pub use templates::{
    Ask, Confirm, Decided, Forgotten, Home, KeyRow, Main, Manage, Notice, Secret, Shell, SignIn, write,
};
pub use words::{Name, escaped};

/// The module that keeps the page fresh.
pub const SCRIPT: &str = include_str!("assets/dashboard.js");

/// How it looks.
pub const STYLES: &str = include_str!("assets/styles.css");
