use super::*;

fn look(peers: &[(&str, PeerState)], backends: &[(Option<&str>, &str, Status)]) -> Look {
    let id = |name: &str| PeerId::from_text(name);
    let named = |(owner, name, status): &(Option<&str>, &str, Status)| {
        ((owner.map(id), (*name).to_owned()), Backend::new(*status, std::iter::empty()))
    };
    Look {
        peers: peers.iter().map(|(name, state)| (id(name), ((*name).to_owned(), *state, false))).collect(),
        backends: backends.iter().map(named).collect(),
        ..Look::default()
    }
}

fn kinds(before: &Look, now: &Look) -> Vec<String> {
    between(before, now)
        .iter()
        .map(|event| format!("{event:?}").split('"').nth(1).unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn what_comes_and_goes_with_a_peer_is_no_event_of_its_own() {
    let (alone, both) = (
        look(&[], &[(None, "a", Status::Healthy)]),
        look(&[("far", PeerState::Alive)], &[(None, "a", Status::Healthy), (Some("far"), "b", Status::Healthy)]),
    );
    assert_eq!(kinds(&alone, &both), ["peer_joined"]);
    assert_eq!(kinds(&both, &both), Vec::<String>::new());
    assert_eq!(kinds(&both, &alone), ["peer_left"]);
    let dead = look(&[("far", PeerState::Dead)], &[(None, "a", Status::Healthy)]);
    assert_eq!(kinds(&both, &dead), ["peer_dead"]);
    assert_eq!(kinds(&alone, &dead), Vec::<String>::new(), "others remember one that was never here");
    assert_eq!(kinds(&dead, &both), ["peer_joined"]);
}

#[test]
fn backends_fall_ill_and_are_well_again_wherever_they_are() {
    let of = |status| look(&[("far", PeerState::Alive)], &[(None, "a", status), (Some("far"), "b", status)]);
    let (well, ill) = (of(Status::Healthy), of(Status::Unhealthy));
    assert_eq!(kinds(&well, &ill), ["backend_ill", "backend_ill"]);
    assert_eq!(kinds(&ill, &well), ["backend_well", "backend_well"]);
    let fewer = look(&[("far", PeerState::Alive)], &[]);
    assert_eq!(kinds(&well, &fewer), ["backend_removed", "backend_removed"]);
    assert_eq!(kinds(&fewer, &well), ["backend_added", "backend_added"]);
}

#[test]
fn keys_and_money_are_told_once() {
    let mut before = Look::default();
    let mut now = Look::default();
    now.money.hard_limit_reached = 1;
    now.keys.insert("k1".to_owned(), ("laptop".to_owned(), true));
    assert_eq!(kinds(&before, &now), ["budget_hard_limit", "key_added"]);
    assert_eq!(kinds(&now, &now), Vec::<String>::new());
    before.keys.insert("k1".to_owned(), ("laptop".to_owned(), true));
    now.keys.insert("k1".to_owned(), ("laptop".to_owned(), false));
    now.money = budget::Events::default();
    assert_eq!(kinds(&before, &now), ["key_revoked"]);
}

/// A peer that drained once said nothing of it itself.
#[test]
fn this_peer_drains_and_takes_requests_again() {
    let of = |draining| Look { myself: ("me".into(), draining), ..Look::default() };
    assert_eq!(kinds(&of(false), &of(true)), ["peer_draining"]);
    assert_eq!(kinds(&of(true), &of(true)), Vec::<String>::new());
    assert_eq!(kinds(&of(true), &of(false)), ["peer_well"]);
}

#[test]
fn a_configuration_that_a_peer_could_not_take_is_told_until_it_can() {
    let of = |state, place: Option<&str>| Look {
        rejected: place.map(|place| (PeerId::from_text("far"), place.to_owned())).into_iter().collect(),
        ..look(&[("far", state)], &[])
    };
    let (good, bad) = (of(PeerState::Alive, None), of(PeerState::Alive, Some("routing.weights")));
    assert_eq!(kinds(&good, &bad), ["config_rejected"]);
    assert_eq!(kinds(&bad, &of(PeerState::Alive, Some("budget"))), ["config_rejected"]);
    assert_eq!(kinds(&bad, &good), ["config_mended"]);
    assert_eq!(kinds(&bad, &of(PeerState::Dead, None)), ["peer_dead"], "nothing is known of its file");
}
