"""Fixtures: a directory for each test, a mesh of its own, and parts that are gone when the test is over."""

import contextlib
import os
import subprocess
import uuid
from collections import namedtuple

import pytest

from fake import Fake
from fake_anthropic import FakeAnthropic
from fake_google import FakeGoogle
from llama import Llama
from peer import Peer, backend
from support import NEXUS, PRIVATE, kept_directory, wait_for

Served = namedtuple("Served", "first second kind chain loop tools think")
PLACES = {("first", "left"), ("second", "right")}


def pytest_report_header():
    version = subprocess.run([NEXUS, "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    return [f"{version} at {NEXUS}", "network: " + ("a namespace of its own" if PRIVATE else "the host's")]


@pytest.fixture
def directory(request):
    return kept_directory(request.node.name)


@contextlib.contextmanager
def meshed(directory):
    mesh, made = f"e2e-{uuid.uuid4().hex[:12]}", []

    def make(name, **options):
        made.append(Peer(directory, name, options.pop("mesh", mesh), **options))
        return made[-1]

    try:
        yield make
    finally:
        for peer in made:
            peer.kill()


@pytest.fixture
def peers(directory):
    """Makes peers of one mesh that no other test shares: `peers("a", backends=[…])`, not started yet."""
    with meshed(directory) as make:
        yield make


@pytest.fixture
def fake():
    server = Fake()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chain():
    server = Llama(kept_directory("llama-chain"), "chain", embeddings=True).wait_until_up()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def loop():
    server = Llama(kept_directory("llama-loop"), "loop").wait_until_up()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tools():
    server = Llama(kept_directory("llama-tools"), "tools").wait_until_up()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def think():
    server = Llama(kept_directory("llama-think"), "think").wait_until_up()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["llamacpp", "generic"])
def served(request, chain, loop, tools, think):
    """llama.cpp behind the second of two peers, for many tests, which leave both alive. As `llamacpp` it is asked at its own
    /v1/messages and /v1/responses; as `generic` for chat completions alone, so that everything else is translated."""
    servers = [chain, loop, tools, think]
    with meshed(kept_directory(f"served-{request.param}")) as make:
        second = make("second", backends=[backend(one.model, one.url, request.param) for one in servers]).start()
        first = make("first", seeds=[second.seed]).start()
        for one in servers:
            first.wait_for_model(one.model)
        yield Served(first, second, request.param, *servers)


@pytest.fixture(scope="session")
def clouds():
    servers = [FakeAnthropic("sk-ant-of-the-second"), FakeGoogle("AIza-of-the-second")]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def clouded(clouds):
    """(first, second), for many tests, which leave both alive. The second alone has the keys of the clouds, in a keyed mesh: in an
    open one nobody's cloud is shared."""
    claude, gemini = clouds
    env = {"NEXUS_MESH_KEY": "5a" * 32}
    with meshed(kept_directory("clouded")) as make:
        second = make(
            "second",
            env=env | {"CLAUDE_KEY": claude.key, "GEMINI_KEY": gemini.key},
            backends=[
                backend("claude", claude.url, "anthropic", api_key_env="CLAUDE_KEY"),
                backend("gemini", gemini.url, "google", api_key_env="GEMINI_KEY"),
            ],
        ).start()
        first = make("first", env=env, seeds=[second.seed]).start()
        first.wait_for_model("claude-fine")
        first.wait_for_model("gemini-fine")
        yield first, second


@pytest.fixture(scope="session")
def twins():
    """Two servers of one model, equally fast."""
    servers = [Llama(kept_directory(f"llama-twin-{side}"), "chain", name="twin") for side in ("left", "right")]
    yield [server.wait_until_up() for server in servers]
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def uneven():
    """(fast, slow): two servers of one model, which writes for as long as it may."""
    servers = [
        Llama(kept_directory(f"llama-{layers}-layers"), "loop", name="uneven", layers=layers, context=context)
        for layers, context in ((12, 131072), (100, 32768))
    ]
    yield [server.wait_until_up() for server in servers]
    for server in servers:
        server.stop()


@pytest.fixture
def owners(peers):
    """Makes two peers, each the owner of one of two servers of the same model, that know of both."""

    def make(left, right, priority=50, **options):
        second = peers("second", backends=[backend("right", right.url, "llamacpp")], **options).start()
        first = peers(
            "first", seeds=[second.seed], backends=[backend("left", left.url, "llamacpp", priority=priority)], **options
        ).start()
        for peer in (first, second):
            wait_for(
                lambda peer=peer: set(peer.explain({"model": left.model, "messages": []})[1]) == PLACES,
                f"{peer.name} knows both servers",
            )
        return first, second

    return make


@pytest.fixture
def private_network():
    if not PRIVATE:
        pytest.skip("needs a network of its own: run scripts/e2e.sh as root")


@pytest.fixture
def root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
