"""A fast and a slow server of one model: what serving has taught of their speeds decides who is asked, and when it is
worth waiting."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from conversation import ask, held_slots
from support import wait_for

FAST, SLOW = ("first", "left"), ("second", "right")


def body(stream):
    words = [{"role": "user", "content": "Go on."}]
    return {"model": "uneven", "messages": words, "max_tokens": 400, "stream": stream}


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
def stream(request):
    return request.param


@pytest.fixture
def pair(owners, uneven, stream):
    """Both servers have answered a few requests, and both peers know how fast they were."""
    # Signs of life would leave no room for the headers that say who answers.
    pair = owners(*uneven, replace=[("port = ", "heartbeat_seconds = 0\nport = ")])
    measure(pair, stream)
    return pair


def measure(pair, stream):
    def are_measured():
        for peer in pair:
            ask(peer, body(stream))
        plans = [peer.explain(body(stream))[1] for peer in pair]
        return all(plan[place]["terms"]["decode_tokens_per_second"] for plan in plans for place in (FAST, SLOW))

    wait_for(are_measured, "both servers are measured")


def test_where_nobody_waits_the_fast_one_answers(pair, stream):
    for peer in pair * 5:
        _, candidates = peer.explain(body(stream))
        assert ask(peer, body(stream)).place == FAST, candidates
    for peer in pair:
        plan, candidates = peer.explain(body(stream))
        assert (plan["chosen"]["peer"], plan["chosen"]["backend"]) == FAST
        assert candidates[FAST]["terms"]["expected_ms"] < candidates[SLOW]["terms"]["expected_ms"]


def test_the_slow_one_helps_where_waiting_would_take_longer(pair, stream):
    """Nobody knows for how long the fast one is taken: whoever has waited as long as was worth it goes on."""
    with ThreadPoolExecutor(4) as pool, held_slots(pair[0], "uneven", 2) as holders:
        assert set(holders) == {FAST}
        asked = [pool.submit(ask, pair[number % 2], body(stream)) for number in range(3)]
        assert {one.result().place for one in asked} == {SLOW}


def test_a_wait_that_takes_longer_than_foretold_is_given_up_for_an_idle_server(owners, uneven):
    """Both slots of the fast one are taken for long, which nobody could know; the slow one has nothing to do."""
    first, second = owners(*uneven, extra="\n[queue]\nmax_wait_seconds = 2\n")
    measure((first, second), stream=True)
    with held_slots(first, "uneven", 2) as holders:
        assert set(holders) == {FAST}
        reply = first.post("/v1/chat/completions", body(stream=False))
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-nexus-backend"] == "right"
