"""Anthropic's SDK at one peer, llama.cpp behind another: its own /v1/messages, or Nexus's translation."""

import json

import anthropic
import pytest

from llama import SENTENCE
from sdk import ANSWER, CITY, ONLY_PARIS, THOUGHT, WORDS, anthropic_at, wait_until_busy, wait_until_let_go

ASKED = [{"role": "user", "content": WORDS}]
TOOLS = [{"name": "get_weather", "description": "Weather of a city.", "input_schema": CITY}]


@pytest.fixture
def client(served):
    """Checks every field where Nexus writes the answer itself."""
    return anthropic_at(served.first.url, strict=served.kind == "generic")


def ask(served, model="chain", **more):
    return {"model": getattr(served, model).model, "max_tokens": 200, "messages": ASKED, **more}


def test_plain(client, served):
    reply = client.messages.create(**ask(served, system="Be terse."))
    assert [block.type for block in reply.content] == ["text"]
    assert (reply.content[0].text, reply.stop_reason, reply.role) == (SENTENCE, "end_turn", "assistant")
    assert reply.usage.input_tokens + (reply.usage.cache_read_input_tokens or 0) > 0 < reply.usage.output_tokens


def test_streaming(client, served):
    """The order of events is the one that Anthropic's API has."""
    events = list(client.messages.create(**ask(served), stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == SENTENCE and len(deltas) > 3
    assert [kind for kind in kinds if kind != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    last = next(event for event in events if event.type == "message_delta")
    assert (last.delta.stop_reason, last.usage.output_tokens > 3) == ("end_turn", True)


def test_the_length_ends_it(client, served):
    reply = client.messages.create(**ask(served, "loop", max_tokens=5))
    assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 5)


def test_a_tool_is_called_and_its_result_taken(client, served):
    reply = client.messages.create(**ask(served, "tools", tools=TOOLS))
    [call] = [block for block in reply.content if block.type == "tool_use"]
    assert (call.name, call.input, reply.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 °C"}
    history = [*ASKED, {"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
    again = client.messages.create(**ask(served, messages=history, tools=TOOLS))
    assert again.content[0].text == SENTENCE


def test_a_tool_is_called_in_a_stream(client, served):
    with client.messages.stream(**ask(served, "tools", tools=TOOLS)) as stream:
        parts = [event.partial_json for event in stream if event.type == "input_json"]
        reply = stream.get_final_message()
    assert json.loads("".join(parts)) == {"city": "Paris"}
    [call] = [block for block in reply.content if block.type == "tool_use"]
    assert (call.name, call.input, reply.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")


def test_thinking(client, served):
    fields = ask(served, "think", max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    reply = client.messages.create(**fields)
    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert (reply.content[0].thinking.strip(), reply.content[1].text) == (THOUGHT, ANSWER)
    with client.messages.stream(**fields) as stream:
        thought = [event.thinking for event in stream if event.type == "thinking"]
        final = stream.get_final_message()
    assert ("".join(thought).strip(), final.content[-1].text) == (THOUGHT, ANSWER)
    history = [*ASKED, {"role": "assistant", "content": reply.content}, *ASKED]
    assert client.messages.create(**ask(served, messages=history)).content[0].text == SENTENCE


def test_structured_output(client, served):
    """llama.cpp's own /v1/messages takes no notice of a schema: there it is asked for chat completions."""
    shape = {"format": {"type": "json_schema", "schema": ONLY_PARIS}}
    reply = client.messages.create(**ask(served, output_config=shape), extra_body={"temperature": 0})
    assert json.loads(reply.content[0].text) == {"city": "Paris"}


def test_tokens_are_counted(client, served):
    """llama.cpp counts; a backend that cannot count has Nexus estimate."""
    fields = {"model": served.chain.model, "messages": [{"role": "user", "content": "the quick brown fox " * 50}]}
    direct = anthropic_at(served.chain.url).messages.count_tokens(**fields).input_tokens
    counted = client.messages.count_tokens(**fields).input_tokens
    if served.kind == "llamacpp":
        assert counted == direct
    else:
        assert direct / 3 < counted < direct * 3


def test_models(served):
    client = anthropic_at(served.first.url, strict=True)
    listed = client.models.list()
    assert {one.model for one in served[3:]} <= {model.id for model in listed}
    assert client.models.retrieve(served.chain.model).id == served.chain.model
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.models.retrieve("absent")
    assert refused.value.body["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("how", ["whole", "stream", "count"])
def test_an_unknown_model(client, how):
    fields = {"model": "absent", "messages": ASKED}
    with pytest.raises(anthropic.NotFoundError) as refused:
        if how == "count":
            client.messages.count_tokens(**fields)
        else:
            client.messages.create(**fields, max_tokens=5, stream=how == "stream")
    error = refused.value
    assert (error.status_code, error.body["type"], error.body["error"]["type"]) == (404, "error", "not_found_error")
    assert "absent" in error.body["error"]["message"]


@pytest.mark.parametrize("fields", [{"messages": "no list"}, {"messages": [{"role": 7}]}, {"max_tokens": "many"}])
def test_a_bad_request(client, served, fields):
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(**ask(served, **fields))
    body = refused.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error") and body["error"]["message"]


def test_a_stream_that_is_left(client, served):
    with client.messages.stream(**ask(served, "loop", max_tokens=50_000)) as stream:
        assert next(iter(stream.text_stream))
        wait_until_busy(served.loop)
    wait_until_let_go(served.loop)
