"""Peers find each other: by mDNS on one machine and across a network, by seeds, and by an invitation."""

import contextlib
import os
import subprocess

import pytest

from fake import Fake
from peer import backend
from support import PRIVATE, wait_for


def served_by_the_other(first, second, model="fine"):
    """The first answers for the model that only the second has."""
    first.wait_for_model(model)
    reply = first.chat(model)
    assert reply.status_code == 200, reply.text
    assert (reply.headers["x-nexus-peer"], reply.headers["x-nexus-hops"]) == (second.name, "1")


def test_two_on_one_machine_by_mdns(peers, fake):
    options = {"mdns": True} if PRIVATE else {"mdns": True, "host": "0.0.0.0"}
    first = peers("first", **options).start()
    second = peers("second", backends=[backend("fake", fake.url)], **options).start()
    first.wait_for_peers("second")
    second.wait_for_peers("first")
    served_by_the_other(first, second)


def test_by_seeds_without_mdns(peers, fake):
    second = peers("second", backends=[backend("fake", fake.url)]).start()
    first = peers("first", seeds=[second.seed]).start()
    first.wait_for_peers("second")
    second.wait_for_peers("first")
    served_by_the_other(first, second)


def test_the_seed_may_come_up_later(peers, fake):
    second = peers("second", backends=[backend("fake", fake.url)])
    first = peers("first", seeds=[second.seed]).start()
    assert first.alive() == []
    second.start()
    first.wait_for_peers("second")
    served_by_the_other(first, second)


def test_a_third_is_known_by_hearsay(peers, fake):
    """Whoever knows one peer comes to know all, and still asks the right one itself: one hop."""
    middle = peers("middle").start()
    third = peers("third", seeds=[middle.seed], backends=[backend("fake", fake.url)]).start()
    first = peers("first", seeds=[middle.seed]).start()
    first.wait_for_peers("middle", "third")
    served_by_the_other(first, third)


@pytest.mark.parametrize("keyed", [False, True], ids=["open", "keyed"])
def test_restricted_requests_leave_only_within_a_keyed_mesh(peers, fake, keyed):
    policy = '\n[[routing.policies]]\nmodel_pattern = "*"\nprivacy = "restricted"\n'
    env = {"NEXUS_MESH_KEY": "5a" * 32} if keyed else {}
    second = peers("second", backends=[backend("fake", fake.url)], env=env).start()
    first = peers("first", seeds=[second.seed], extra=policy, env=env).start()
    first.wait_for_peers("second")
    first.wait_for_model("fine")
    reply = first.chat("fine")
    assert reply.status_code == (200 if keyed else 503), reply.text
    assert fake.count("fine") == (1 if keyed else 0)


def test_peers_of_another_mesh_stay_apart(peers):
    second = peers("second").start()
    first = peers("first", mesh="another", seeds=[second.seed]).start()
    third = peers("third", seeds=[second.seed]).start()
    third.wait_for_peers("second")
    second.wait_for_peers("third")
    assert first.alive() == []


def test_an_invitation_is_taken_up_by_a_running_peer(peers, fake):
    host = peers("host", backends=[backend("fake", fake.url)]).start()
    guest = peers("guest", mesh="not-yet").start()
    before = guest.child.pid
    written = guest.config.read_text()
    invitation, _ = host.cli("mesh", "invite")
    token = invitation.strip().splitlines()[-1].split()[-1]
    assert guest.alive() == []

    guest.cli("mesh", "join", token)
    guest.wait_for_peers("host", deadline=20)
    host.wait_for_peers("guest", deadline=20)
    served_by_the_other(guest, host)
    assert guest.child.running() and guest.child.pid == before
    assert guest.mesh()["mesh"]["keyed"] and host.mesh()["mesh"]["keyed"]
    # The file keeps its shape: what was not about the mesh is as it was.
    assert written.split("[mesh]")[0] in guest.config.read_text()

    guest.kill()
    guest.start()
    guest.wait_for_peers("host", deadline=20)


def test_who_has_no_key_stays_out(peers):
    host = peers("host").start()
    guest = peers("guest", seeds=[host.seed]).start()
    guest.wait_for_peers("host")
    host.wait_for_peers("guest")
    invitation, _ = host.cli("mesh", "invite")
    wait_for(lambda: host.mesh()["mesh"]["keyed"], "the mesh is keyed")
    wait_for(lambda: host.alive() == [] and guest.alive() == [], "the two part", 20)
    stranger = peers("stranger", seeds=[host.seed]).start()
    # By the time that an invited one is in, the others would have been, too.
    friend = peers("friend").start()
    friend.cli("mesh", "join", invitation.strip().splitlines()[-1].split()[-1])
    host.wait_for_peers("friend", deadline=20)
    assert (host.alive(), stranger.alive(), guest.alive()) == (["friend"], [], [])


@pytest.fixture
def bridge(private_network):
    """Two namespaces joined by a bridge: the commands that run something in the first and in the second."""
    if subprocess.run(["ip", "netns", "list"], capture_output=True, timeout=5).returncode != 0:
        pytest.skip("needs iproute2 with network namespaces")

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=5)

    names = [f"e2e-{os.getpid()}-{side}" for side in ("left", "right")]
    with contextlib.ExitStack() as stack:
        ip("link", "add", "nexbr0", "type", "bridge", "mcast_snooping", "0")
        stack.callback(ip, "link", "delete", "nexbr0")
        ip("address", "add", "10.77.0.254/24", "dev", "nexbr0")
        ip("link", "set", "nexbr0", "up")
        for number, name in enumerate(names, 1):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("link", "add", f"nexv{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            # It would go with its namespace, but only some time after.
            stack.callback(ip, "link", "delete", f"nexv{number}")
            ip("link", "set", f"nexv{number}", "master", "nexbr0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield [(["ip", "netns", "exec", name], f"10.77.0.{number}") for number, name in enumerate(names, 1)]


@pytest.mark.parametrize("how", ["mdns", "seeds"])
def test_two_machines_joined_by_a_bridge(peers, bridge, how):
    (left, left_address), (right, right_address) = bridge
    options = {"mdns": how == "mdns", "port": 8000}
    fake = Fake(host="10.77.0.254")
    try:
        second = peers(
            "right", host=right_address, prefix=right, backends=[backend("fake", fake.url)], **options
        ).start()
        seeds = [second.seed] if how == "seeds" else []
        first = peers("left", host=left_address, prefix=left, seeds=seeds, **options).start()
        first.wait_for_peers("right")
        second.wait_for_peers("left")
        served_by_the_other(first, second)
    finally:
        fake.stop()
