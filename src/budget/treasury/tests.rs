//! Treasuries on disks in memory, who talk without a network. What happens over many random schedules is for the laboratory
//! of the simulation (`simulation/budget`).

mod kills;
mod world;

use std::time::Duration;

use world::{LIMIT, Peers, account, amount};

use super::*;
use crate::budget::{Amount, Refused, Why};
use crate::fleet::WHOLE;

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn who_has_no_rights_gets_them_from_who_has() {
    let peers = Peers::founded(3).await;
    let mut hold = peers[2].hold(&amount(LIMIT / 10), PATIENCE).await.expect("the founder has all of it");
    hold.sent();
    hold.settle(LIMIT / 20);
    peers.gossip().await;
    assert_eq!(peers[0].standing().spent, LIMIT / 20);
    assert_eq!(peers[1].figures(), Figures { holders: shown(&peers[1], &peers[0]), ..peers[1].figures() });
    assert_eq!(peers.shares(), WHOLE);
}

/// The holders of another peer's figures, with the states as `me` sees them.
fn shown(me: &Treasury, other: &Treasury) -> Vec<HolderFigures> {
    let mut holders = other.figures().holders;
    for holder in &mut holders {
        holder.state = if holder.holder == me.holder() { "self" } else { "alive" };
    }
    holders
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_spent_to_its_end_and_not_beyond() {
    let peers = Peers::founded(3).await;
    for turn in 0..10 {
        let mut hold = peers[turn % 3].hold(&amount(LIMIT / 10), PATIENCE).await.expect("there is some left");
        hold.sent();
        peers.gossip().await;
    }
    let refused = peers[1].hold(&amount(LIMIT / 10), PATIENCE).await.expect_err("nothing is left");
    assert_eq!(
        refused,
        Refused { why: Why::UsedUp { needed: LIMIT / 10, left: 0 }, needed: LIMIT / 10, of_caller: false }
    );
    assert_eq!(peers[1].standing().level, Level::HardLimit);
    let reached = Events { soft_limit_reached: 1, hard_limit_reached: 1, month_rollover: 0 };
    assert_eq!(peers[1].events(), reached);
    peers.next_month();
    assert_eq!(peers[1].figures().status, Level::Normal);
    assert_eq!(peers[1].events(), Events { month_rollover: 1, ..reached });
}

#[tokio::test(start_paused = true)]
async fn what_is_held_by_peers_that_are_away_is_named() {
    let mut peers = Peers::founded(2).await;
    peers.stop(0);
    peers.gossip().await;
    let refused = peers[1].hold(&amount(LIMIT / 10), PATIENCE).await.expect_err("the founder is away");
    assert_eq!(refused.why, Why::OutOfReach(vec!["m0".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_dropped_unsent_is_free_again_and_one_that_was_sent_is_spent() {
    let peers = Peers::founded(1).await;
    drop(peers[0].hold(&amount(10), PATIENCE).await.expect("all of it is here"));
    assert_eq!((peers[0].standing().spent, peers[0].standing().reserved), (0, 0));
    let mut hold = peers[0].hold(&amount(10), PATIENCE).await.expect("all of it is here");
    hold.sent();
    drop(hold);
    assert_eq!((peers[0].standing().spent, peers[0].standing().reserved), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_has_its_own_limit_besides() {
    let peers = Peers::founded(2).await;
    let own = account("key", &peers[0]);
    let asked = Amount { nanos: 60, of_caller: Some((own.clone(), 100)) };
    peers[0].hold(&asked, PATIENCE).await.expect("60 of 100").sent();
    let mut hold = peers[0].hold(&Amount { nanos: 40, ..asked.clone() }, PATIENCE).await.expect("all of it");
    hold.sent();
    let refused = peers[1].hold(&Amount { nanos: 1, ..asked }, PATIENCE).await.expect_err("it is used up");
    assert!(refused.of_caller, "{refused:?}");
    assert!(peers[1].hold(&amount(1), PATIENCE).await.is_ok(), "others go on");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_ledger_is_refused_and_left_as_it_is() {
    let mut peers = Peers::founded(1).await;
    peers[0].hold(&amount(10), PATIENCE).await.expect("all of it is here").sent();
    peers.stop(0);
    let damaged = peers.change_file(0, |content| {
        let at = content.len() / 2;
        content[at] ^= 1;
    });
    peers.start(0);
    let refused = peers[0].hold(&amount(10), PATIENCE).await.expect_err("it cannot be trusted");
    assert!(matches!(&refused.why, Why::Trouble(reason) if reason.contains("damaged in line")), "{refused:?}");
    assert_eq!(peers.file(0), damaged);
    assert_eq!(peers[0].facts(), None);
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_of_a_ledger_stops_spending_when_it_hears_of_what_it_gave() {
    let mut peers = Peers::founded(2).await;
    peers[0].flush().await;
    let older = peers.file(0);
    peers[1].hold(&amount(10), PATIENCE).await.expect("the founder has all of it").sent();
    peers.stop(0);
    peers.change_file(0, |content| *content = older.clone());
    peers.start(0);
    peers.gossip().await;
    let refused = peers[0].hold(&amount(10), PATIENCE).await.expect_err("it gave some away");
    assert!(matches!(&refused.why, Why::Trouble(reason) if reason.contains("older copy")), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rights_of_a_lost_peer_pass_on_and_count_from_the_next_month() {
    let mut peers = Peers::founded(3).await;
    peers[1].hold(&amount(LIMIT / 4), PATIENCE).await.expect("the founder has all of it").sent();
    peers.gossip().await;
    peers.stop(0);
    peers.stop(2);
    peers.gossip().await;
    let lost = peers[1].forget("m0", false).await.expect("it is known");
    assert_eq!(lost, Forgotten::Waiting { lost: "m0".to_owned(), witnesses: vec!["m2".to_owned()] });
    peers.start(2);
    peers.gossip().await;
    peers[1].tend().await;
    let Ok(Forgotten::Done { from, .. }) = peers[1].forget("m0", false).await else { panic!("all have promised") };
    assert!(from > peers[1].figures().month);
    assert!(peers[1].hold(&amount(LIMIT), PATIENCE).await.is_err(), "it may have been spent in this month");
    // The last word on what was lost is told for ever, also by who was started again.
    peers.stop(1);
    peers.start(1);
    let facts = peers[1].facts().expect("it opens");
    assert!(facts.rows.iter().any(|row| row.is_last() && facts.lost.contains(&row.holder)), "{:?}", facts.rows);
    peers.next_month();
    assert!(peers[1].hold(&amount(LIMIT), PATIENCE).await.is_ok(), "all of it is here now");
}

#[tokio::test(start_paused = true)]
async fn who_was_forgotten_begins_anew_with_nothing() {
    let mut peers = Peers::founded(2).await;
    peers.stop(0);
    peers.gossip().await;
    assert!(matches!(peers[1].forget("m0", false).await, Ok(Forgotten::Done { .. })));
    let before = peers.holder(0);
    peers.start(0);
    assert_eq!(peers[0].holder(), before);
    peers.gossip().await;
    assert_ne!(peers[0].holder(), before);
    peers[0].flush().await;
    peers.stop(0);
    peers.start(0);
    assert_ne!(peers[0].holder(), before, "on disk too");
    assert!(peers[0].hold(&amount(1), Duration::ZERO).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn of_two_heirs_the_later_gives_way_whatever_they_are_called() {
    for late in [1, 2] {
        let mut peers = Peers::founded(4).await;
        let early = 3 - late;
        peers.stop(0);
        // Each is first alone with its claim; the witness promises the later one.
        peers.stop(3);
        peers.part(true);
        peers.gossip().await;
        assert!(matches!(peers[early].forget("m0", false).await, Ok(Forgotten::Waiting { .. })));
        tokio::time::advance(Duration::from_secs(1)).await;
        peers.start(3);
        peers.only_hear(3, late).await;
        assert!(matches!(peers[late].forget("m0", false).await, Ok(Forgotten::Waiting { .. })));
        peers.part(false);
        for _ in 0..3 {
            peers.gossip().await;
            peers[late].tend().await;
            peers[early].tend().await;
        }
        assert!(matches!(peers[early].forget("m0", false).await, Ok(Forgotten::Done { .. })), "{late}");
        assert!(peers[late].forget("m0", false).await.is_err(), "{late}");
    }
}
