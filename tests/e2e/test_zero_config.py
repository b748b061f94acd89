"""`nexus serve` with nothing said: it finds what serves on the usual ports of this machine, and never itself."""

import httpx
import pytest

from llama import SENTENCE, Llama
from peer import Peer
from support import NEXUS, Child, clean_environment, tail, wait_for


class Bare(Peer):
    """A peer without a configuration file (whose constructor therefore writes none)."""

    def __init__(self, directory, port=None):
        self.name, self.port, self.host = f"bare-{port or 8000}", port or 8000, "127.0.0.1"
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = directory / self.name
        self.home.mkdir()
        self.env = clean_environment(self.home)
        self.log = directory / f"{self.name}.log"
        self.arguments = ["--port", str(port)] if port else []
        self.child = None

    def start(self):
        self.child = Child([NEXUS, "serve", *self.arguments], self.log, cwd=self.home, env=self.env)
        self.wait_until_up()
        return self


@pytest.fixture
def llama(private_network, directory):
    server = Llama(directory, "chain", port=8080).wait_until_up()
    yield server
    server.stop()


@pytest.fixture
def bare(private_network, directory):
    made = []

    def make(port=None):
        made.append(Bare(directory, port))
        return made[-1]

    yield make
    for peer in made:
        peer.kill()


def test_it_finds_llama_cpp_and_never_itself(bare, llama):
    peer = bare().start()
    peer.wait_for_model(llama.model, deadline=10)
    reply = peer.chat(llama.model)
    assert (reply.status_code, reply.json()["choices"][0]["message"]["content"]) == (200, SENTENCE)
    assert reply.headers["x-nexus-hops"] == "0"
    backends = peer.get("/nexus/v1/backends").json()["backends"]
    assert [(entry["url"].rsplit(":", 1)[1], entry["type"], entry["status"]) for entry in backends] == [
        ("8080", "llamacpp", "healthy")
    ]
    assert [entry["id"] for entry in peer.get("/v1/models").json()["data"]] == [llama.model]


@pytest.mark.parametrize("port", [11434, 1234, 8000, 52415])
def test_it_finds_what_serves_on_each_usual_port(bare, directory, port):
    server = Child([NEXUS, "synthetic", "--port", str(port), "--model", "made-up"], directory / "synthetic.log")
    try:
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=2).status_code == 200, "it is up")
        peer = bare(8500 if port == 8000 else None).start()
        peer.wait_for_model("made-up", deadline=10)
        assert peer.chat("made-up", max_tokens=2).status_code == 200
    finally:
        server.kill()


def test_it_takes_no_other_peer_for_a_backend(bare, llama):
    """Another peer on one of the usual ports is a peer, not a backend, though it lists the same models."""
    other = bare(1234).start()
    peer = bare().start()
    peer.wait_for_model(llama.model, deadline=10)
    wait_for(lambda: len(peer.alive()) == 1, f"the two find each other\n{tail(peer.log.read_text())}", 15)
    for one in (peer, other):
        local = [entry["url"] for entry in one.get("/nexus/v1/backends").json()["backends"] if entry["peer"] == "self"]
        assert [url.rsplit(":", 1)[1] for url in local] in (["8080"], [])
        assert [entry["id"] for entry in one.get("/v1/models").json()["data"]] == [llama.model]


def test_an_empty_machine_serves_too(bare):
    peer = bare().start()
    assert peer.get("/v1/models").json() == {"object": "list", "data": []}
    assert peer.get("/health").json()["status"] == "healthy"
    reply = peer.chat("anything")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
    assert "No models available" in reply.json()["error"]["message"]
    assert peer.stop() == 0


def test_it_finds_what_starts_later(bare, directory):
    peer = bare().start()
    assert peer.models() == set()
    llama = Llama(directory, "chain", port=8080).wait_until_up()
    try:
        peer.wait_for_model(llama.model, deadline=45)
    finally:
        llama.stop()
