//! The budget, and who holds which rights.

use super::rows::{Cut, Standing};
use super::words::{Name, or_dash, usd};
use crate::budget::{Figures, Level};

/// The budget of this month.
#[derive(Clone, Debug)]
pub struct Budget {
    /// The month.
    pub month: String,
    /// What was spent.
    pub spent: String,
    /// What is set aside for calls under way.
    pub reserved: String,
    /// What may be spent; empty where it is only counted.
    pub limit: String,
    /// What is left.
    pub left: String,
    /// How much of it was spent, in percent, at most 100.
    pub percent: u32,
    /// Where that is.
    pub standing: Standing,
    /// What happens at the limit.
    pub at_limit: &'static str,
    /// When it begins anew.
    pub next_reset: String,
    /// Who holds which rights.
    pub holders: Cut<HolderRow>,
}

/// One holder of rights.
#[derive(Clone, Debug)]
pub struct HolderRow {
    /// Its peer.
    pub peer: Name,
    /// `self`, `alive`, `away` or `forgotten`.
    pub state: &'static str,
    /// Its share.
    pub rights: String,
    /// What it has spent.
    pub spent: String,
    /// What it has set aside.
    pub reserved: String,
}

/// `None` where there is neither a limit nor anything spent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to 0 to 100")]
pub(super) fn of(figures: &Figures, limit: usize) -> Option<Budget> {
    if figures.limit_usd.is_none() && figures.spent_usd == 0.0 {
        return None;
    }
    let (word, class) = match figures.status {
        Level::Normal => ("within its limits", "good"),
        Level::SoftLimit => ("past the soft limit: paid backends are avoided", "waning"),
        Level::HardLimit => ("used up", "bad"),
    };
    Some(Budget {
        month: figures.month.to_string(),
        spent: usd(figures.spent_usd),
        reserved: usd(figures.reserved_usd),
        limit: figures.limit_usd.map(usd).unwrap_or_default(),
        left: or_dash(figures.remaining_usd.map(usd)),
        percent: figures.utilization_percent.clamp(0.0, 100.0).round() as u32,
        standing: Standing { word, class },
        at_limit: figures.hard_limit_action.map_or("", |action| action.as_str()),
        next_reset: figures.next_reset.clone(),
        holders: Cut::of(&figures.holders, limit, |holder| HolderRow {
            peer: Name::of(&holder.peer),
            state: holder.state,
            rights: or_dash(
                holder.rights_usd.map(|rights| format!("{} ({:.0} %)", usd(rights), holder.rights_percent)),
            ),
            spent: usd(holder.spent_usd),
            reserved: usd(holder.reserved_usd),
        }),
    })
}
