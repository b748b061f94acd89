//! The pages for people: everything is there without a script, nothing that others have chosen does anything, and nothing is
//! changed by whoever may not.

use serde_json::json;

use crate::mesh::{KEY, offers, pair, peer};
use crate::support::{Answer, FakeBackend, Plan, TestNode, Whole, model};

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

pub(crate) async fn page(node: &TestNode, path: &str) -> Whole {
    node.client().get(path).header("accept", HTML).whole().await
}

/// What a hidden field of a page holds.
fn value(page: &Whole, name: &str) -> String {
    let text = page.text();
    let field = text.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("such a field");
    field.split('"').next().unwrap_or_default().replace("&#34;", "\"")
}

/// The secret of the forms of a page, where it has one.
pub(crate) fn secret(page: &Whole) -> String {
    let text = page.text();
    let at = text.find("name=\"form\" value=\"").expect("a form") + "name=\"form\" value=\"".len();
    text[at..].chars().take_while(|letter| *letter != '"').collect()
}

pub(crate) async fn send(node: &TestNode, fields: &[(&str, &str)]) -> Whole {
    posting(node, fields).whole().await
}

fn posting(node: &TestNode, fields: &[(&str, &str)]) -> crate::support::Call {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    node.client().post("/manage", form).header("content-type", "application/x-www-form-urlencoded")
}

/// What the page says that a redirection leads to.
pub(crate) async fn after(node: &TestNode, reply: &Whole) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text());
    page(node, reply.header("location").expect("a place to go")).await.text().to_owned()
}

#[tokio::test]
async fn the_page_shows_the_whole_mesh_without_a_script() {
    let (here, there) = (
        FakeBackend::always(&["m-here"], Answer::says("hi")).await,
        FakeBackend::always(&["m-there"], Answer::says("hi")).await,
    );
    let (near, _far) = pair(&here.entry("gpu-here", ""), &there.entry("gpu-there", ""), "m-there").await;
    assert_eq!(near.chat("m-here").await.status, 200);
    let reply = page(&near, "/").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = reply.text();
    assert!(text.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{text}");
    for value in
        ["gpu-here", "gpu-there", "m-here", "m-there", "near", "far", "alive", "healthy", "All is well. 2 models"]
    {
        assert!(text.contains(value), "{value}: {text}");
    }
    assert!(text.contains("<noscript><meta http-equiv=\"refresh\""), "{text}");
    let part = page(&near, "/?part=main").await;
    assert!(part.text().contains("gpu-there") && !part.text().contains("<!DOCTYPE"), "{}", part.text());
}

#[tokio::test]
async fn the_page_may_do_nothing_but_show_itself() {
    let node = TestNode::start("").await;
    let reply = page(&node, "/").await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    assert_eq!(reply.header("content-security-policy"), Some(policy));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let text = reply.text();
    for never in ["<style", "style=", "onclick", "javascript:", "http://", "https://", "//cdn"] {
        assert!(!text.contains(never), "{never}: {text}");
    }
    let mut size = text.len();
    for (path, kind) in
        [("/assets/dashboard.js", "text/javascript; charset=utf-8"), ("/assets/styles.css", "text/css; charset=utf-8")]
    {
        let asset = node.get(path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(kind)), "{path}");
        let tag = asset.header("etag").expect("a tag");
        let again = node.client().get(path).header("if-none-match", tag).whole().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        size += asset.body.len();
    }
    assert!(size < 60_000, "{size} bytes in all");
    node.get("/assets/jquery.js").await.error(404, "not_found", "invalid_request_error");
}

#[tokio::test]
async fn clients_of_ollama_are_greeted_as_ever() {
    let node = TestNode::start("").await;
    let call = node.client().get("/").header("accept", "application/json").whole().await;
    assert_eq!((call.status, call.text()), (200, "Nexus is running\n"));
    let looked = node.client().call(http::Method::HEAD, "/", "").whole().await;
    assert_eq!((looked.status, looked.body.len()), (200, 0));
}

/// W30: a model's name was put into the page as it came.
#[tokio::test]
async fn names_do_nothing_but_stand_there() {
    let hostile = "</script><script>alert(1)</script>";
    let (quotes, long, steered) = ("a\"'><img src=x onerror=alert(2)>", "x".repeat(10_000), "abc\u{202e}gpj.exe");
    let models = [hostile, quotes, &long, steered].map(model);
    let backend = FakeBackend::listing(models.to_vec(), |_| Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    for path in ["/", "/?part=main", "/?all=models", "/manage"] {
        let reply = page(&node, path).await;
        let text = reply.text();
        assert_eq!(text.matches("<script").count(), usize::from(!path.contains("part") && path != "/manage"), "{path}");
        assert!(!text.contains("<img") && !text.contains('\u{202e}'), "{path}: {text}");
        assert!(!text.contains(&"x".repeat(400)), "{path}: names are shortened");
        assert!(text.len() < 60_000, "{path}: {} bytes", text.len());
    }
    let text = page(&node, "/").await.text().to_owned();
    assert!(text.contains("alert(1)") && text.contains("abc·gpj.exe"), "they are shown all the same: {text}");
    let path = "/?all=%3Cscript%3E&part=%22%3E%3Cscript%3E&told=%3Cscript%3E";
    assert!(!page(&node, path).await.text().contains("%3C") && !page(&node, path).await.text().contains("\"><script>"));
}

#[tokio::test]
async fn long_lists_are_cut_and_all_of_one_may_be_asked_for() {
    let names: Vec<String> = (0..1_000).map(|at| format!("model-{at:04}")).collect();
    let backend = FakeBackend::always(&names.iter().map(String::as_str).collect::<Vec<_>>(), Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    let glance = page(&node, "/").await;
    assert!(glance.text().contains("and 960 more") && !glance.text().contains("model-0999"), "{}", glance.text());
    assert!(page(&node, "/?all=models").await.text().contains("model-0999"));
}

#[tokio::test]
async fn a_peer_that_falls_silent_greys_with_the_time_it_was_last_heard() {
    let backend = FakeBackend::always(&["m"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &backend.entry("gpu", "")).start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    offers(&near, "m").await;
    drop(far);
    crate::support::until_json(&near, "/nexus/v1/mesh", "far is dead", |seen| seen["peers"][0]["state"] == "dead")
        .await;
    let text = page(&near, "/").await.text().to_owned();
    assert!(text.contains("<g class=\"node away\">") && text.contains("last heard"), "{text}");
    assert!(text.contains("No backend answers") && text.contains("out of reach"), "{text}");
}

#[tokio::test]
async fn a_backend_comes_and_goes_by_forms() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start("").await;
    let form = secret(&page(&node, "/manage").await);
    let url = format!("http://{}", backend.address);
    let fields = [("form", form.as_str()), ("do", "backend-add"), ("url", &url), ("name", "new"), ("type", "generic")];
    let said = after(&node, &send(&node, &fields).await).await;
    assert!(said.contains("Done.") && said.contains("is a backend now"), "{said}");
    offers(&node, "m1").await;
    let said = after(&node, &send(&node, &fields).await).await;
    assert!(said.contains("Refused.") && said.contains("exists already"), "{said}");

    let fields = [("form", form.as_str()), ("do", "backend-remove"), ("backend", "new")];
    let asked = send(&node, &fields).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text().contains("Nobody else has m1") && asked.text().contains("name=\"sure\""), "{}", asked.text());
    offers(&node, "m1").await;
    let said = after(&node, &send(&node, &[&fields[..], &[("sure", "yes")]].concat()).await).await;
    assert!(said.contains("Backend new is gone"), "{said}");
    assert_eq!(node.get("/nexus/v1/backends").await.json()["backends"], json!([]));
    let told = page(&node, "/manage").await;
    assert!(!told.text().contains("is gone"), "what was done is told once");
}

/// A form for another peer's backend must not take one of this peer that is called alike.
#[tokio::test]
async fn a_form_for_another_peer_changes_that_one() {
    let (here, there) = (
        FakeBackend::always(&["m1"], Answer::says("hi")).await,
        FakeBackend::always(&["m2"], Answer::says("hi")).await,
    );
    let (near, far) = pair(&here.entry("gpu", ""), &there.entry("gpu", ""), "m2").await;
    let form = secret(&page(&near, "/manage").await);
    let drain = [("form", form.as_str()), ("do", "peer-drain"), ("peer", "far")];
    assert!(after(&near, &send(&near, &drain).await).await.contains("Peer far"));
    assert_eq!(far.get("/nexus/v1/drain").await.json()["draining"], true);
    let again = [("form", form.as_str()), ("do", "peer-undrain"), ("peer", "far")];
    assert_eq!(send(&near, &again).await.status, 303);
    assert_eq!(far.get("/nexus/v1/drain").await.json()["draining"], false);

    let fields = [("form", form.as_str()), ("do", "backend-remove"), ("backend", "gpu"), ("peer", "far")];
    assert!(send(&near, &fields).await.text().contains("m2"), "what goes with it is asked first");
    assert_eq!(send(&near, &[&fields[..], &[("sure", "yes")]].concat()).await.status, 303);
    let names = async |node: &TestNode| node.get("/nexus/v1/backends").await.json()["backends"].clone();
    let own = |listed: &serde_json::Value| {
        listed.as_array().is_some_and(|all| all.iter().any(|one| one["peer"] == "self" && one["name"] == "gpu"))
    };
    assert!(own(&names(&near).await) && !own(&names(&far).await));
}

#[tokio::test]
async fn aliases_and_policies_are_set_by_forms_and_the_second_manager_is_told() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = Plan::new(&backend.entry("a", "")).in_file().start().await;
    let shown = page(&node, "/manage").await;
    let (form, seen) = (secret(&shown), value(&shown, "seen"));
    let alias = |target: &'static str| {
        [("form", form.as_str()), ("do", "alias-set"), ("seen", seen.as_str()), ("name", "gpt-4"), ("target", target)]
    };
    assert_eq!(send(&node, &alias("m1")).await.status, 303);
    assert_eq!(node.chat("gpt-4").await.status, 200);
    let said = after(&node, &send(&node, &alias("m2")).await).await;
    assert!(said.contains("routing.aliases.gpt-4"), "{said}");
    assert_eq!(node.chat("gpt-4").await.status, 200, "the first one's alias stays");

    let seen = value(&page(&node, "/manage").await, "seen");
    let policy =
        [("form", form.as_str()), ("do", "policy-set"), ("seen", seen.as_str()), ("pattern", "m*"), ("min_tier", "5")];
    let said = after(&node, &send(&node, &policy).await).await;
    assert_eq!(node.chat("m1").await.status, 503, "{said}");
    assert!(page(&node, "/manage").await.text().contains("m*"));
    let reload = [("form", form.as_str()), ("do", "config-reload")];
    assert!(after(&node, &send(&node, &reload).await).await.contains("was read again"));
}

const SECRET: &str = "[[routing.policies]]\nmodel_pattern = 'secret-*'\nprivacy = 'restricted'\nmin_tier = 3\n\
                      fallback_allowed = false\n";

/// The form for a policy once began with nothing, and took away what was not filled in.
#[tokio::test]
async fn a_policy_is_edited_as_it_is_and_weakened_only_after_a_question() {
    let node = Plan::new(SECRET).in_file().start().await;
    let file = || std::fs::read_to_string(node.file()).expect("read");
    let shown = page(&node, "/manage?policy=secret-%2A").await;
    let text = shown.text();
    for begun in
        ["value=\"secret-*\" readonly", "value=\"restricted\" selected", "value=\"3\"", "value=\"no\" selected"]
    {
        assert!(text.contains(begun), "{begun}: {text}");
    }
    // Two managers look at the same time.
    let (form, seen) = (secret(&shown), value(&shown, "seen"));
    let set = [("form", form.as_str()), ("do", "policy-set"), ("seen", seen.as_str()), ("pattern", "secret-*")];
    let blank = [("privacy", ""), ("min_tier", "4"), ("max_cost_per_request", ""), ("fallback", "")];
    let said = after(&node, &send(&node, &[&set[..], &blank].concat()).await).await;
    assert!(said.contains("holds now"), "{said}");
    assert!(file().contains("privacy = \"restricted\"") && file().contains("fallback_allowed = false"), "{}", file());
    let open = [("whole", "yes"), ("privacy", "unrestricted"), ("min_tier", ""), ("fallback", "no")];
    let late = send(&node, &[&set[..], &open].concat()).await;
    let said = after(&node, &late).await;
    assert!(said.contains("Refused.") && said.contains("routing.policies.secret-*"), "{said}");

    let seen = value(&page(&node, "/manage").await, "seen");
    let set = [set[0], set[1], ("seen", seen.as_str()), set[3]];
    let before = file();
    let asked = send(&node, &[&set[..], &open].concat()).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    for says in ["restricted -&#62; unrestricted", "tier 4 -&#62; none", "name=\"sure\""] {
        assert!(asked.text().contains(says), "{says}: {}", asked.text());
    }
    assert_eq!(file(), before);
    let sure = [("sure", "yes")];
    let said = after(&node, &send(&node, &[&set[..], &open, &sure].concat()).await).await;
    assert!(said.contains("holds now") && !file().contains("min_tier"), "{said}");
    // What was asked about is another thing by now.
    let said = after(&node, &send(&node, &[&set[..], &blank, &sure].concat()).await).await;
    assert!(said.contains("changed by somebody else"), "{said}");
}

#[tokio::test]
async fn files_of_other_peers_are_shown_and_changed() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &(backend.entry("gpu", "") + SECRET)).in_file().start().await;
    let near = peer("near", KEY, &[&far], "").in_file().start().await;
    offers(&near, "m1").await;
    let shown = page(&near, "/manage").await;
    let text = shown.text();
    assert!(text.contains("secret-*") && text.contains("&#38;peer=far#policies"), "{text}");
    let form = secret(&shown);
    let (here, there) = (value(&shown, "seen"), value(&shown, "seen:far"));
    let with = [("form", form.as_str()), ("seen", here.as_str()), ("seen:far", there.as_str())];
    let alias = [("do", "alias-set"), ("name", "gpt-4"), ("target", "m1")];
    let said = after(&near, &send(&near, &[&with[..], &alias, &[("peer", "far")]].concat()).await).await;
    assert!(said.contains("At far: gpt-4 stands for m1 now."), "{said}");
    assert_eq!((far.chat("gpt-4").await.status, near.chat("gpt-4").await.status), (200, 404));

    // At both: at the other one somebody has been since.
    let said = after(&near, &send(&near, &[&with[..], &alias, &[("everywhere", "yes")]].concat()).await).await;
    assert!(said.contains("At this peer: gpt-4") && said.contains("At far not:"), "{said}");
    assert_eq!(near.chat("gpt-4").await.status, 200);
    let shown = page(&near, "/manage").await;
    let (here, there) = (value(&shown, "seen"), value(&shown, "seen:far"));
    let with = [("form", form.as_str()), ("seen", here.as_str()), ("seen:far", there.as_str()), ("everywhere", "yes")];
    let weaker = [("do", "policy-set"), ("pattern", "secret-*"), ("min_tier", "2")];
    let asked = send(&near, &[&with[..], &weaker].concat()).await;
    assert!(asked.text().contains("At far: secret-*: tier 3"), "{}", asked.text());
    // What one of several does not foresee, it may do all the same a moment later.
    let stale = [("form", form.as_str()), ("seen", here.as_str()), ("seen:far", "stale"), ("everywhere", "yes")];
    let asked = send(&near, &[&stale[..], &weaker].concat()).await;
    assert!(asked.text().contains("At far: what this would do is not known: "), "{}", asked.text());
    let chain = [("do", "fallback-set"), ("name", "big"), ("models", "gone, m1")];
    let said = after(&near, &send(&near, &[&with[..], &chain].concat()).await).await;
    assert!(said.contains("At this peer, far: gone, m1 may answer instead of big"), "{said}");
    assert_eq!((far.chat("big").await.status, near.chat("big").await.status), (200, 200));
    let strange = send(&near, &[&with[..2], &alias, &[("peer", "attic")]].concat()).await;
    assert!(after(&near, &strange).await.contains("was not shown"));
    far.edit(|text| text + "\n[queue]\nmax_size = 7\n");
    let said =
        after(&near, &send(&near, &[&with[..3], &[("do", "config-reload"), ("peer", "far")]].concat()).await).await;
    assert!(said.contains("At far: The configuration file was read again."), "{said}");
}

#[tokio::test]
async fn a_budget_is_set_by_a_form_and_raised_after_a_question() {
    let node = Plan::new("[budget]\nmonthly_limit_usd = 5.0\n").in_file().start().await;
    let limit = async || node.get("/nexus/v1/budget").await.json()["limit_usd"].as_f64();
    let shown = page(&node, "/manage").await;
    let (form, seen) = (secret(&shown), value(&shown, "seen"));
    let set = |limit: &'static str| [("do", "budget-set"), ("monthly_limit_usd", limit), ("hard_limit_action", "")];
    let with = [("form", form.as_str()), ("seen", seen.as_str())];
    let asked = send(&node, &[&with[..], &set("9")].concat()).await;
    assert!(asked.status == 200 && asked.text().contains("monthly limit 5 -&#62; 9 USD"), "{}", asked.text());
    let said = after(&node, &send(&node, &[&with[..], &set("3")].concat()).await).await;
    assert!(said.contains("The budget is set."), "{said}");
    assert_eq!(limit().await, Some(3.0));
    let seen = value(&page(&node, "/manage").await, "seen");
    let sure = [("form", form.as_str()), ("seen", seen.as_str()), ("sure", "yes")];
    assert_eq!(send(&node, &[&sure[..], &set("9")].concat()).await.status, 303);
    assert_eq!(limit().await, Some(9.0));
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_after_a_question() {
    let node = TestNode::start("").await;
    let form = secret(&page(&node, "/manage").await);
    let made = send(&node, &[("form", &form), ("do", "key-add"), ("name", "lap\"top")]).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let text = made.text();
    let key: String = text.split("class=\"key\">").nth(1).expect("a key").chars().take_while(|c| *c != '<').collect();
    let known = node.client().completions(crate::support::chat("m")).header("authorization", &format!("Bearer {key}"));
    assert_eq!(known.whole().await.status, 404, "it is a key: the model is not there");
    let listed = page(&node, "/manage").await;
    assert!(listed.text().contains("lap&#34;top") && !listed.text().contains(&key), "{}", listed.text());
    let revoke = [("form", form.as_str()), ("do", "key-revoke"), ("name", "lap\"top")];
    assert!(send(&node, &revoke).await.text().contains("cannot be made good again"));
    let said = after(&node, &send(&node, &[&revoke[..], &[("sure", "yes")]].concat()).await).await;
    assert!(said.contains("is revoked"), "{said}");
}

#[tokio::test]
async fn nothing_is_changed_by_whoever_may_not() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    let form = secret(&page(&node, "/manage").await);
    let fields = [("form", form.as_str()), ("do", "backend-remove"), ("backend", "gpu"), ("sure", "yes")];
    let refused = |name: &'static str, value: &str| posting(&node, &fields).header(name, value).whole();
    for (name, value, says) in [
        ("origin", "http://evil.example", "not open to other web pages"),
        ("origin", "null", "not open to other web pages"),
        ("sec-fetch-site", "cross-site", "not open to other web pages"),
        ("host", "evil.example", "NEXUS_ADMIN_TOKEN"),
    ] {
        let reply = refused(name, value).await;
        assert!(reply.status == 403 && reply.text().contains(says), "{name}: {}", reply.text());
    }
    let guessed = [("form", "guess"), fields[1], fields[2], fields[3]];
    assert_eq!(send(&node, &guessed).await.status, 403);
    assert_eq!(send(&node, &fields[1..]).await.status, 403, "a form without its secret");
    let seen = page(&node, "/").await;
    assert!(seen.text().contains("Remove…"), "the button is there");
    let strange = node.client().get("/").header("host", "evil.example").header("accept", HTML).whole().await;
    assert!(!strange.text().contains(&form), "others are not given the secret");
    let large = send(&node, &[("do", &"x".repeat(40_000))]).await;
    assert_eq!(large.status, 413);
    assert_eq!(node.get("/nexus/v1/backends").await.json()["backends"][0]["name"], "gpu", "it is still there");
    assert_eq!(refused("origin", &format!("http://{}", node.address)).await.status, 303, "its own page may");
}

#[tokio::test]
async fn who_shows_the_admin_token_is_signed_in_until_they_leave() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let text = format!("{}\n[auth]\nadmin_token_env = 'ADMIN'\n", backend.entry("gpu", ""));
    let node = Plan::new(&text).variable("ADMIN", "a-long-admin-token").start().await;
    let closed = page(&node, "/manage").await;
    assert!(closed.text().contains("sign in with it") && closed.text().contains("name=\"token\""), "{}", closed.text());
    let fields = [("do", "backend-remove"), ("backend", "gpu"), ("sure", "yes")];
    assert_eq!(send(&node, &fields).await.status, 401);
    assert_eq!(send(&node, &[("do", "sign-in"), ("token", "guess")]).await.status, 401);
    let signed = send(&node, &[("do", "sign-in"), ("token", "a-long-admin-token")]).await;
    let cookie = signed.header("set-cookie").expect("a session").to_owned();
    assert!(signed.status == 303 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    let open = node.client().get("/manage").header("accept", HTML).header("cookie", pair).whole().await;
    assert!(open.text().contains("Sign out") && !open.text().contains("name=\"token\""), "{}", open.text());
    let form = secret(&open);
    let with = [&fields[..], &[("form", form.as_str())]].concat();
    assert_eq!(send(&node, &with).await.status, 401, "the secret without the session");
    assert_eq!(posting(&node, &with).header("cookie", pair).whole().await.status, 303);
    assert_eq!(node.get("/nexus/v1/backends").await.json()["backends"], json!([]));
    let out = posting(&node, &[("do", "sign-out")]).header("cookie", pair).whole().await;
    assert!(out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(posting(&node, &with).header("cookie", pair).whole().await.status, 401);
}
