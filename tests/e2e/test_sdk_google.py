"""Google's SDK at one peer, llama.cpp, which knows nothing of its dialect, behind another."""

import json

import pytest
from google.genai import errors, types

from llama import SENTENCE
from sdk import ANSWER, CITY, ONLY_PARIS, THOUGHT, WORDS, google_at, openai_at, wait_until_busy, wait_until_let_go

DECLARATION = {"name": "get_weather", "description": "Weather of a city.", "parameters_json_schema": CITY}
TOOLS = [{"function_declarations": [DECLARATION]}]


@pytest.fixture
def client(served):
    return google_at(served.first.url)


def test_plain(client, served):
    reply = client.models.generate_content(
        model=served.chain.model, contents=WORDS, config={"system_instruction": "Be terse."}
    )
    assert (reply.text, reply.candidates[0].finish_reason) == (SENTENCE, types.FinishReason.STOP)
    used = reply.usage_metadata
    assert used.total_token_count == used.prompt_token_count + used.candidates_token_count > 0


def test_streaming(client, served):
    parts = list(client.models.generate_content_stream(model=served.chain.model, contents=WORDS))
    assert "".join(part.text or "" for part in parts) == SENTENCE and len(parts) > 3
    assert parts[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert parts[-1].usage_metadata.candidates_token_count > 3


def test_the_length_ends_it(client, served):
    reply = client.models.generate_content(model=served.loop.model, contents=WORDS, config={"max_output_tokens": 5})
    assert reply.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_is_called_and_its_result_taken(client, served, stream):
    fields = {"model": served.tools.model, "contents": WORDS, "config": {"tools": TOOLS}}
    if stream:
        parts = list(client.models.generate_content_stream(**fields))
        [reply] = [part for part in parts if part.function_calls]
    else:
        reply = client.models.generate_content(**fields)
    [call] = reply.function_calls
    assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
    result = types.Part.from_function_response(name=call.name, response={"output": "18 °C"})
    history = [
        types.UserContent(WORDS),
        reply.candidates[0].content,
        types.UserContent(result),
    ]
    again = client.models.generate_content(model=served.chain.model, contents=history, config={"tools": TOOLS})
    assert again.text == SENTENCE


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thinking(client, served, stream):
    thinking = {"thinking_config": {"include_thoughts": True, "thinking_budget": 1024}}
    fields = {"model": served.think.model, "contents": WORDS, "config": thinking}
    if stream:
        replies = list(client.models.generate_content_stream(**fields))
    else:
        replies = [client.models.generate_content(**fields)]
    parts = [part for reply in replies for part in reply.candidates[0].content.parts or []]
    assert "".join(part.text for part in parts if part.thought).strip() == THOUGHT
    assert "".join(part.text or "" for part in parts if not part.thought) == ANSWER


def test_structured_output(client, served):
    shape = {"response_mime_type": "application/json", "response_json_schema": ONLY_PARIS, "temperature": 0}
    reply = client.models.generate_content(model=served.chain.model, contents=WORDS, config=shape)
    assert json.loads(reply.text) == {"city": "Paris"}


def test_embeddings(client, served):
    texts = ["the first text", "and a second one"]
    direct = openai_at(served.chain.url).embeddings.create(
        model=served.chain.model, input=texts, encoding_format="float"
    )
    reply = client.models.embed_content(model=served.chain.model, contents=texts)
    assert [one.values for one in reply.embeddings] == [
        pytest.approx(entry.embedding, rel=1e-4) for entry in direct.data
    ]
    single = client.models.embed_content(model=served.chain.model, contents=texts[0])
    assert single.embeddings[0].values == pytest.approx(direct.data[0].embedding, rel=1e-4)


def test_tokens_are_counted(client, served):
    words = "the quick brown fox " * 50
    counted = client.models.count_tokens(model=served.chain.model, contents=words).total_tokens
    direct = client.models.generate_content(model=served.chain.model, contents=words)
    true = direct.usage_metadata.prompt_token_count
    if served.kind == "llamacpp":
        assert counted == true
    else:
        assert true / 3 < counted < true * 3


def test_models(client, served):
    assert {f"models/{one.model}" for one in served[3:]} <= {model.name for model in client.models.list()}
    assert client.models.get(model=served.chain.model).name == f"models/{served.chain.model}"
    with pytest.raises(errors.ClientError) as refused:
        client.models.get(model="absent")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("how", ["whole", "stream", "count", "embed"])
def test_an_unknown_model(client, how):
    with pytest.raises(errors.ClientError) as refused:
        match how:
            case "whole":
                client.models.generate_content(model="absent", contents=WORDS)
            case "stream":
                list(client.models.generate_content_stream(model="absent", contents=WORDS))
            case "count":
                client.models.count_tokens(model="absent", contents=WORDS)
            case _:
                client.models.embed_content(model="absent", contents=WORDS)
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
    assert "absent" in refused.value.message


def test_a_bad_request(client, served):
    """A role that there is not."""
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(
            model=served.chain.model, contents=[{"role": "narrator", "parts": [{"text": WORDS}]}]
        )
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert "role" in refused.value.message


def test_a_stream_that_is_left(client, served):
    stream = client.models.generate_content_stream(model=served.loop.model, contents=WORDS)
    assert next(stream)
    wait_until_busy(served.loop)
    stream.close()
    wait_until_let_go(served.loop)
