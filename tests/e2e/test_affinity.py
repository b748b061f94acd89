"""A conversation stays where its text was read, wherever it comes in: by the counters of the engine itself."""

import functools

import pytest

from conversation import Conversation, ask, at_once, prose
from support import wait_for

TURNS = range(8)


@pytest.fixture
def pair(owners, twins):
    return owners(*twins)


def entries(pair, start=0):
    """Each turn comes in at another peer."""
    return [(turn, pair[(start + turn) % 2]) for turn in TURNS]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_what_was_read_is_not_read_again(pair, stream):
    chat = Conversation("twin", prose(4096), stream=stream)
    for turn, peer in entries(pair):
        chat.ask(peer, f"Question {turn}: {prose(600)}")
    assert len(set(chat.places())) == 1, chat.places()
    for before, turn in zip(chat.turns, chat.turns[1:], strict=False):
        # Its server has all that it was sent the last time.
        assert turn.cached >= 0.95 * before.prompt, chat.turns
        assert turn.cached > 0.5 * turn.prompt


@pytest.mark.parametrize("shape", ["line", "part"])
def test_bookkeeping_in_the_system_text_moves_no_conversation(pair, shape):
    """Claude Code puts a line into it that is another with every request."""
    chat = Conversation("twin", prose(4096))
    text = chat.messages[0]["content"]
    for turn, peer in entries(pair, start=1):
        header = f"x-anthropic-billing-header: cc_version=2.1.{turn}.01c; cc_entrypoint=cli; cch={turn * 7919:05x};"
        parts = [{"type": "text", "text": part} for part in (header, text)]
        chat.messages[0]["content"] = parts if shape == "part" else f"{header}\n{text}"
        chat.ask(peer, f"Question {turn}.")
    assert len(set(chat.places())) == 1, chat.places()


@pytest.mark.parametrize("size", [2048, 512])
@pytest.mark.parametrize("where", ["x-session-affinity", "prompt_cache_key"])
def test_the_name_of_a_conversation_holds_it_together(pair, where, size):
    """Though its turns share no text."""
    name = prose(32)
    headers, fields = ({where: name}, {}) if where.startswith("x-") else ({}, {where: name})
    turns = []
    for _, peer in entries(pair):
        body = {"model": "twin", "messages": [{"role": "user", "content": prose(size)}], **fields}
        turns.append(ask(peer, body, headers))
    assert len({turn.place for turn in turns}) == 1, [turn.place for turn in turns]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_conversations_at_once_spread_and_stay(pair, stream):
    chats = [Conversation("twin", prose(8192), stream=stream) for _ in range(16)]

    def turn_of(number, chat):
        turn = len(chat.turns)
        return functools.partial(chat.ask, pair[(number + turn) % 2], f"Question {turn}: {prose(600)}")

    at_once(*(turn_of(number, chat) for number, chat in enumerate(chats)))
    at = {place: [chat for chat in chats if chat.places() == [place]] for place in {chat.places()[0] for chat in chats}}
    assert len(at) == 2, "both are used"
    # As many go on as there are slots.
    chats = [chat for there in at.values() for chat in there[-2:]]
    for chat in chats:
        for peer in pair:
            wait_for(lambda c=chat, p=peer: held(p, c)[c.places()[0]] > 1000, "it is known who has read it")
    for _ in range(4):
        at_once(*(turn_of(number, chat) for number, chat in enumerate(chats)))
    later = [turn for chat in chats for turn in chat.turns[1:]]
    assert len({turn.place for turn in later}) == 2
    assert sum(turn.cached for turn in later) > 0.8 * sum(turn.prompt for turn in later)


def held(peer, chat):
    """Tokens of the next turn that each place needs not read, as `peer` sees it."""
    _, candidates = peer.explain(chat.body("And now?"))
    return {place: entry["terms"]["held_tokens"] for place, entry in candidates.items()}
