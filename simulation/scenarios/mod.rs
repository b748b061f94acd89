//! The scenarios: each a story told to a cluster in one async function, with the claims that are its own. What must hold
//! everywhere is checked without being asked for.

mod boot;
mod burst;
mod departures;
mod forward;
mod hang;
mod hung;
mod leave;
mod load;
mod loss;
mod meta;
mod money;
mod month;
mod overload;
mod probe;
mod rates;
mod restart;
mod sessions;
mod spend;
mod split;
mod storm;
mod time;

use futures_util::future::LocalBoxFuture;

use crate::cluster::Cluster;
use crate::layout::Layout;

/// A story.
pub(crate) struct Scenario {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it tells.
    pub(crate) about: &'static str,
    /// Seeds that are run unless more are asked for.
    pub(crate) seeds: u64,
    /// Whether each seed is run twice, to see that both runs are the same.
    pub(crate) twice: bool,
    /// What it starts with.
    pub(crate) layout: fn() -> Layout,
    /// The story.
    pub(crate) script: fn(Cluster) -> LocalBoxFuture<'static, ()>,
}

macro_rules! scenario {
    ($name:literal, $about:literal, $seeds:literal, $layout:expr, $script:path) => {
        Scenario {
            name: $name,
            about: $about,
            seeds: $seeds,
            twice: false,
            layout: || $layout,
            script: |cluster| Box::pin($script(cluster)),
        }
    };
}

const BUDGET: Scenario =
    scenario!("month", "a budget over the end of a month while all goes wrong", 3, month::layout(), month::month);

const META: Scenario = scenario!("meta", "one seed gives one trace", 4, Layout::of(3), meta::meta);

/// All of them, the one that proves the others first.
#[rustfmt::skip]
pub(crate) const ALL: &[Scenario] = &[
    Scenario { twice: true, ..META },
    scenario!("boot-3", "three peers find each other, serve everything, and learn", 6, boot::layout(3), boot::boot),
    scenario!("boot-5", "the same with five", 6, boot::layout(5), boot::boot),
    scenario!("boot-open", "the same without a key", 4, boot::layout(3).open().with_discovery(), boot::boot),
    scenario!("split", "the mesh falls into halves, both change, and it heals", 6, split::layout(), split::halves),
    scenario!("oneway", "what one peer says is not heard any more", 6, Layout::of(3), split::oneway),
    scenario!("flapping", "links fail here and there, again and again", 6, Layout::of(4), split::flapping),
    scenario!("restart", "a peer dies and returns, with its disk and without", 6, Layout::of(3), restart::restart),
    scenario!("forward", "the target of a forwarded request dies", 6, forward::layout(), forward::forward),
    scenario!("leave", "a peer stops under load, and loses nothing", 6, forward::layout(), leave::leave),
    scenario!("loss", "one datagram of twenty is lost", 6, Layout::of(3), loss::loss),
    scenario!("hang", "a backend takes requests and says nothing", 6, Layout::of(3), hang::hang),
    scenario!("probe", "a backend gives trouble for minutes, and is probed", 3, Layout::of(3), probe::probe),
    scenario!("hung", "of ten backends one takes requests and says nothing, under load", 3, hung::layout(), hung::hung),
    scenario!("burst", "twelve requests at once for twelve slots", 3, burst::layout(), burst::burst),
    scenario!("sessions", "conversations go on anywhere", 2, sessions::layout(), sessions::light),
    scenario!("sessions-busy", "the same at three quarters of the load", 2, sessions::layout(), sessions::busy),
    scenario!("overload", "ten times as much as the mesh can serve", 2, overload::layout(), overload::overload),
    scenario!("departures", "clients stream over one hop and leave", 6, departures::layout(), departures::departures),
    scenario!("time", "wall clocks jump", 6, Layout::of(3), time::time),
    scenario!("spend", "a budget is spent with nothing wrong", 3, spend::layout(), spend::spend),
    Scenario { twice: true, ..BUDGET },
    scenario!("rates", "a key is limited to so many requests in a minute", 3, rates::layout(), rates::rates),
    scenario!("storm", "everything at once for a minute", 3, storm::layout(), storm::storm),
];
