"""A chat as a client holds it: every turn sends all that was said before. The engine's own counters come with each answer."""

import contextlib
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

WORDS = "the gateway keeps every word that it was told and sends it to the server that has read it before".split()


def prose(size):
    """So many bytes of text that begins like no other."""
    words = " ".join(f"{WORDS[at % len(WORDS)]} {at}" for at in range(size // 4))
    return f"{uuid.uuid4().hex}: {words}"[:size]


@dataclass
class Turn:
    """Who answered, and how much of the prompt its server had read before: in tokens, as that server counts them."""

    place: tuple
    prompt: int
    cached: int
    answer: str
    headers: dict


class Conversation:
    """`fields` are more of the body; `stream` among them."""

    def __init__(self, model, system, **fields):
        self.messages, self.fields = [{"role": "system", "content": system}], {"model": model, **fields}
        self.turns = []

    def body(self, words):
        return {**self.fields, "messages": [*self.messages, {"role": "user", "content": words}]}

    def ask(self, peer, words):
        body = self.body(words)
        turn = ask(peer, body)
        self.messages = [*body["messages"], {"role": "assistant", "content": turn.answer}]
        self.turns.append(turn)
        return turn

    def places(self):
        return [turn.place for turn in self.turns]


def ask(peer, body, headers=None):
    """One chat request, whole or as a stream."""
    if body.get("stream"):
        body = {**body, "stream_options": {"include_usage": True}}
    url = f"{peer.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as reply:
        text = reply.read().decode()
    assert reply.status_code == 200, text
    lines = text.split("\n\n") if body.get("stream") else [text]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith(("data: {", "{"))]
    said = [choice.get("delta", choice.get("message")) for chunk in chunks for choice in chunk["choices"]]
    usage = chunks[-1]["usage"]
    return Turn(
        (reply.headers["x-nexus-peer"], reply.headers["x-nexus-backend"]),
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        "".join(part.get("content") or "" for part in said),
        reply.headers,
    )


def at_once(*calls):
    """What they return; they all run at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(call) for call in calls]]


@contextlib.contextmanager
def held_slots(peer, model, count):
    """So many streams that do not end before they are left; gives who answers them."""
    body = {"model": model, "messages": [{"role": "user", "content": "Go on for ever."}], "stream": True}
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(count):
            url = f"{peer.url}/v1/chat/completions"
            reply = stack.enter_context(httpx.stream("POST", url, json=body, timeout=60))
            held.append((reply.iter_raw(), (reply.headers["x-nexus-peer"], reply.headers["x-nexus-backend"])))
            assert next(held[-1][0])
        yield [place for _, place in held]
