"""A server that stops and whose connections stay: one request pays for it, the next ones do not, and it is used again
when it goes on."""

import functools
import time

import pytest

from conversation import ask, at_once
from support import wait_for

# Seconds to a first byte. With another server to go to, the first one that is tried may take two thirds of them.
DEADLINE = 3
BODY = {"model": "twin", "messages": [{"role": "user", "content": "Hello."}]}
LEFT, RIGHT = ("first", "left"), ("second", "right")


@pytest.fixture
def pair(owners, twins):
    """The left server goes before the right one."""
    yield owners(*twins, priority=1, replace=[("port = ", f"request_timeout_seconds = {DEADLINE}\nport = ")])
    twins[0].go_on()


def timed(peer):
    begin = time.monotonic()
    turn = ask(peer, BODY)
    return turn.place, time.monotonic() - begin


def is_left_alone(peer):
    return peer.explain(BODY)[1][LEFT]["terms"]["suspect"]


def test_a_stopped_server_costs_one_request_its_wait_and_is_used_again(pair, twins):
    first, second = pair
    twins[0].halt()
    place, took = timed(second)
    assert place == RIGHT and took < DEADLINE
    for peer in pair:
        wait_for(lambda peer=peer: is_left_alone(peer), f"{peer.name} knows", 2)
    for peer in (first, second) * 3:
        place, took = timed(peer)
        assert place == RIGHT and took < 1

    twins[0].go_on()
    for peer in pair:
        wait_for(lambda peer=peer: not is_left_alone(peer), f"{peer.name} tries it again", 12)
    places = at_once(*(functools.partial(timed, peer) for peer in (first, second) * 3))
    assert LEFT in {place for place, _ in places}


@pytest.mark.parametrize("before,after", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_very_next_request_pays_nothing(pair, twins, before, after):
    """Wherever the two come in, 0 or 1 hop from the server that has stopped."""
    twins[0].halt()
    assert timed(pair[before])[0] == RIGHT
    place, took = timed(pair[after])
    assert place == RIGHT and took < 1, took
