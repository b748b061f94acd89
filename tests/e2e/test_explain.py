"""`nexus explain` at either of two peers: both servers, how old the news of them is, and what each holds of a prompt."""

import json
import re

import pytest

from conversation import Conversation, prose
from support import wait_for


@pytest.fixture
def pair(owners, twins):
    return owners(*twins)


def explained(peer, *arguments):
    return json.loads(peer.cli("explain", *arguments, "--json")[0])


def answered(pair):
    """Requests that each server has had from its owner."""
    told = [peer.get("/nexus/v1/backends").json()["backends"] for peer in pair]
    return [entry["total_requests"] for backends in told for entry in backends if entry["peer"] == "self"]


def test_both_servers_with_the_age_of_the_news(pair):
    for peer, (own, other) in zip(pair, [("left", "right"), ("right", "left")], strict=True):
        table, _ = peer.cli("explain", "-m", "twin")
        kept = [line for line in table.splitlines() if " kept " in line]
        (ours,), (theirs,) = ([line for line in kept if f" {name} " in line] for name in (own, other))
        assert " own " in ours and re.search(r" \d+ms ", theirs), table
        assert "Strategy: adaptive" in table and "Chosen: " in table
        ages = {entry["backend"]: entry["fact_age_ms"] for entry in explained(peer, "-m", "twin")["candidates"]}
        assert ages[own] is None and 0 <= ages[other] < 10_000


def test_what_is_held_of_a_conversation(pair, directory):
    """Of its owner at once, of others as soon as the news is round; and nobody is asked for it."""
    chat = Conversation("twin", prose(8192))
    chat.ask(pair[0], "What do you say?")
    reader = chat.turns[0].place[1]
    request = directory / "request.json"
    request.write_text(json.dumps(chat.body("And now?")))
    before = wait_for(lambda: sum(answered(pair)) == 1 and answered(pair), "the request is counted")
    for peer in pair:

        def held(peer=peer):
            candidates = explained(peer, "--file", request)["candidates"]
            return {entry["backend"]: entry["terms"]["held_tokens"] for entry in candidates}

        wait_for(lambda held=held: held()[reader] > 8192 / 4, f"{peer.name} knows who has read it", 5)
        assert sorted(held().values())[0] == 0
        plan = explained(peer, "--file", request)
        assert plan["chosen"]["backend"] == plan["candidates"][0]["backend"] == reader
    assert answered(pair) == before


def test_the_table_says_what_a_rank_is_made_of(pair):
    table, _ = pair[0].cli("explain", "-m", "twin")
    assert len(re.findall(r" kept .* about \d", table)) == 2, table
