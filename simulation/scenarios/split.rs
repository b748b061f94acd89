//! The network falls apart: into halves that both go on and change, in one direction only, or here and there again and
//! again.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::load;
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout, SPARE, only};

/// Longer than it takes to call a silent peer dead.
const LONG: Duration = Duration::from_secs(14);

/// After a heal all views agree within this.
const AGREED: Duration = Duration::from_secs(10);

/// Four peers, so that each half is a mesh of its own.
pub(crate) fn layout() -> Layout {
    Layout::of(4).with_spare()
}

/// Two and two; each half learns something that the other cannot hear of.
pub(crate) async fn halves(cluster: Cluster) {
    let (west, east) = ([0, 1], [2, 3]);
    cluster.agree("boot", Duration::from_secs(5)).await;
    cluster.split(&west, &east);
    let changes = async {
        let spare = json!({ "name": SPARE, "url": cluster.backend(SPARE).url(), "type": "generic" });
        let added = cluster.call(0, Method::POST, "/nexus/v1/backends", &spare).await;
        let removed = cluster.call(3, Method::DELETE, "/nexus/v1/backends/b3", &Value::Null).await;
        cluster.claims().hold(
            added.is_ok() && removed.is_ok(),
            "both halves can be managed",
            format_args!("{added:?}"),
        );
        sleep(LONG).await;
    };
    let clients = load::clients(&cluster, &[0, 1, 2, 3], 4, LONG);
    join(changes, join(clients, load::held(&cluster, &[0, 1, 2, 3], LONG))).await;

    for (entry, model, should) in [
        (0, only(1), true),
        (2, COMMON.to_owned(), true),
        (3, only(0), false),
        (0, only(2), false),
        (1, SPARE.into(), true),
    ] {
        let answer = cluster.ask(entry, Ask::stream(&model, 3)).await;
        let right = answer.is_whole() == should && (should || answer.took() < Duration::from_millis(300));
        cluster.claims().hold(
            right,
            "each half serves what it has, and refuses the rest at once",
            format_args!("{answer:?}"),
        );
    }
    cluster.heal(&west, &east);
    cluster.recover("heal", AGREED).await;
    for (entry, model) in [(3, only(0)), (0, only(2)), (2, SPARE.to_owned())] {
        let answer = cluster.ask(entry, Ask::stream(&model, 3)).await;
        cluster.claims().hold(answer.is_whole(), "after a heal all is served again", format_args!("{answer:?}"));
    }
}

/// The first peer hears, and is not heard.
pub(crate) async fn oneway(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    cluster.silence(&[0], &[1, 2]);
    load::clients(&cluster, &[0, 1, 2], 3, LONG).await;
    for entry in 0..3 {
        let answer = cluster.ask(entry, Ask::stream(COMMON, 3)).await;
        let quick = answer.is_whole() && answer.took() < Duration::from_secs(2);
        cluster.claims().hold(quick, "whoever can serve serves", format_args!("{answer:?}"));
    }
    cluster.heal(&[0], &[1, 2]);
    cluster.recover("heal", AGREED).await;
}

/// Now this link fails, now that, in both directions or in one, for too short a time to call anybody dead.
pub(crate) async fn flapping(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let faults = async {
        for _ in 0..12 {
            let (one, other, oneway, long) = {
                let mut dice = cluster.dice();
                let one = dice.random_range(0..4);
                let other = (one + dice.random_range(1..4)) % 4;
                (one, other, dice.random_bool(0.5), Duration::from_millis(dice.random_range(200..5000)))
            };
            match oneway {
                true => cluster.silence(&[one], &[other]),
                false => cluster.split(&[one], &[other]),
            }
            sleep(long).await;
            cluster.heal(&[one], &[other]);
            sleep(long / 4).await;
        }
    };
    join(faults, load::clients(&cluster, &[0, 1, 2, 3], 4, Duration::from_secs(30))).await;
    cluster.recover("heal", AGREED).await;
}
