//! Who may come in, and what may go out.

use super::{KEY, OPEN, OTHER_KEY, offers, pair, peer};
use crate::support::{Answer, FakeBackend, Log, TestNode, chat, stream, until, until_json};

const SECRET: &str = "[[routing.policies]]\nmodel_pattern = 'secret-*'\nprivacy = 'restricted'\n";

async fn size(node: &TestNode) -> serde_json::Value {
    node.get("/nexus/v1/mesh").await.json()["mesh"]["size"].clone()
}

#[tokio::test]
async fn whoever_has_another_key_or_another_mesh_learns_nothing() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let log = Log::capture();
    let stranger_backend = FakeBackend::always(&["trap"], Answer::says("got you")).await;
    let member = peer("member", KEY, &[], &backend.entry("a", "")).start().await;
    let trap = stranger_backend.entry("trap", "");
    let strangers = [
        peer("wrong-key", OTHER_KEY, &[&member], &trap).start().await,
        peer("no-key", OPEN, &[&member], &trap).start().await,
        peer_of("elsewhere", &member, &trap).start().await,
    ];
    let friend = peer("friend", KEY, &[&member], "").start().await;
    offers(&friend, "m1").await;
    let refused = || log.lines().iter().filter(|line| line["fault"] == "seed not reached").count();
    until("every stranger was refused", || refused() >= strangers.len()).await;
    for one in [&member, &friend] {
        until_json(one, "/nexus/v1/mesh", "they are two", |seen| seen["mesh"]["size"] == 2).await;
    }
    assert!(!member.get("/v1/models").await.text().contains("trap"));
    for stranger in &strangers {
        assert_eq!(size(stranger).await, 1);
        let seen = stranger.get("/v1/models").await;
        assert!(!seen.text().contains("m1"), "{}", seen.text());
        stranger.chat("m1").await.error(404, "model_not_found", "invalid_request_error");
    }
    assert_eq!((backend.calls(), stranger_backend.calls()), (0, 0));
    assert_eq!(member.chat("m1").await.status, 200, "and nobody is disturbed");
}

/// A peer of a mesh with another name and the same key.
fn peer_of(name: &str, seed: &TestNode, more: &str) -> crate::support::Plan {
    crate::support::Plan::new(&format!(
        "{more}\n[mesh]\nenabled = true\nname = 'other'\npeer_name = '{name}'\nkey = '{KEY}'\nseeds = ['{}']\n",
        seed.mesh_address()
    ))
}

#[tokio::test]
async fn a_restricted_request_crosses_a_keyed_mesh_and_no_open_one() {
    let backend = FakeBackend::always(&["secret-m", "plain"], Answer::says("hi")).await;
    let (near, _far) = pair(SECRET, &backend.entry("a", ""), "secret-m").await;
    let reply = near.chat("secret-m").await;
    assert_eq!((reply.status, reply.header("x-nexus-privacy-zone")), (200, Some("restricted")));

    let backend = FakeBackend::always(&["secret-m", "plain"], Answer::says("hi")).await;
    let far = peer("far", OPEN, &[], &backend.entry("a", "")).start().await;
    let near = peer("near", OPEN, &[&far], SECRET).start().await;
    offers(&near, "secret-m").await;
    assert_eq!(near.get("/nexus/v1/mesh").await.json()["mesh"]["keyed"], false);
    let reply = near.chat("secret-m").await;
    reply.error(503, "service_unavailable", "service_unavailable");
    assert_eq!(reply.header("x-nexus-rejection-reasons"), Some("1 agents rejected by privacy"));
    assert_eq!(backend.calls(), 0);
    assert_eq!(near.chat("plain").await.header("x-nexus-peer"), Some("far"), "the rest goes over it");
    assert_eq!(far.chat("secret-m").await.status, 200, "and where it is at home it is served");
}

/// Somebody else's money is not for strangers.
#[tokio::test]
async fn an_open_mesh_is_offered_no_cloud_backend_and_a_keyed_one_is() {
    for (key, offered) in [(OPEN, false), (KEY, true)] {
        let cloud = FakeBackend::always(&["gpt-4"], Answer::says("hi")).await;
        let local = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let config = cloud.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'") + &local.entry("local", "");
        let far = peer("far", key, &[], &config).variable("CLOUD_KEY", "sk-own").start().await;
        let near = peer("near", key, &[&far], "").start().await;
        offers(&near, "m1").await;
        let status = near.chat("gpt-4").await.status;
        assert_eq!(status, if offered { 200 } else { 404 });
        let seen = near.get("/nexus/v1/mesh").await;
        assert_eq!(seen.text().contains("gpt-4"), offered);
        assert!(!seen.text().contains("sk-own"));
        assert_eq!(cloud.calls(), usize::from(offered));
        assert_eq!(far.chat("gpt-4").await.status, 200);
    }
}

#[tokio::test]
async fn a_backend_that_is_not_shared_is_its_peers_own() {
    let mine = FakeBackend::always(&["mine"], Answer::says("hi")).await;
    let ours = FakeBackend::always(&["ours"], Answer::says("hi")).await;
    let config = mine.entry("mine", "share = false") + &ours.entry("ours", "");
    let (near, far) = pair("", &config, "ours").await;
    assert_eq!((near.chat("mine").await.status, far.chat("mine").await.status), (404, 200));
    assert_eq!(mine.calls(), 1);
}

/// What is not offered to others is not used for them either, where another backend has the same model.
#[tokio::test]
async fn a_hidden_backend_serves_no_peer_that_asks_for_what_another_offers() {
    let money = "type = 'openai'\napi_key_env = 'CLOUD_KEY'\npriority = 1";
    for (key, how) in [(KEY, "share = false\npriority = 1"), (OPEN, "share = false\npriority = 1"), (OPEN, money)] {
        let hidden = FakeBackend::always(&["m1"], Answer::says("hidden")).await;
        let shown = FakeBackend::script(&["m1"], |request| match request.number {
            0..4 => Answer::says("shown"),
            _ => Answer::json(500, "{}"),
        })
        .await;
        let order = "[routing]\nstrategy = 'priority_only'\n".to_owned();
        let config = order + &hidden.entry("hidden", how) + &shown.entry("shown", "");
        let far = peer("far", key, &[], &config).variable("CLOUD_KEY", "sk-own").start().await;
        let near = peer("near", key, &[&far], "").start().await;
        offers(&near, "m1").await;
        for _ in 0..4 {
            let reply = near.chat("m1").await;
            assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("shown")), "{how}");
        }
        assert_ne!(near.chat("m1").await.status, 200, "nor where nothing else is left");
        assert_eq!(hidden.calls(), 0, "{how}");
        assert_eq!(far.chat("m1").await.header("x-nexus-backend"), Some("hidden"), "at home it is used");
    }
}

/// A server for local clients only is still a peer of other machines.
#[tokio::test]
async fn a_server_on_loopback_listens_to_peers_everywhere() {
    let node = crate::support::Plan::new("[mesh]\nenabled = true\nlisten = ''\n").start().await;
    assert!(node.address.ip().is_loopback());
    let listen = node.mesh_address();
    assert_eq!((listen.ip().is_unspecified(), listen.port()), (true, node.address.port() + 1));
}

/// The owner checks again by its own rules: the stricter of the two wins, and its reasons come back to the client.
#[tokio::test]
async fn the_owners_policy_holds_for_requests_of_others() {
    let open = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let (near, far) = pair("", &(open.entry("a", "zone = 'open'") + SECRET), "secret-m").await;
    for body in [chat("secret-m"), stream("secret-m")] {
        let reply = near.client().completions(body).whole().await;
        let error = reply.error(503, "service_unavailable", "service_unavailable");
        let context = &error["context"];
        assert_eq!(context, &reply.json()["context"]);
        assert_eq!(context["privacy_zone_required"], "restricted");
        let reason = &context["rejection_reasons"][0];
        assert_eq!((&reason["agent_id"], &reason["peer"]), (&"a".into(), &"far".into()), "{context}");
        assert_eq!(reason["reconciler"], "privacy");
        assert!(reason["suggested_action"].as_str().is_some_and(|action| !action.is_empty()), "{reason}");
        assert_eq!(reply.header("x-nexus-rejection-reasons"), Some("1 agents rejected by privacy"));
        assert!(reply.header("x-nexus-rejection-details").is_some_and(|details| details.contains("far")));
    }
    far.chat("secret-m").await.error(503, "service_unavailable", "service_unavailable");
    assert_eq!(open.calls(), 0);
}

/// A tier that only the owner demands: refused with reasons, or told to whoever takes less.
#[tokio::test]
async fn the_owners_tier_holds_and_its_downgrade_is_told() {
    let low = FakeBackend::script(&["m1"], |request| match request.json()["stream"] == true {
        true => Answer::stream(["data: {}\n\n", "data: [DONE]\n\n"]),
        false => Answer::says("hi"),
    })
    .await;
    let tiered = "[[routing.policies]]\nmodel_pattern = 'm*'\nmin_tier = 3\n";
    let (near, _far) = pair("", &(low.entry("low", "tier = 2") + tiered), "m1").await;
    let reply = near.chat("m1").await;
    let context = reply.error(503, "service_unavailable", "service_unavailable")["context"].clone();
    assert_eq!(context["required_tier"], 3, "{context}");
    assert_eq!(low.calls(), 0);
    for body in [chat("m1"), stream("m1")] {
        let reply = near.client().completions(body).header("x-nexus-flexible", "true").whole().await;
        let said = (reply.status, reply.header("x-nexus-tier-downgraded"), reply.header("x-nexus-peer"));
        assert_eq!(said, (200, Some("3->2"), Some("far")), "{}", reply.text());
    }
}

/// The owner has a policy for a name that the entry passes on its way to another one.
#[tokio::test]
async fn the_owners_policy_holds_for_the_names_that_the_entry_followed() {
    let open = FakeBackend::always(&["plain"], Answer::says("leaked")).await;
    let aliases = "[routing.aliases]\nfast = 'secret-way'\nsecret-way = 'plain'\n";
    let (near, _far) = pair(aliases, &(open.entry("a", "zone = 'open'") + SECRET), "plain").await;
    near.chat("fast").await.error(503, "service_unavailable", "service_unavailable");
    assert_eq!(open.calls(), 0);
    assert_eq!(near.chat("plain").await.status, 200);
}

/// The owner keeps the prompt from one of its backends: the client is told why another one served.
#[tokio::test]
async fn the_reason_of_a_forwarded_request_names_privacy() {
    let inside = FakeBackend::always(&["secret-m"], Answer::says("hi")).await;
    let open = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let both = inside.entry("inside", "") + &open.entry("outside", "zone = 'open'\npriority = 1") + SECRET;
    let order = "[routing]\nstrategy = 'priority_only'\n";
    let (near, _far) = pair(order, &(order.to_owned() + &both), "secret-m").await;
    let reply = near.chat("secret-m").await;
    let said = (reply.status, reply.header("x-nexus-backend"), reply.header("x-nexus-route-reason"));
    assert_eq!(said, (200, Some("inside"), Some("privacy-requirement")));
    assert_eq!((reply.header("x-nexus-rejection-reasons"), open.calls()), (None, 0));
}

/// Over a hop, too: the policy of the name that was asked for goes along.
#[tokio::test]
async fn the_entrys_policy_holds_at_the_owner() {
    let inside = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let open = FakeBackend::always(&["m1"], Answer::says("leaked")).await;
    let near_more = SECRET.to_owned() + "[routing.aliases]\nsecret-alias = 'm1'\n";
    let far_more = inside.entry("inside", "") + &open.entry("outside", "zone = 'open'\npriority = 1");
    let (near, _far) = pair(&near_more, &far_more, "m1").await;
    until_json(&near, "/v1/models", "both are known", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    for _ in 0..3 {
        let reply = near.client().completions(chat("secret-alias")).whole().await;
        assert_eq!(reply.status, 502, "{}", reply.text());
    }
    assert_eq!(open.calls(), 0);
    assert_eq!(near.chat("m1").await.status, 200, "under its own name it may go there");
}

/// A client's key of this mesh is nobody else's business.
#[tokio::test]
async fn a_clients_mesh_key_stays_at_the_entry() {
    let backend = FakeBackend::always(&["m1", "other"], Answer::says("hi")).await;
    let keys = "[[auth.client_keys]]\nname = 'team'\nkey_env = 'TEAM'\nmodels = ['m*']\n";
    let far = peer("far", KEY, &[], &backend.entry("a", "")).start().await;
    let near = peer("near", KEY, &[&far], keys).variable("TEAM", "team-key-0123456789").start().await;
    let ask = |model: &str| {
        near.client().completions(chat(model)).header("authorization", "Bearer team-key-0123456789").whole()
    };
    until_json(&near, "/v1/models", "they are known", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    assert_eq!(ask("m1").await.status, 200);
    assert_eq!(backend.requests()[0].header("authorization"), None);
    assert_eq!(ask("other").await.status, 403);
    assert_eq!(near.chat("m1").await.status, 401);
}
