//! Peers start at once and find each other; what one of them learns, all of them know soon after.

use std::time::Duration;

use http::Method;
use nexus::fleet::Status;
use serde_json::{Value, json};

use crate::checks::{self, HELD, SECRET};
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout, SPARE, only};

/// One backend for each peer, and one that nobody knows yet.
pub(crate) fn layout(peers: usize) -> Layout {
    Layout::of(peers).with_spare()
}

/// Every peer serves every model; then a backend comes and goes.
pub(crate) async fn boot(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let peers = cluster.sights().len();
    for entry in 0..peers {
        let (_, models) = cluster.call(entry, Method::GET, "/v1/models", &Value::Null).await.unwrap_or_default();
        let listed = models["data"].as_array().map_or(0, Vec::len);
        cluster.claims().hold(
            listed == peers * (3 + HELD.len()),
            "every model is listed",
            format_args!("{listed} at {entry}"),
        );
        for model in [COMMON, SECRET] {
            let answer = cluster.ask(entry, Ask::stream(model, 3)).await;
            // Every second peer has nothing restricted, and in an open mesh what is restricted stays where it is.
            let served = model == COMMON || entry % 2 == 0 || cluster.is_keyed();
            cluster.claims().hold(answer.is_whole() == served, "policies hold", format_args!("{answer:?}"));
        }
        for owner in 0..peers {
            for ask in [Ask::whole(&only(owner), 3), Ask::stream(&only(owner), 5)] {
                let answer = cluster.ask(entry, ask).await;
                let right = answer.is_whole() && answer.hops == Some(u8::from(entry != owner));
                cluster.claims().hold(right, "anything is served from anywhere", format_args!("{answer:?}"));
                let named = answer.peer == Some(format!("p{owner}"));
                cluster.claims().hold(named, "the answer names its peer", format_args!("{:?}", answer.peer));
            }
        }
    }
    spread(&cluster, peers).await;
}

/// A backend is added at one peer, and removed again: how long until all know?
async fn spread(cluster: &Cluster, peers: usize) {
    let bound = checks::gossip_bound(peers, checks::ROUND) + checks::MARGIN;
    let spare = json!({ "name": SPARE, "url": cluster.backend(SPARE).url(), "type": "generic" });
    let added = cluster.call(0, Method::POST, "/nexus/v1/backends", &spare).await;
    cluster.claims().hold(matches!(added, Ok((201, _))), "a backend is added", format_args!("{added:?}"));
    let known = || match cluster.peer(0).sight().and_then(|sight| sight.own.get(SPARE).cloned()) {
        Some((Status::Healthy, models)) if !models.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    cluster.within(Duration::from_secs(3), "an added backend is checked at once", known).await;
    cluster.agree("a backend added", bound).await;
    let answer = cluster.ask(peers - 1, Ask::stream(SPARE, 4)).await;
    cluster.claims().hold(answer.is_whole(), "an added backend serves", format_args!("{answer:?}"));

    let path = format!("/nexus/v1/backends/{SPARE}");
    let removed = cluster.call(0, Method::DELETE, &path, &Value::Null).await;
    cluster.claims().hold(matches!(removed, Ok((200, _))), "a backend is removed", format_args!("{removed:?}"));
    cluster.agree("a backend removed", bound).await;
    let answer = cluster.ask(peers - 1, Ask::stream(SPARE, 4)).await;
    cluster.claims().hold(answer.status == 404, "what is removed is unknown", format_args!("{answer:?}"));
}
