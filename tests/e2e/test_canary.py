"""Keys and prompts stay where they belong. A key and words that nobody else would write go through two peers that log all they
can, with every success and failure that there is; then they are looked for wherever somebody might read them."""

import json

import httpx
import pytest

from conftest import meshed
from conversation import at_once
from fake import MODELS, Fake
from fake_anthropic import FakeAnthropic
from fake_google import FakeGoogle
from peer import backend
from speakers import SPEAKERS, Ask, Messages, Results, User
from support import kept_directory, wait_for

KEYS = {name: f"sk-canary-{name}-0f1e2d3c4b5a69788796a5b4c3d2e1f0" for name in ("claude", "gemini", "other", "client")}
MESH_KEY = "c4" * 32
PROMPT = "CANARY-PROMPT-e7a1"
PATHS = [
    "/",
    "/health",
    "/v1/models",
    "/v1beta/models",
    "/api/tags",
    "/api/ps",
    "/nexus/v1/mesh",
    "/nexus/v1/backends",
    "/metrics",
    "/nexus/v1/stats",
    "/v1/stats",
]


def words(more=""):
    return f"{PROMPT} {more}"


@pytest.fixture(scope="module")
def clouds():
    servers = [FakeAnthropic(KEYS["claude"]), FakeGoogle(KEYS["gemini"]), Fake([*MODELS, "echo"])]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def pair(clouds):
    claude, gemini, other = clouds
    env = {"NEXUS_MESH_KEY": MESH_KEY}
    options = {"replace": [('level = "debug"', 'level = "trace"')]}
    with meshed(kept_directory("canary")) as make:
        second = make(
            "second",
            env=env | {f"{name.upper()}_KEY": key for name, key in KEYS.items()},
            backends=[
                backend("claude", claude.url, "anthropic", api_key_env="CLAUDE_KEY"),
                backend("gemini", gemini.url, "google", api_key_env="GEMINI_KEY"),
                backend("other", other.url, "openai", api_key_env="OTHER_KEY"),
            ],
            **options,
        ).start()
        first = make("first", env=env, seeds=[second.seed], **options).start()
        for model in ("claude-fine", "gemini-fine", "echo"):
            first.wait_for_model(model)
        yield first, second


def try_everything(peer, clouds):
    """Gives what clients were told of trouble."""
    told = [
        line
        for lines in at_once(*(lambda kind=kind: try_sdk(kind, peer, clouds) for kind in SPEAKERS))
        for line in lines
    ]
    for path, body in bad_requests():
        reply = peer.post(path, body, headers={"authorization": f"Bearer {KEYS['client']}"})
        if reply.status_code >= 400:
            told.append(reply.text)
    return told


def try_sdk(kind, peer, clouds):
    """Whole and as a stream, at every model; and conversations."""
    told = []

    def attempt(call, errors):
        try:
            return call()
        except errors as error:
            told.append(f"{error} {getattr(error, 'body', '')} {getattr(error, 'details', '')}")

    models = [model for cloud in clouds[:2] for model in cloud.names()] + [*clouds[2].models, "absent"]
    client = (
        kind(peer.url, key=KEYS["client"], strict=False) if kind is Messages else kind(peer.url, key=KEYS["client"])
    )
    # What comes of a backend's nonsense is for other tests; here only what is said of it counts.
    errors = (*client.errors, ValueError, TypeError, AttributeError)
    for model in models:
        if model == "silent":
            continue
        ask = Ask(model, [User(words("at first"))], system=words("system"), tools="cut" not in model)
        attempt(lambda ask=ask: client.say(ask), errors)
        attempt(lambda ask=ask: client.stream(ask), errors)
    for model in ("claude-parallel", "gemini-parallel"):
        answer = client.say(Ask(model, [User(words("call"))], tools=True))
        turns = [User(words("call")), answer, Results([words("result"), words("other result")])]
        for next_model in (model.replace("parallel", "fine"), model.replace("parallel", "bad")):
            attempt(lambda turns=turns, name=next_model: client.say(Ask(name, turns, tools=True)), errors)
    return told


def bad_requests():
    for model in ("claude-fine", "gemini-fine", "fine"):
        said = {"model": model, "messages": [{"role": "user", "content": words()}]}
        yield "/v1/chat/completions", {**said, "temperature": words()}
        yield "/v1/chat/completions", {**said, "messages": words()}
        yield "/v1/messages", {**said, "max_tokens": words()}
        yield "/v1/messages", {"model": model, "max_tokens": 5, "messages": [{"role": words(), "content": "x"}]}
        yield "/api/chat", {**said, "options": {"temperature": words()}}
        yield "/v1/responses", {"model": model, "input": [{"type": words()}]}
        yield f"/v1beta/models/{model}:generateContent", {"contents": [{"role": words(), "parts": [{"text": "x"}]}]}
        yield "/v1/embeddings", {"model": model, "input": {"a": words()}}


@pytest.fixture(scope="module")
def told(pair, clouds):
    """All that clients were told of trouble, when everything has ended."""
    told = [*try_everything(pair[0], clouds), *try_everything(pair[1], clouds)]
    # A client that goes away in the middle.
    for model in ("claude-cut", "gemini-cut"):
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": words()}]}
        for cloud in clouds[:2]:
            cloud.may_cut.clear()
        with httpx.stream("POST", f"{pair[0].url}/v1/chat/completions", json=body, timeout=30) as reply:
            assert next(reply.iter_raw())
        for cloud in clouds[:2]:
            cloud.may_cut.set()
    wait_for(
        lambda: all(entry["pending_requests"] == 0 for entry in pair[1].get("/nexus/v1/backends").json()["backends"]),
        "nothing is pending",
    )
    return told


def found(text, canaries):
    """The lines that hold one of them."""
    return [line[:600] for line in text.splitlines() if any(canary in line for canary in canaries)][:5]


def test_the_canaries_flew(told, clouds):
    """Otherwise it would be no wonder that nothing is found."""
    claude, gemini, other = clouds
    assert len(told) > 100
    assert claude.asked().headers["x-api-key"] == KEYS["claude"] and gemini.asked().headers["x-goog-api-key"]
    for cloud in (claude, gemini):
        assert sum(PROMPT in json.dumps(call.body) for call in cloud.calls) > 50
    assert any(headers.get("authorization") == f"Bearer {KEYS['other']}" for _, headers, _ in other.requests)


def test_nobody_is_told_a_key(told):
    """The fakes repeat it wherever they can."""
    assert found("\n".join(told), KEYS.values()) == []


def test_no_key_goes_to_another_vendor(told, clouds):
    for cloud, own in zip(clouds, ("claude", "gemini", "other"), strict=True):
        headers = [call.headers for call in cloud.calls] if own != "other" else [head for _, head, _ in cloud.requests]
        others = [key for name, key in KEYS.items() if name != own]
        assert found("\n".join(map(json.dumps, headers)), others) == []


@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
def test_logs(told, pair, at):
    text = pair[at].log.read_text(errors="replace")
    assert '"level":"TRACE"' in text or '"level":"DEBUG"' in text
    assert found(text, [*KEYS.values(), MESH_KEY, PROMPT, "Zoë"]) == []


@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
def test_other_endpoints(told, pair, at):
    peer = pair[at]
    for path in PATHS:
        text = peer.get(path).text
        assert found(text, [*KEYS.values(), MESH_KEY, PROMPT, "Zoë"]) == [], path
    body = {"model": "claude-fine", "messages": [{"role": "user", "content": words()}]}
    assert found(peer.post("/nexus/v1/explain", body).text, [*KEYS.values(), PROMPT]) == []


@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("command", ["mesh status", "backends list", "models", "health"])
def test_command_line(told, pair, at, command):
    out, error = pair[at].cli(*command.split(), "--json")
    assert json.loads(out)
    assert found(out + error, [*KEYS.values(), MESH_KEY, PROMPT]) == []


@pytest.mark.parametrize("at", [0, 1], ids=["first", "second"])
def test_nothing_is_left_on_the_disk(told, pair, at):
    """But what somebody wrote there."""
    for file in pair[at].home.rglob("*"):
        if file.is_file():
            assert found(file.read_text(errors="replace"), [*KEYS.values(), PROMPT, "Zoë"]) == [], file
