"""A peer: one `nexus serve` with its own port, data directory and configuration, and the command line pointed at it."""

import json
import subprocess

import httpx

from support import NEXUS, Child, clean_environment, free_port, tail, wait_for

BASE = """
data_dir = "{data}"

[server]
host = "{host}"
port = {port}

[discovery]
enabled = {discovery}

[health_check]
interval_seconds = 1
timeout_seconds = 2

[logging]
level = "debug"
format = "json"

[mesh]
name = "{mesh}"
peer_name = "{name}"
mdns = {mdns}
seeds = {seeds}
"""


def backend(name, url, kind="generic", **more):
    """A `[[backends]]` table."""
    fields = {"name": name, "url": url, "type": kind, **more}
    return "\n[[backends]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


class Peer:
    """`seeds` and `mdns` say how it finds others, `extra` is more TOML (it may not repeat a table of BASE)."""

    def __init__(
        self,
        directory,
        name,
        mesh,
        *,
        port=None,
        host="127.0.0.1",
        backends=(),
        extra="",
        seeds=(),
        mdns=False,
        discovery=None,
        env=None,
        prefix=(),
        replace=(),
    ):
        self.name, self.port = name, port or free_port()
        self.host = "127.0.0.1" if host == "0.0.0.0" else host
        self.url = f"http://{self.host}:{self.port}"
        self.seed = f"{self.host}:{self.port + 1}"
        self.home = directory / name
        self.home.mkdir()
        self.config = self.home / "nexus.toml"
        text = BASE.format(
            data=self.home / "data",
            host=host,
            port=self.port,
            mesh=mesh,
            name=name,
            discovery=json.dumps(mdns if discovery is None else discovery),
            mdns=json.dumps(mdns),
            seeds=json.dumps(list(seeds)),
        )
        for old, new in replace:
            assert old in text, old
            text = text.replace(old, new)
        self.config.write_text(text + extra + "".join(backends))
        self.env = clean_environment(self.home, **(env or {}))
        self.prefix = list(prefix)
        self.log = directory / f"{name}.log"
        self.child = None

    def start(self, wait=True):
        self.child = Child(
            [*self.prefix, NEXUS, "serve", "--config", self.config], self.log, cwd=self.home, env=self.env
        )
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self, deadline=10):
        def up():
            assert self.child.running(), (
                f"{self.name} ended with {self.child.process.returncode}\n{tail(self.child.text())}"
            )
            return self.get("/health").status_code == 200

        wait_for(up, f"{self.name} answers on {self.url}\n{tail(self.log.read_text(errors='replace'))}", deadline)

    def kill(self):
        if self.child:
            self.child.kill()

    def stop(self):
        return self.child.stop()

    def get(self, path, **options):
        return httpx.get(self.url + path, timeout=options.pop("timeout", 5), **options)

    def post(self, path, body=None, **options):
        return httpx.post(self.url + path, json=body, timeout=options.pop("timeout", 30), **options)

    def chat(self, model, words="Hello.", timeout=30, headers=None, **more):
        body = {"model": model, "messages": [{"role": "user", "content": words}], **more}
        return self.post("/v1/chat/completions", body, timeout=timeout, headers=headers)

    def explain(self, body):
        """What it would do with `body` now: the whole plan, and each candidate by (peer, backend)."""
        plan = self.post("/nexus/v1/explain", body).json()
        return plan, {(entry["peer"], entry["backend"]): entry for entry in plan["candidates"]}

    def models(self):
        return {entry["id"] for entry in self.get("/v1/models").json()["data"]}

    def wait_for_model(self, model, deadline=15):
        wait_for(
            lambda: model in self.models(),
            f"{self.name} lists {model}\n{tail(self.log.read_text(errors='replace'))}",
            deadline,
        )

    def mesh(self):
        return self.get("/nexus/v1/mesh").json()

    def alive(self):
        """The names of the other peers that it holds for alive."""
        mesh = self.mesh()
        own = mesh["self"]["id"]
        return sorted(peer["name"] for peer in mesh["peers"] if peer["state"] == "alive" and peer["id"] != own)

    def wait_for_peers(self, *names, deadline=15):
        wait_for(
            lambda: self.alive() == sorted(names),
            f"{self.name} sees {names}\n{tail(self.log.read_text(errors='replace'))}",
            deadline,
        )

    def cli(self, *arguments, code=0, config=True, env=None, timeout=30):
        """Runs `nexus` with this peer's configuration; checks the exit code; gives (stdout, stderr)."""
        command = [NEXUS, *arguments, *(["-c", str(self.config)] if config else [])]
        done = subprocess.run(
            command,
            cwd=self.home,
            env=env or self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    def events(self):
        """Its log, one dictionary a line."""
        return [json.loads(line) for line in self.log.read_text(errors="replace").splitlines() if line.startswith("{")]
