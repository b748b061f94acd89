"""A mesh of real processes: three peers, each with a made-up backend of its own."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEXUS = os.environ.get("NEXUS_BIN", str(ROOT / "target/release/nexus"))
KEPT = Path(os.environ.get("NEXUS_BROWSER_DIR", str(ROOT / "target/browser")))
TOKEN = "a-token-for-the-tests-only"
# 256 bits of no secret.
KEY = "a" * 52

CONFIG = """
data_dir = "{data}"
{backends}
[server]
host = "127.0.0.1"
port = {port}
[discovery]
enabled = false
[health_check]
interval_seconds = 1
[logging]
format = "json"
{auth}
[mesh]
name = "browser"
peer_name = "{name}"
key = "{key}"
mdns = false
seeds = {seeds}
gossip_interval_ms = 200
suspect_after_ms = 2000
dead_after_ms = 6000
"""


def wait_for(condition, what, deadline=15.0, pause=0.05):
    """Returns the first truthy answer of `condition`."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(pause)


def free_port():
    """A TCP port that is free, with the UDP port after it free as well."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            if port in _given or port + 1 in _given or port >= 65535:
                continue
            try:
                udp.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            _given.update((port, port + 1))
            return port


_given: set[int] = set()


class Child:
    """A process whose output is kept."""

    def __init__(self, arguments, log, env):
        self.log = Path(log)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Peer:
    def __init__(self, directory, name, seeds=(), model=None, speed=60, admin=False, key=KEY):
        self.name, self.port, self.model = name, free_port(), model or f"demo-{name}"
        self.url, self.seed = f"http://127.0.0.1:{self.port}", f"127.0.0.1:{self.port + 1}"
        backend = free_port()
        env = {"PATH": os.environ["PATH"], "HOME": str(directory), "NO_COLOR": "1"}
        models = [argument for model in (self.model, "demo-shared") for argument in ("--model", model)]
        speed = ["--tokens-per-second", str(speed), "--slots", "2"]
        self.backend = Child(
            [NEXUS, "synthetic", "--port", str(backend), *models, *speed], directory / f"{name}-backend.log", env
        )
        wait_for(lambda: answers(f"http://127.0.0.1:{backend}/v1/models"), "the made-up backend answers")
        config = directory / f"{name}.toml"
        table = f'[[backends]]\nname = "{name}-gpu"\nurl = "http://127.0.0.1:{backend}"\ntype = "generic"\n'
        auth = '[auth]\nadmin_token_env = "TEST_ADMIN_TOKEN"\n' if admin else ""
        config.write_text(
            CONFIG.format(
                data=directory / f"{name}-data", backends=table, port=self.port, auth=auth, name=name, key=key,
                seeds=json.dumps(list(seeds)),
            )
        )  # fmt: skip
        env["TEST_ADMIN_TOKEN"] = TOKEN
        self.child = Child([NEXUS, "serve", "--config", str(config)], directory / f"{name}.log", env)

    def models(self):
        try:
            return {entry["id"] for entry in get(f"{self.url}/v1/models")["data"]}
        except OSError:
            return set()

    def chat(self, model, stream=False, words="Hello"):
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": words}]}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        return urllib.request.urlopen(request, timeout=30)

    def kill(self):
        self.child.kill()
        self.backend.kill()


def get(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return json.load(reply)


def answers(url):
    try:
        return get(url)
    except OSError:
        return None


def start(directory, admin=False):
    """Three peers that know each other's models."""
    first = Peer(directory, "attic", admin=admin)
    peers = [first]
    try:
        wait_for(lambda: first.models(), "the first peer answers")
        peers.append(Peer(directory, "cellar", seeds=[first.seed], speed=30))
        peers.append(Peer(directory, "desk", seeds=[first.seed], speed=15))
        everything = {"demo-shared"} | {peer.model for peer in peers}
        wait_for(lambda: all(everything <= peer.models() for peer in peers), "every peer knows every model", 30)
    except BaseException:
        stop(peers)
        raise
    return peers


def stop(peers):
    for peer in peers:
        peer.kill()
