//! The ring: what is kept, what is believed, and that everybody comes to know the same.

use std::io;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::env::{Disk, RealDisk};

fn maker() -> Maker {
    Maker { name: "attic".to_owned(), holder: "peer-1".to_owned(), now: 1_700_000_000 }
}

fn wish(name: &str) -> Wish {
    Wish { name: name.to_owned(), ..Wish::default() }
}

fn ring() -> (tempfile::TempDir, Ring) {
    let directory = tempfile::tempdir().expect("a directory");
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("an empty ring");
    (directory, ring)
}

#[test]
fn a_key_is_good_until_it_is_revoked_and_both_outlive_a_restart() {
    let (directory, ring) = ring();
    assert!(ring.is_empty() && ring.hash().is_none());
    let wish = Wish {
        models: Some(vec!["llama*".to_owned()]),
        monthly_limit_usd: Some(5.0),
        requests_per_minute: Some(60),
        ..wish("laptop")
    };
    let (record, key) = ring.add(&wish, &maker()).expect("a key");
    assert!(key.starts_with("nxk_") && key.len() == 56, "its form");
    let (other, _) = ring.add(&self::wish("phone"), &maker()).expect("another key");
    drop(ring);
    let text = std::fs::read_to_string(directory.path().join("keys.json")).expect("the file");
    assert!(!text.contains(&key) && text.contains(&record.sha256), "only its hash is kept");
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("a second start");
    assert_eq!(ring.list(), [record.clone(), other]);
    let caller = ring.caller(&key_digest(&key)).expect("it is good");
    assert!(caller.may_use("llama3") && !caller.may_use("gpt-4"));
    let quota = caller.quota.as_ref().expect("limits");
    assert_eq!((quota.id.as_str(), quota.holder.as_deref()), (record.id.as_str(), Some("peer-1")));
    assert_eq!((quota.limits.monthly_limit_usd, quota.limits.requests_per_minute), (Some(5.0), Some(60)));
    assert_eq!(ring.revoke("laptop", 7).expect("known")[0].revoked_at, Some(7));
    assert_eq!(ring.revoke(&record.id, 9).expect("known")[0].revoked_at, Some(7), "the first time counts");
    assert!(ring.caller(&key_digest(&key)).is_none());
    drop(ring);
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("a third start");
    assert!(ring.caller(&key_digest(&key)).is_none());
    ring.merge(vec![KeyRecord { revoked_at: None, ..record }]);
    assert!(ring.caller(&key_digest(&key)).is_none(), "whoever has not heard of its end does not bring it back");
}

#[test]
fn a_mesh_is_awaited_until_it_was_met_and_again_by_who_comes_to_another() {
    let (directory, ring) = ring();
    ring.await_mesh();
    assert!(ring.awaits_mesh() && ring.hash().is_none());
    ring.settle();
    assert!(!ring.awaits_mesh() && ring.hash().is_some() && ring.is_empty());
    drop(ring);
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("a second start");
    ring.await_mesh();
    assert!(!ring.awaits_mesh(), "it was met before");
    ring.await_other_mesh();
    assert!(ring.awaits_mesh() && ring.hash().is_none());
    drop(ring);
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("a third start");
    ring.await_mesh();
    assert!(ring.awaits_mesh(), "the other was not met");
    ring.add(&wish("laptop"), &maker()).expect("a key");
    assert!(!ring.awaits_mesh(), "who knows a key asks everybody for one");
    ring.await_other_mesh();
    assert!(!ring.awaits_mesh());
}

#[test]
fn a_key_without_limits_has_no_quota_and_its_name_is_free_once_it_is_revoked() {
    let (_directory, ring) = ring();
    let (_, key) = ring.add(&wish("a"), &maker()).expect("a key");
    assert!(ring.caller(&key_digest(&key)).expect("good").quota.is_none());
    assert_eq!(ring.add(&wish("a"), &maker()).err(), Some(Error::Taken("a".to_owned())));
    ring.revoke("a", 1).expect("known");
    let (_, second) = ring.add(&wish("a"), &maker()).expect("free again");
    assert_ne!(key, second);
    assert!(ring.caller(&key_digest(&second)).is_some() && ring.caller(&key_digest(&key)).is_none());
}

#[test]
fn every_refusal_says_what_to_change() {
    let (_directory, ring) = ring();
    ring.add(&wish("laptop"), &maker()).expect("a key");
    for (wrong, says) in [
        (wish(""), "Invalid name"),
        (wish("a\nb"), "Invalid name"),
        (wish(&"x".repeat(129)), "128"),
        (Wish { models: Some(vec!["[a".to_owned()]), ..wish("b") }, "`[a`"),
        (Wish { models: Some(Vec::new()), ..wish("b") }, "leave them out"),
        (Wish { models: Some(vec!["a".to_owned(); 65]), ..wish("b") }, "64"),
        (Wish { monthly_limit_usd: Some(0.0), ..wish("b") }, "monthly_limit_usd"),
        (Wish { monthly_limit_usd: Some(f64::INFINITY), ..wish("b") }, "monthly_limit_usd"),
        (Wish { monthly_limit_usd: Some(f64::NAN), ..wish("b") }, "monthly_limit_usd"),
        (Wish { requests_per_minute: Some(0), ..wish("b") }, "requests_per_minute"),
        (Wish { tokens_per_minute: Some(-1), ..wish("b") }, "tokens_per_minute"),
    ] {
        let error = ring.add(&wrong, &maker()).expect_err("refused").to_string();
        assert!(error.contains(says), "{wrong:?}: {error}");
    }
    assert_eq!(ring.list().len(), 1);
    assert_eq!(
        ring.revoke("lptop", 1).expect_err("unknown").to_string(),
        "there is no key `lptop`: did you mean `laptop`?"
    );
    assert_eq!(ring.revoke("zebra", 1).expect_err("unknown").to_string(), "there is no key `zebra`");
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let (directory, ring) = ring();
    ring.add(&wish("a"), &maker()).expect("a key");
    drop(ring);
    let path = directory.path().join("keys.json");
    let good = std::fs::read_to_string(&path).expect("the file");
    let halved = good[..good.len() / 2].to_owned();
    for content in
        [String::new(), halved, good.replace("\"v\":1", "\"v\":9"), good.replace("\"sha256\":\"", "\"sha256\":\"00")]
    {
        std::fs::write(&path, &content).expect("write");
        let error = Ring::open(directory.path(), false, &Env::real()).err().expect("damaged").to_string();
        assert!(error.contains("keys.json") && error.contains("backup") && !error.contains('\n'), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), content);
    }
}

#[test]
fn two_nodes_without_a_mesh_do_not_write_one_file() {
    let (directory, first) = ring();
    let second = Ring::open(directory.path(), false, &Env::real()).expect("reading takes nothing");
    first.add(&wish("a"), &maker()).expect("a key");
    let error = second.add(&wish("b"), &maker()).expect_err("it is the other's").to_string();
    assert!(error.contains("another nexus"), "{error}");
    drop(first);
    second.add(&wish("b"), &maker()).expect("free again");
    assert_eq!(second.list().len(), 2, "what the first has written is not lost");
}

/// A disk that may be full.
struct Full(AtomicBool);

impl Disk for Full {
    fn append(&self, _: &Path) -> io::Result<Box<dyn crate::env::Append>> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    fn prepare(&self, directory: &Path) -> io::Result<()> {
        RealDisk.prepare(directory)
    }
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        RealDisk.read(path)
    }
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other("no space")) } else { RealDisk.replace(path, content) }
    }
    fn claim(&self, directory: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        RealDisk.claim(directory)
    }
}

#[test]
fn what_cannot_be_kept_is_not_answered_and_what_was_heard_holds_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(Full(AtomicBool::new(false)));
    let env = Env { disk: disk.clone(), ..Env::real() };
    let ring = Ring::open(directory.path(), false, &env).expect("an empty ring");
    let (record, key) = ring.add(&wish("a"), &maker()).expect("a key");
    disk.0.store(true, Ordering::Relaxed);
    assert!(matches!(ring.add(&wish("b"), &maker()), Err(Error::Disk(why)) if why.contains("no space")));
    assert!(matches!(ring.revoke("a", 1), Err(Error::Disk(_))));
    assert!(ring.list().len() == 1 && ring.caller(&key_digest(&key)).is_some(), "nothing has changed");
    assert!(ring.merge(vec![KeyRecord { revoked_at: Some(3), ..record }]));
    assert!(ring.caller(&key_digest(&key)).is_none() && !ring.keep());
    disk.0.store(false, Ordering::Relaxed);
    assert!(ring.keep());
    drop(ring);
    let ring = Ring::open(directory.path(), false, &Env::real()).expect("a second start");
    assert!(ring.caller(&key_digest(&key)).is_none() && !ring.is_empty());
}

fn foreign(number: u64) -> KeyRecord {
    let digest = key_digest(&format!("nxk_{number}"));
    KeyRecord {
        id: key_id('k', &digest),
        sha256: HEXLOWER.encode(&digest),
        name: format!("key {number}"),
        models: Some(vec!["m".repeat(300)]),
        made_at: number,
        ..KeyRecord::default()
    }
}

#[test]
fn what_makes_no_sense_is_counted_and_nothing_grows_without_end() {
    let (_directory, ring) = ring();
    let glob = KeyRecord { models: Some(vec!["[".to_owned()]), ..foreign(1) };
    assert!(!ring.merge(vec![KeyRecord::default(), glob]));
    assert_eq!((ring.dropped(), ring.is_empty()), (2, true));
    let many: Vec<KeyRecord> = (0..1_005).rev().map(foreign).collect();
    assert!(ring.merge(many));
    assert_eq!((ring.list().len(), ring.dropped()), (MOST_KEYS, 7));
    assert!(ring.list().iter().all(|record| record.made_at < 1_000), "the oldest stay");
    assert_eq!(ring.add(&wish("one more"), &maker()).err(), Some(Error::Full));
}

#[test]
fn pages_hold_every_record_once_and_fit_into_a_frame() {
    let (_directory, ring) = ring();
    ring.merge((0..400).map(foreign).collect());
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let after = all.last().map(|record: &KeyRecord| record.id.clone()).unwrap_or_default();
        let (page, more) = ring.page(&after);
        assert!(serde_json::to_string(&page).expect("plain data").len() < 48 * 1024);
        all.extend(page);
        pages += 1;
        if !more {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    let (_other_directory, other) = self::ring();
    other.merge(all);
    assert_eq!((other.hash(), other.list().len()), (ring.hash(), 400));
}

fn account() -> impl Strategy<Value = KeyRecord> {
    (0u64..6, proptest::option::of(0u64..5)).prop_map(|(number, revoked_at)| KeyRecord {
        revoked_at,
        models: None,
        ..foreign(number)
    })
}

type Records = BTreeMap<String, Known>;

fn of(list: &[KeyRecord]) -> Records {
    merged(&BTreeMap::new(), list.to_vec()).0
}

fn join(one: &Records, other: &Records) -> Records {
    merged(one, other.values().map(|known| known.record.clone()).collect()).0
}

fn hash(known: &Records) -> Option<Arc<str>> {
    Shown::of(known.clone(), false).hash
}

proptest! {
    #[test]
    fn rings_merge_in_any_order(
        a in prop::collection::vec(account(), 0..8),
        b in prop::collection::vec(account(), 0..8),
        c in prop::collection::vec(account(), 0..8),
    ) {
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(hash(&join(&a, &b)), hash(&join(&b, &a)));
        prop_assert_eq!(hash(&join(&join(&a, &b), &c)), hash(&join(&a, &join(&b, &c))));
        prop_assert_eq!(hash(&join(&a, &a)), hash(&a));
        for (id, one) in join(&a, &b) {
            let ended = [&a, &b].into_iter().any(|ring| ring.get(&id).is_some_and(|one| !one.record.is_active()));
            prop_assert_eq!(one.record.is_active(), !ended, "revoked wins");
        }
    }
}
