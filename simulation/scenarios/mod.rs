//! The scenarios: each a story told to a cluster in one async function, with the claims that are its own. What must hold
//! everywhere is checked without being asked for.

mod boot;
mod departures;
mod forward;
mod hang;
mod leave;
mod load;
mod loss;
mod meta;
mod restart;
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
    ($name:literal, $about:literal, seeds $seeds:literal, $layout:expr, $script:path) => {
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

/// All of them, the one that proves the others first.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        twice: true,
        ..scenario!("meta", "one seed gives one trace, whatever goes wrong in it", seeds 2, Layout::of(3), meta::meta)
    },
    scenario!("boot-3", "three peers find each other and serve everything", seeds 2, boot::layout(3), boot::boot),
    scenario!("boot-5", "five peers find each other and serve everything", seeds 2, boot::layout(5), boot::boot),
    scenario!("boot-open", "peers without a key, looking around", seeds 1, boot::layout(3).open().with_discovery(), boot::boot),
    scenario!("split", "the mesh falls into halves, both change, and heals", seeds 2, split::layout(), split::halves),
    scenario!("oneway", "what one peer says is not heard any more", seeds 2, Layout::of(3), split::oneway),
    scenario!("restart", "a peer dies and returns, with its disk and without", seeds 2, Layout::of(3), restart::restart),
    scenario!("forward", "the target of a forwarded request dies, unheard and in mid-stream", seeds 2, forward::layout(), forward::forward),
    scenario!("leave", "a peer stops under load, and loses nothing", seeds 2, forward::layout(), leave::leave),
    scenario!("loss", "one datagram of twenty is lost", seeds 2, Layout::of(3), loss::loss),
    scenario!("hang", "a backend takes requests and says nothing", seeds 2, Layout::of(3), hang::hang),
    scenario!("departures", "a hundred clients stream over one hop and many leave", seeds 2, departures::layout(), departures::departures),
    scenario!("time", "wall clocks jump", seeds 2, Layout::of(3), time::time),
    scenario!("storm", "everything at once for a minute", seeds 2, storm::layout(), storm::storm),
];
