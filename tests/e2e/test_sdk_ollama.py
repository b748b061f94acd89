"""Ollama's SDK at one peer, llama.cpp, which knows nothing of its dialect, behind another."""

import json

import ollama
import pytest

from llama import SENTENCE
from sdk import ANSWER, CITY, ONLY_PARIS, THOUGHT, WORDS, ollama_at, openai_at, wait_until_busy, wait_until_let_go

ASKED = [{"role": "user", "content": WORDS}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]


@pytest.fixture
def client(served):
    return ollama_at(served.first.url)


def test_plain(client, served):
    reply = client.chat(served.chain.model, ASKED)
    assert (reply.message.content, reply.done, reply.done_reason) == (SENTENCE, True, "stop")
    assert reply.model == served.chain.model and reply.prompt_eval_count > 0 < reply.eval_count
    assert reply.created_at and reply.total_duration > 0


def test_streaming(client, served):
    parts = list(client.chat(served.chain.model, ASKED, stream=True))
    assert "".join(part.message.content for part in parts) == SENTENCE and len(parts) > 3
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].done_reason == "stop" and parts[-1].eval_count > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_generate(client, served, stream):
    reply = client.generate(served.chain.model, WORDS, system="Be terse.", stream=stream)
    parts = list(reply) if stream else [reply]
    assert ("".join(part.response for part in parts), parts[-1].done) == (SENTENCE, True)


def test_the_length_ends_it(client, served):
    reply = client.chat(served.loop.model, ASKED, options={"num_predict": 5})
    assert (reply.done_reason, reply.eval_count) == ("length", 5)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_is_called_and_its_result_taken(client, served, stream):
    reply = client.chat(served.tools.model, ASKED, tools=TOOLS, stream=stream)
    parts = list(reply) if stream else [reply]
    [message] = [part.message for part in parts if part.message.tool_calls]
    [call] = message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
    history = [*ASKED, message, {"role": "tool", "tool_name": "get_weather", "content": "18 °C"}]
    assert client.chat(served.chain.model, history, tools=TOOLS).message.content == SENTENCE


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thinking(client, served, stream):
    reply = client.chat(served.think.model, ASKED, think=True, stream=stream)
    parts = list(reply) if stream else [reply]
    thought = "".join(part.message.thinking or "" for part in parts)
    assert (thought.strip(), "".join(part.message.content or "" for part in parts)) == (THOUGHT, ANSWER)


def test_structured_output(client, served):
    reply = client.chat(served.chain.model, ASKED, format=ONLY_PARIS, options={"temperature": 0})
    assert json.loads(reply.message.content) == {"city": "Paris"}


def test_embeddings(client, served):
    texts = ["the first text", "and a second one"]
    direct = openai_at(served.chain.url).embeddings.create(
        model=served.chain.model, input=texts, encoding_format="float"
    )
    expected = [entry.embedding for entry in direct.data]
    assert client.embed(served.chain.model, texts).embeddings == [pytest.approx(one, rel=1e-4) for one in expected]
    assert client.embeddings(served.chain.model, texts[0]).embedding == pytest.approx(expected[0], rel=1e-4)


def test_models(client, served):
    assert {one.model for one in served[3:]} <= {model.model for model in client.list().models}
    assert {model.model for model in client.ps().models} <= {one.model for one in served[3:]}
    assert "completion" in client.show(served.loop.model).capabilities
    with pytest.raises(ollama.ResponseError) as refused:
        client.show("absent")
    assert refused.value.status_code == 404 and "absent" in refused.value.error


@pytest.mark.parametrize("how", ["chat", "stream", "generate", "embed"])
def test_an_unknown_model(client, how):
    with pytest.raises(ollama.ResponseError) as refused:
        match how:
            case "embed":
                client.embed("absent", WORDS)
            case "generate":
                client.generate("absent", WORDS)
            case _:
                list(client.chat("absent", ASKED, stream=how == "stream"))
    assert refused.value.status_code == 404 and "absent" in refused.value.error


def test_a_bad_request(client, served):
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat(served.chain.model, ASKED, options={"temperature": "hot"})
    assert refused.value.status_code == 400 and "temperature" in refused.value.error


@pytest.mark.parametrize("work", ["pull", "delete", "copy"])
def test_models_are_not_managed_here(client, work):
    arguments = ("a", "b") if work == "copy" else ("a",)
    with pytest.raises(ollama.ResponseError) as refused:
        getattr(client, work)(*arguments)
    assert refused.value.status_code in (404, 405, 501) and "Nexus" in refused.value.error


def test_a_stream_that_is_left(client, served):
    stream = client.chat(served.loop.model, ASKED, stream=True)
    assert next(stream)
    wait_until_busy(served.loop)
    stream.close()
    wait_until_let_go(served.loop)
