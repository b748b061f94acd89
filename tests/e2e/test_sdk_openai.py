"""OpenAI's SDK at one peer, llama.cpp behind another: chat completions pass through, responses are its own or Nexus's."""

import json

import openai
import pytest

from llama import SENTENCE
from sdk import ANSWER, CITY, ONLY_PARIS, THOUGHT, WORDS, openai_at, wait_until_busy, wait_until_let_go

ASKED = [{"role": "user", "content": WORDS}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
# llama.cpp tells the whole of it, Nexus what OpenAI's own clients show: a summary.
THINKING = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
RESPONSE_TOOLS = [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": False}]


@pytest.fixture
def client(served):
    return openai_at(served.first.url)


@pytest.fixture
def responses(served):
    """Checks every field where Nexus writes the answer itself."""
    return openai_at(served.first.url, strict=served.kind == "generic").responses


def told(stream):
    return [chunk.choices[0].delta for chunk in stream if chunk.choices]


def test_plain(client, served):
    reply = client.chat.completions.create(model=served.chain.model, messages=ASKED)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (SENTENCE, "stop")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


def test_streaming(client, served):
    deltas = told(client.chat.completions.create(model=served.chain.model, messages=ASKED, stream=True))
    assert "".join(delta.content or "" for delta in deltas) == SENTENCE and len(deltas) > 3


def test_a_tool_is_called(client, served):
    reply = client.chat.completions.create(model=served.tools.model, messages=ASKED, tools=TOOLS)
    [call] = reply.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    assert reply.choices[0].finish_reason == "tool_calls" and call.id


def test_a_tool_is_called_in_a_stream(client, served):
    with client.chat.completions.stream(model=served.tools.model, messages=ASKED, tools=TOOLS) as stream:
        choice = stream.get_final_completion().choices[0]
    [call] = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    assert choice.finish_reason == "tool_calls"


def test_a_tool_result_is_taken(client, served):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    history = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 °C"},
    ]
    reply = client.chat.completions.create(model=served.chain.model, messages=history, tools=TOOLS)
    assert reply.choices[0].message.content == SENTENCE


def test_reasoning(client, served):
    message = client.chat.completions.create(model=served.think.model, messages=ASKED).choices[0].message
    assert (message.reasoning_content.strip(), message.content) == (THOUGHT, ANSWER)
    deltas = told(client.chat.completions.create(model=served.think.model, messages=ASKED, stream=True))
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert (thought.strip(), "".join(delta.content or "" for delta in deltas)) == (THOUGHT, ANSWER)


def test_structured_output(client, served):
    schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": ONLY_PARIS, "strict": True}}
    reply = client.chat.completions.create(
        model=served.chain.model, messages=ASKED, response_format=schema, temperature=0
    )
    assert json.loads(reply.choices[0].message.content) == {"city": "Paris"}


def test_embeddings(client, served):
    """The SDK asks for base64 by itself."""
    reply = client.embeddings.create(model=served.chain.model, input=["the first text", "and a second one"])
    direct = openai_at(served.chain.url).embeddings.create(
        model=served.chain.model, input=["the first text", "and a second one"]
    )
    assert [entry.embedding for entry in reply.data] == [entry.embedding for entry in direct.data]


def test_models(served):
    client = openai_at(served.first.url, strict=True)
    assert {one.model for one in served[3:]} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(served.chain.model).id == served.chain.model
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("absent")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", ["chat", "responses", "embeddings"])
def test_an_unknown_model(client, api, stream):
    with pytest.raises(openai.NotFoundError) as refused:
        match api:
            case "chat":
                client.chat.completions.create(model="absent", messages=ASKED, stream=stream)
            case "responses":
                client.responses.create(model="absent", input=WORDS, stream=stream)
            case _:
                client.embeddings.create(model="absent", input=WORDS)
    error = refused.value
    assert (error.status_code, error.code, error.type) == (404, "model_not_found", "invalid_request_error")
    assert "absent" in error.message and error.request_id.startswith("req-")


@pytest.mark.parametrize("fields", [{"messages": "no list"}, {"messages": [{"role": 7}]}, {"temperature": "hot"}])
def test_a_bad_request(client, served, fields):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": served.chain.model, "messages": ASKED, **fields})
    assert refused.value.type == "invalid_request_error" and refused.value.message


def test_a_stream_that_is_left(client, served):
    stream = client.chat.completions.create(model=served.loop.model, messages=ASKED, stream=True)
    assert next(stream)
    wait_until_busy(served.loop)
    stream.close()
    wait_until_let_go(served.loop)


def test_responses(responses, served):
    reply = responses.create(model=served.chain.model, input=WORDS, instructions="Be terse.")
    assert (reply.output_text, reply.status, reply.object) == (SENTENCE, "completed", "response")
    assert [item.type for item in reply.output] == ["message"]
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0


def test_responses_streaming(responses, served):
    """Everything is opened before it is told and closed after it, in the order that OpenAI's API has."""
    events = list(responses.create(model=served.chain.model, input=WORDS, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == SENTENCE and len(deltas) > 3
    assert [kind for kind in kinds if kind != "output_text.delta"] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[-1].response.output_text == SENTENCE
    if served.kind == "generic":
        assert [event.sequence_number for event in events] == list(range(len(events)))


def test_responses_call_a_tool(responses, served):
    reply = responses.create(model=served.tools.model, input=WORDS, tools=RESPONSE_TOOLS)
    [call] = [item for item in reply.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    again = responses.create(
        model=served.chain.model,
        tools=RESPONSE_TOOLS,
        input=[
            {"role": "user", "content": WORDS},
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"},
        ],
    )
    assert again.output_text == SENTENCE


def test_responses_call_a_tool_in_a_stream(responses, served):
    events = list(responses.create(model=served.tools.model, input=WORDS, tools=RESPONSE_TOOLS, stream=True))
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == {"city": "Paris"}
    [done] = [event for event in events if event.type == "response.output_item.done"]
    assert (done.item.type, done.item.name, json.loads(done.item.arguments)) == (
        "function_call",
        "get_weather",
        {"city": "Paris"},
    )
    assert events[-1].type == "response.completed"


def test_responses_reason(responses, served):
    reply = responses.create(model=served.think.model, input=WORDS)
    assert (reply.output_text, [item.type for item in reply.output]) == (ANSWER, ["reasoning", "message"])
    thought = reply.output[0]
    assert (thought.content or thought.summary)[0].text.strip() == THOUGHT
    events = list(responses.create(model=served.think.model, input=WORDS, stream=True))
    assert "".join(event.delta for event in events if event.type in THINKING).strip() == THOUGHT
    assert events[-1].response.output_text == ANSWER


def test_responses_keep_to_a_schema(responses, served):
    """llama.cpp\'s own /v1/responses takes no notice of a schema: there it is asked for chat completions."""
    shape = {"type": "json_schema", "name": "city", "schema": ONLY_PARIS, "strict": True}
    reply = responses.create(model=served.chain.model, input=WORDS, text={"format": shape}, temperature=0)
    assert json.loads(reply.output_text) == {"city": "Paris"}


def test_responses_are_not_remembered(responses, served):
    """No peer keeps conversations: to answer without what was said before would be worse than to refuse."""
    with pytest.raises(openai.BadRequestError) as refused:
        responses.create(model=served.chain.model, input=WORDS, previous_response_id="resp_1")
    assert "previous_response_id" in refused.value.message


def test_a_stream_of_responses_that_is_left(responses, served):
    stream = responses.create(model=served.loop.model, input=WORDS, stream=True)
    assert next(stream)
    wait_until_busy(served.loop)
    stream.close()
    wait_until_let_go(served.loop)
