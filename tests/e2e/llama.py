"""A real llama.cpp server on a tiny model whose answers are known (scripts/tiny_llama)."""

import sys

import httpx

from support import ROOT, Child, free_port, tail, wait_for

SENTENCE = "Hello from the tiny Nexus test model: every token you read was streamed by a real llama-server."


class Llama:
    """`kind` is `chain` (always answers SENTENCE) or `loop` (never ends by itself)."""

    def __init__(self, directory, kind, *, port=None, embeddings=False):
        self.port, self.model = port or free_port(), f"tiny-{kind}"
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, ROOT / "scripts/tiny_llama/serve.py", kind, self.port]
        self.child = Child(command + (["--embeddings"] if embeddings else []), directory / f"llama-{kind}.log")

    def wait_until_up(self):
        def up():
            assert self.child.running(), tail(self.child.text())
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200

        wait_for(up, f"llama.cpp answers on {self.url}", 60)
        return self

    def busy_slots(self):
        return [slot["id"] for slot in httpx.get(f"{self.url}/slots", timeout=2).json() if slot["is_processing"]]

    def stop(self):
        self.child.kill()
