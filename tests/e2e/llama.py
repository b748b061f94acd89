"""A real llama.cpp server on a tiny model whose answers are known (scripts/tiny_llama)."""

import re
import signal
import sys

import httpx

from support import ROOT, Child, free_port, tail, wait_for

SENTENCE = "Hello from the tiny Nexus test model: every token you read was streamed by a real llama-server."


class Llama:
    """`kind` is `chain` (always answers SENTENCE) or `loop` (never ends by itself). The more `layers`, the slower; `name`
    is what it calls its model. It has two slots, which share `context` tokens."""

    def __init__(self, directory, kind, *, port=None, embeddings=False, name=None, layers=1, context=131072):
        self.port, self.model = port or free_port(), name or f"tiny-{kind}"
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, ROOT / "scripts/tiny_llama/serve.py", kind, self.port, "--name", self.model]
        command += ["--layers", layers, "--ctx", context]
        self.child = Child(command + (["--embeddings"] if embeddings else []), directory / f"llama-{self.port}.log")

    def wait_until_up(self):
        def up():
            assert self.child.running(), tail(self.child.text())
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200

        wait_for(up, f"llama.cpp answers on {self.url}", 60)
        return self

    def busy_slots(self):
        return [slot["id"] for slot in httpx.get(f"{self.url}/slots", timeout=2).json() if slot["is_processing"]]

    def deferred(self):
        """Requests that wait inside the server, because it was given more than it has slots."""
        text = httpx.get(f"{self.url}/metrics", timeout=2).text
        return float(re.search(r"^llamacpp:requests_deferred (\S+)", text, re.MULTILINE)[1])

    def halt(self):
        """It does nothing any more, and its connections stay."""
        self.child.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.child.kill()
