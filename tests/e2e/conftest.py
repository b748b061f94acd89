"""Fixtures: a directory for each test, a mesh of its own, and parts that are gone when the test is over."""

import os
import subprocess
import uuid

import pytest

from fake import Fake
from llama import Llama
from peer import Peer
from support import NEXUS, PRIVATE, kept_directory


def pytest_report_header():
    version = subprocess.run([NEXUS, "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    return [f"{version} at {NEXUS}", "network: " + ("a namespace of its own" if PRIVATE else "the host's")]


@pytest.fixture
def directory(request):
    return kept_directory(request.node.name)


@pytest.fixture
def peers(directory):
    """Makes peers of one mesh that no other test shares: `peers("a", backends=[…])`, not started yet."""
    mesh, made = f"e2e-{uuid.uuid4().hex[:12]}", []

    def make(name, **options):
        made.append(Peer(directory, name, options.pop("mesh", mesh), **options))
        return made[-1]

    yield make
    for peer in made:
        peer.kill()


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


@pytest.fixture
def private_network():
    if not PRIVATE:
        pytest.skip("needs a network of its own: run scripts/e2e.sh as root")


@pytest.fixture
def root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
