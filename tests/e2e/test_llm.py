"""`llm`, the command line, with a peer as one more model of OpenAI's kind."""

import subprocess
import sys

import pytest

from llama import SENTENCE
from support import clean_environment


@pytest.mark.parametrize("options", [["--no-stream"], []], ids=["whole", "stream"])
def test_llm(served, directory, options):
    (directory / "extra-openai-models.yaml").write_text(
        f"- model_id: nexus\n  model_name: {served.chain.model}\n  api_base: {served.first.url}/v1\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", "nexus", *options, "--key", "not-needed", "What do you say?"],
        env=clean_environment(directory, LLM_USER_PATH=str(directory)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == (SENTENCE, 0), done.stderr
