//! A hundred clients stream over one hop and many leave in the middle. Every slot comes back, on both sides.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use tokio::time::sleep;

use crate::backend::Mood;
use crate::client::{Ask, End};
use crate::cluster::Cluster;
use crate::layout::{Layout, only};

/// Room for all of them at once.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout::of(2);
    layout.backends[1].slots = 128;
    layout
}

/// How soon after a client has left its slot must be free.
const FREED: Duration = Duration::from_millis(100);

/// All at once, then a word about what is left.
pub(crate) async fn departures(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let one = |_| {
        let cluster = &cluster;
        async move {
            let (start, leave) = {
                let mut dice = cluster.dice();
                let leave = dice.random_bool(0.6).then(|| Duration::from_millis(dice.random_range(1..900)));
                (Duration::from_millis(dice.random_range(0..500)), leave)
            };
            sleep(start).await;
            cluster.ask(0, Ask { leave_after: leave, ..Ask::stream(&only(1), 50) }).await
        }
    };
    let answers = join_all((0..100).map(one)).await;
    for answer in answers.iter().filter(|answer| !matches!(answer.end, End::Whole | End::Left)) {
        cluster.claims().broken("who stays is served", format_args!("{answer:?}"));
    }
    let left = answers.iter().filter(|answer| answer.end == End::Left).count();
    cluster.claims().hold(left > 20, "many leave", format_args!("{left}"));

    // While it thinks, and while it is silent between two words: nothing is being sent that could fail.
    for silence in [Mood::Hang, Mood::Slow(100)] {
        cluster.set_mood("b1", silence);
        cluster.ask(0, Ask { leave_after: Some(Duration::from_millis(700)), ..Ask::stream(&only(1), 50) }).await;
        let free = || match cluster.book().busy().len() {
            0 => Ok(()),
            _ => Err(format!("{:?}", cluster.book().busy())),
        };
        let took = cluster.within(FREED, "a client that leaves frees the backend", free).await;
        cluster.measured("a client leaves until the backend is free", took);
    }
    cluster.set_mood("b1", Mood::Well);
}
