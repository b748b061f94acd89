"""Codex at one peer, llama.cpp behind another: its own /v1/responses, or Nexus's translation."""

import json

import pytest

import agent
from fake_cloud import WORDS
from llama import SENTENCE

pytestmark = pytest.mark.agents


def codex(home, *options, **env):
    """The events of a run, as it prints them."""
    out = agent.run("codex", ["exec", "--skip-git-repo-check", "--json", *options, "say hi"], home, **env)
    return [json.loads(line) for line in out.splitlines()]


def provider(url, model):
    table = f'{{name="nx",base_url="{url}/v1",env_key="NX_KEY",wire_api="responses"}}'
    return ["-c", "model_provider=nx", "-c", f"model={model}", "-c", f"model_providers.nx={table}"]


def said(events):
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item["text"] for item in items if item["type"] == "agent_message"]


def test_it_is_answered(served, directory):
    events = codex(directory / "home", *provider(served.first.url, served.chain.model), NX_KEY="test")
    assert said(events) == [SENTENCE]
    assert events[-1]["type"] == "turn.completed" and events[-1]["usage"]["input_tokens"] > 3000


def test_a_thinking_model(served, directory):
    events = codex(directory / "home", *provider(served.first.url, served.think.model), NX_KEY="test")
    assert said(events) == ["Forty-two."]


@pytest.mark.parametrize("model", ["claude-tool", "gemini-tool"])
def test_a_tool_call_goes_round(clouded, directory, model):
    """The fake calls a tool that there is not, is told so, and answers in words."""
    events = codex(directory / "home", *provider(clouded[0].url, model), NX_KEY="test")
    assert said(events)[-1] == "".join(WORDS)


def test_connect_is_all_it_takes(served, directory):
    """What `nexus connect codex --write` puts in place, and nothing else."""
    home = directory / "home"
    home.mkdir()
    served.first.cli(
        "connect", "codex", "--write", "--model", served.chain.model, env=served.first.env | {"HOME": str(home)}
    )
    assert said(codex(home)) == [SENTENCE]
