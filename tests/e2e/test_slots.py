"""A server is given as many requests as it has slots; who comes meanwhile waits in Nexus, and is told so."""

import functools
from concurrent.futures import ThreadPoolExecutor

import pytest

from conversation import ask, at_once, held_slots
from peer import backend
from support import wait_for

POSITION, ETA, REASON = "x-nexus-queue-position", "x-nexus-queue-eta", "x-nexus-route-reason"


@pytest.fixture
def pair(peers, uneven):
    """The server is known to the second alone, which the first knows."""
    second = peers("second", backends=[backend("gpu", uneven[1].url, "llamacpp")]).start()
    first = peers("first", seeds=[second.seed]).start()
    first.wait_for_model("uneven")
    return first, second


def asked_while_all_are_taken(pair, entries, stream, meanwhile=lambda: None):
    """What those are answered who come in one after the other while both slots are taken."""
    words = [{"role": "user", "content": "Go on."}]
    body = {"model": "uneven", "messages": words, "max_tokens": 20, "stream": stream}
    asked = []

    def waiting():
        meanwhile()
        return pair[1].explain(body)[1]["second", "gpu"]["terms"]["queued"]

    def are_answered():
        meanwhile()
        return all(one.done() for one in asked)

    with ThreadPoolExecutor(len(entries)) as pool:
        with held_slots(pair[0], "uneven", 1), held_slots(pair[1], "uneven", 1):
            for number, entry in enumerate(entries, 1):
                asked.append(pool.submit(ask, entry, body))
                wait_for(lambda number=number: waiting() == number, f"{number} wait")
        wait_for(are_answered, "all are answered", 30)
    return [one.result() for one in asked]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_six_requests_at_two_entries_for_two_slots(pair, uneven, stream):
    server, busy, deferred = uneven[1], [], []

    def look():
        busy.append(len(server.busy_slots()))
        # Whoever waits inside the server was sent there too early.
        deferred.append(server.deferred())

    turns = asked_while_all_are_taken(pair, pair * 2, stream, look)
    assert max(busy) == 2 and max(deferred) == 0
    assert {turn.place for turn in turns} == {("second", "gpu")}
    assert [int(turn.headers[POSITION]) for turn in turns] == [1, 2, 3, 4]
    waits = [int(turn.headers[ETA]) for turn in turns]
    assert waits == sorted(waits), "who stands further back waits longer"


@pytest.mark.parametrize("hops", [0, 1])
def test_who_waited_is_told_why(pair, hops):
    (turn,) = asked_while_all_are_taken(pair, [pair[1 - hops]], stream=False)
    assert turn.headers[POSITION] == "1"
    assert turn.headers[REASON] == "capacity-overflow"


def test_the_end_of_a_stream_is_no_failure(peers, twins):
    solo = peers("solo", backends=[backend("gpu", twins[0].url, "llamacpp")]).start()
    solo.wait_for_model("twin")
    words = [{"role": "user", "content": "Hello."}]
    at_once(*[functools.partial(ask, solo, {"model": "twin", "messages": words, "stream": True})] * 100)
    assert not [event for event in solo.events() if "gave no answer" in event["message"]]
