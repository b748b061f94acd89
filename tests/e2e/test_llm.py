"""`llm`, the command line, with a peer as one more model of OpenAI's kind, and as the Ollama of its plugin."""

import subprocess
import sys

import pytest

from llama import SENTENCE
from sdk import ANSWER
from support import clean_environment


def llm(directory, *arguments, **env):
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        env=clean_environment(directory, LLM_USER_PATH=str(directory), **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WAYS = pytest.mark.parametrize("options", [["--no-stream"], []], ids=["whole", "stream"])


@WAYS
def test_as_openai(served, directory, options):
    (directory / "extra-openai-models.yaml").write_text(
        f"- model_id: nexus\n  model_name: {served.chain.model}\n  api_base: {served.first.url}/v1\n"
    )
    assert llm(directory, "-m", "nexus", *options, "--key", "not-needed", "What do you say?") == SENTENCE


@WAYS
def test_as_ollama(served, directory, options):
    """The plugin takes models of one digest for one model."""
    for server, expected in ((served.chain, SENTENCE), (served.think, ANSWER)):
        model = f"ollama/{server.model}"
        said = llm(directory, "-m", model, *options, "What do you say?", OLLAMA_HOST=served.first.url)
        assert said.endswith(expected)
