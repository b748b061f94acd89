"""Claude Code at one peer, llama.cpp behind another: its own /v1/messages, or Nexus's translation."""

import json

import pytest

import agent
from fake_cloud import WORDS
from llama import SENTENCE

pytestmark = pytest.mark.agents
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def settings(url, model):
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "test",
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        **QUIET,
    }


def claude(home, *arguments, **env):
    return agent.run("claude", ["-p", "say hi", *arguments], home, **env)


def test_it_is_answered(served, directory):
    env = settings(served.first.url, served.chain.model)
    reply = json.loads(claude(directory / "home", "--output-format", "json", **env))
    assert (reply["result"], reply["is_error"], reply["num_turns"]) == (SENTENCE, False, 1)
    used = reply["modelUsage"][served.chain.model]
    assert used["inputTokens"] + used["cacheReadInputTokens"] > 5000 and used["outputTokens"] > 3


def test_it_is_answered_in_a_stream(served, directory):
    env = settings(served.first.url, served.chain.model)
    options = ["--output-format", "stream-json", "--verbose", "--include-partial-messages"]
    lines = [json.loads(line) for line in claude(directory / "home", *options, **env).splitlines()]
    events = [line["event"] for line in lines if line["type"] == "stream_event"]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == SENTENCE and len(deltas) > 3
    assert lines[-1]["result"] == SENTENCE


def test_a_thinking_model(served, directory):
    env = settings(served.first.url, served.think.model)
    reply = json.loads(claude(directory / "home", "--output-format", "json", **env))
    assert (reply["result"], reply["is_error"]) == ("Forty-two.", False)


@pytest.mark.parametrize("model", ["claude-tool", "gemini-tool"])
def test_a_tool_call_goes_round(clouded, directory, model):
    """The fake calls a tool that there is not, is told so, and answers in words. No real model is let call tools here: llama.cpp
    makes the tiny one fill in whatever a tool takes, and a coding agent would do that."""
    options = ["--output-format", "stream-json", "--verbose"]
    lines = [
        json.loads(line)
        for line in claude(directory / "home", *options, **settings(clouded[0].url, model)).splitlines()
    ]
    blocks = [block for line in lines if line["type"] == "assistant" for block in line["message"]["content"]]
    [call] = [block for block in blocks if block["type"] == "tool_use"]
    assert (call["name"], call["input"]) == ("get_weather", {"city": "Paris"})
    assert (lines[-1]["result"], lines[-1]["num_turns"]) == ("".join(WORDS), 2)


@pytest.mark.parametrize("model", ["claude-think", "gemini-think"])
def test_a_cloud_that_thinks(clouded, directory, model):
    reply = json.loads(claude(directory / "home", "--output-format", "json", **settings(clouded[0].url, model)))
    assert (reply["result"], reply["is_error"]) == ("".join(WORDS), False)


def test_an_unknown_model_is_named(served, directory):
    env = settings(served.first.url, "absent")
    with pytest.raises(AssertionError, match="absent"):
        claude(directory / "home", "--output-format", "json", **env)


def test_connect_is_all_it_takes(served, directory):
    """What `nexus connect claude --write` puts in place, and nothing else."""
    home = directory / "home"
    home.mkdir()
    served.first.cli(
        "connect", "claude", "--write", "--model", served.chain.model, env=served.first.env | {"HOME": str(home)}
    )
    assert claude(home, "--output-format", "text", **QUIET).strip() == SENTENCE
