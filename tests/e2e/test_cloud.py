"""Every SDK at one peer, Anthropic's and Google's APIs behind another, which alone has their keys. The fakes refuse what the
vendors would refuse, so that an answer says as much about the request as about itself."""

import json
import re

import anthropic
import httpx
import openai
import pydantic
import pytest

from fake_cloud import CACHED, PROMPT, THOUGHT, WORDS, WRITTEN
from sdk import anthropic_at, google_at, ollama_at, openai_at
from speakers import PIXEL_TEXT, SPEAKERS, TOOL, Ask, Chat, Google, Messages, Ollama, Responses, Results, User

SAID = "".join(WORDS)
PARIS, ROME = {"city": "Paris"}, {"city": "Rome"}


@pytest.fixture
def pair(clouded):
    return clouded


@pytest.fixture(params=["claude", "gemini"])
def cloud(request, clouds):
    return clouds[request.param == "gemini"]


@pytest.fixture(params=SPEAKERS, ids=lambda kind: kind.__name__.lower())
def client(request, pair, cloud):
    """Strict about every field but where a vendor's answer passes as it is."""
    relayed = request.param is Messages and cloud.prefix == "claude"
    return request.param(pair[0].url, **({"strict": False} if relayed else {}))


@pytest.fixture(params=["say", "stream"])
def ask(request, client, cloud):
    """Asks for the model that does something, whole or as a stream."""

    def ask(what, *turns, **fields):
        turns = list(turns) or [User("Say hello.")]
        return getattr(client, request.param)(Ask(f"{cloud.prefix}-{what}", turns, **fields))

    ask.is_stream = request.param == "stream"
    return ask


def sent(cloud):
    """The last request, and all its words."""
    call = cloud.asked()
    return call, json.dumps(call.body, ensure_ascii=False)


def counts(answer, client, cloud):
    """Ollama has no word for what was read before."""
    cached = answer.cached if not isinstance(client, Ollama) else CACHED
    return (answer.prompt, cached, answer.written) == (PROMPT, CACHED, WRITTEN)


def test_plain(ask, client, cloud):
    answer = ask("fine")
    assert (answer.text, answer.thought, answer.calls, answer.finish) == (SAID, "", [], "stop")
    assert counts(answer, client, cloud), answer


def test_keys_stand_where_the_vendor_looks_for_them(ask, cloud):
    """The client's own key goes nowhere."""
    ask("fine")
    headers = cloud.asked().headers
    here, elsewhere = ("x-api-key", "x-goog-api-key")[:: 1 if cloud.prefix == "claude" else -1]
    assert headers[here] == cloud.key and elsewhere not in headers and "authorization" not in headers
    assert ("anthropic-version" in headers) == (cloud.prefix == "claude")
    assert "not-needed" not in json.dumps(headers) and not any(name.startswith("x-nexus") for name in headers)


def test_instructions_and_history(ask, client, cloud):
    before = ask("fine", User("Say hello."))
    before = before if before.raw else ask("fine")
    answer = ask("fine", User("Say hello."), before, User("And again, to Zoë 🙂."), system="You are terse.")
    _, text = sent(cloud)
    assert answer.text == SAID
    assert all(words in text for words in ("You are terse.", "Say hello.", *WORDS, "And again, to Zoë 🙂."))


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_in_mid_conversation(pair, cloud, role):
    """Agents remind their models so: the words must arrive, in whatever place the vendor has for them."""
    messages = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Say hello."},
        {"role": role, "content": "Speak French."},
        {"role": "assistant", "content": "Bonjour."},
        {"role": "user", "content": "Again."},
    ]
    reply = openai_at(pair[0].url).chat.completions.create(model=f"{cloud.prefix}-fine", messages=messages)
    assert reply.choices[0].message.content == SAID and "Speak French." in sent(cloud)[1]


def test_an_image(ask, cloud):
    assert ask("fine", User("What is this?", image=True)).text == SAID
    _, text = sent(cloud)
    assert "image/png" in text and PIXEL_TEXT in text.replace("-", "+").replace("_", "/")


def test_a_stop_word(ask, client, cloud):
    if isinstance(client, Responses):
        pytest.skip("responses have no stop words")
    assert ask("fine", stop="END").finish == "stop"
    assert '"END"' in sent(cloud)[1]


def test_the_limit(ask, client, cloud):
    assert ask("long", limit=77).finish == "length"
    assert re.search(r'"(max_tokens|maxOutputTokens)": 77\b', sent(cloud)[1])


def test_a_tool(ask, cloud):
    question = User("Weather in Paris?")
    answer = ask("tool", question, tools=True)
    assert [call[1:] for call in answer.calls] == [(TOOL, PARIS)]
    assert (answer.text, answer.finish) == ("Let me look.", "tools")
    after = ask("fine", question, answer, Results(["18 °C"]), User("Thanks."), tools=True)
    assert after.text == SAID
    assert "18 °C" in sent(cloud)[1] and "Thanks." in sent(cloud)[1]


def test_two_tools_at_once(ask, cloud):
    question = User("Weather in Paris and Rome?")
    answer = ask("parallel", question, tools=True)
    assert [call[1:] for call in answer.calls] == [(TOOL, PARIS), (TOOL, ROME)] and answer.finish == "tools"
    after = ask("fine", question, answer, Results(["18 °C", "24 °C"]), tools=True)
    _, text = sent(cloud)
    assert after.text == SAID and text.index("18 °C") < text.index("24 °C")


def get_weather(city: str) -> str:
    """Weather of a city.

    Args:
        city: its name
    """
    return f"18 °C in {city}"


def test_googles_sdk_calls_functions_by_itself(pair, cloud):
    client = google_at(pair[0].url)
    reply = client.models.generate_content(
        model=f"{cloud.prefix}-tool", contents="Weather in Paris?", config={"tools": [get_weather]}
    )
    assert reply.text == SAID and "18 °C in Paris" in sent(cloud)[1]


def test_anthropics_sdk_calls_functions_by_itself(pair, cloud):
    """It would like the server to keep the conversation, and goes on without where it is refused in the right words."""
    client = anthropic_at(pair[0].url)
    runner = client.beta.messages.tool_runner(
        model=f"{cloud.prefix}-tool",
        max_tokens=200,
        messages=[{"role": "user", "content": "Weather in Paris?"}],
        tools=[anthropic.beta_tool(get_weather)],
    )
    assert runner.until_done().content[0].text == SAID
    assert "18 °C in Paris" in sent(cloud)[1]


def test_ollamas_sdk_makes_a_tool_of_a_function(pair, cloud):
    client, turns = ollama_at(pair[0].url), [{"role": "user", "content": "Weather in Paris?"}]
    message = client.chat(f"{cloud.prefix}-tool", turns, tools=[get_weather]).message
    [call] = message.tool_calls
    result = {"role": "tool", "tool_name": call.function.name, "content": get_weather(**call.function.arguments)}
    again = client.chat(f"{cloud.prefix}-tool", [*turns, message, result], tools=[get_weather])
    assert again.message.content == SAID and "18 °C in Paris" in sent(cloud)[1]


def test_openais_sdk_makes_a_tool_of_a_model(pair, cloud):
    class GetWeather(pydantic.BaseModel):
        """Weather of a city."""

        city: str

    tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
    reply = openai_at(pair[0].url, strict=True).chat.completions.parse(
        model=f"{cloud.prefix}-tool", messages=[{"role": "user", "content": "Weather in Paris?"}], tools=[tool]
    )
    [call] = reply.choices[0].message.tool_calls
    assert call.function.parsed_arguments == GetWeather(city="Paris")


def test_thinking(ask, client, cloud):
    answer = ask("think", thinks=True, limit=4000)
    assert (answer.thought, answer.text, answer.finish) == (THOUGHT, SAID, "stop")
    assert answer.written == WRITTEN
    if isinstance(client, Messages | Google):
        again = ask("fine", User("Say hello."), answer, User("Again."), limit=4000)
        assert again.text == SAID, "what was thought goes back as it came"


def test_a_temperature_beyond_a_vendors_range(client, cloud):
    """Some dialects go to 2, Anthropic's to 1. It is refused, or brought into range: no error of the vendor's about words that the
    client has not used."""
    if isinstance(client, Messages):
        pytest.skip("the SDK has no temperature any more")
    try:
        answer = client.say(Ask(f"{cloud.prefix}-fine", [User("Say hello.")], fields={"temperature": 1.5}))
    except client.errors as error:
        status, message = client.told(error)
        assert status == 400 and "temperature" in message and cloud.prefix == "claude"
    else:
        assert answer.text == SAID


@pytest.mark.parametrize(
    "what,claude,gemini",
    [
        ("bad", 400, 400),
        ("limited", 429, 429),
        ("overloaded", 529, 503),
    ],
)
def test_errors_are_told_in_the_clients_words(ask, client, cloud, what, claude, gemini):
    expected = claude if cloud.prefix == "claude" else gemini
    words = {"bad": "m", "limited": "limit|quota", "overloaded": "verloaded"}[what]
    with pytest.raises(client.errors) as refused:
        ask(what)
    status, message = client.told(refused.value)
    assert re.search(words, message), message
    # An overload of somebody else's server is told as such, not as a fault of the request.
    assert status == expected or (what == "overloaded" and status in (502, 503, 529)), (status, message)


@pytest.mark.parametrize("what", ["unauthorised", "gone", "echo-key"])
def test_trouble_of_the_peer_with_its_vendor(ask, client, cloud, what):
    """The key is the second peer's, and the list of models said that there is one: no fault of the client, who cannot mend it."""
    with pytest.raises(client.errors) as refused:
        ask(what)
    status, message = client.told(refused.value)
    assert status in ((404, 502, 503) if what == "gone" else (401, 500, 502, 503)), (status, message)
    assert cloud.key not in str(refused.value) and cloud.key not in message


def test_an_unknown_model(pair, cloud, client):
    with pytest.raises(client.errors) as refused:
        client.say(Ask(f"{cloud.prefix}-nobody", [User("Say hello.")]))
    status, message = client.told(refused.value)
    assert status == 404 and f"{cloud.prefix}-nobody" in message


def test_when_to_come_back_is_passed_on(pair, cloud):
    for stream in (False, True):
        body = {"model": f"{cloud.prefix}-limited", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}
        reply = pair[0].post("/v1/chat/completions", body)
        assert reply.status_code == 429
        if cloud.prefix == "claude":
            assert reply.headers["retry-after"] == "7"


@pytest.mark.parametrize("what", ["fails-midway", "cut"])
def test_a_stream_that_goes_wrong(client, cloud, what):
    """The SDK raises; nothing passes for an end that was not one. The fake repeats the key in its error."""
    with pytest.raises(client.errors) as refused:
        client.stream(Ask(f"{cloud.prefix}-{what}", [User("Say hello.")]))
    assert client.told(refused.value)[1]
    assert cloud.key not in str(refused.value)


ENDS = ("[DONE]", "message_stop", "response.completed", '"done":true', "finishReason")
BODIES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi."}], "stream": True},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi."}], "stream": True, "max_tokens": 50},
    "/v1/responses": {"input": "Hi.", "stream": True},
    "/api/chat": {"messages": [{"role": "user", "content": "Hi."}]},
    "/v1beta/models/MODEL:streamGenerateContent?alt=sse": {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]},
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("what", ["fails-midway", "cut"])
def test_what_was_said_before_it_went_wrong_is_there(pair, cloud, path, what):
    """And then the trouble, in the dialect of the path, and no end."""
    model, text = f"{cloud.prefix}-{what}", ""
    cloud.may_cut.clear()
    try:
        url, body = pair[0].url + path.replace("MODEL", model), {"model": model, **BODIES[path]}
        with httpx.stream("POST", url, json=body if "MODEL" not in path else BODIES[path], timeout=30) as reply:
            for part in reply.iter_text():
                text += part
                if WORDS[0] in text:
                    cloud.may_cut.set()
    finally:
        cloud.may_cut.set()
    assert WORDS[0] in text and text.index(WORDS[0]) < text.rindex('"error"')
    assert not any(end in text for end in ENDS)


@pytest.mark.parametrize("kind", [Messages, Google])
def test_tokens_are_counted(pair, cloud, kind):
    client = kind(pair[0].url)
    if kind is Messages:
        model = f"{cloud.prefix}-fine"
        words = [{"role": "user", "content": "Say hello."}]
        counted = client.sdk.messages.count_tokens(model=model, messages=words).input_tokens
    else:
        counted = client.sdk.models.count_tokens(model=f"{cloud.prefix}-fine", contents="Say hello.").total_tokens
    assert counted == PROMPT


def test_embeddings_of_google(pair):
    first, _ = pair
    vectors = [[len("one"), 0.5, -0.25], [len("three"), 0.5, -0.25]]
    by_openai = openai_at(first.url, strict=True).embeddings.create(
        model="text-embedding-004", input=["one", "three"], encoding_format="float"
    )
    assert [entry.embedding for entry in by_openai.data] == vectors
    assert ollama_at(first.url).embed("text-embedding-004", ["one", "three"]).embeddings == vectors
    google = google_at(first.url)
    by_google = google.models.embed_content(model="text-embedding-004", contents=["one", "three"])
    assert [entry.values for entry in by_google.embeddings] == vectors


def test_a_schema(client, cloud):
    """What an answer must look like arrives in the vendor's words."""
    schema = {**PARIS_SCHEMA}
    fields = {
        Chat: {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}},
        Responses: {"text": {"format": {"type": "json_schema", "name": "city", "schema": schema}}},
        Messages: {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        Google: {"response_mime_type": "application/json", "response_json_schema": schema},
    }.get(type(client))
    if fields is None:
        client.sdk.chat(f"{cloud.prefix}-fine", [{"role": "user", "content": "A city."}], format=schema)
    else:
        client.say(Ask(f"{cloud.prefix}-fine", [User("A city.")], fields=fields))
    assert "a-very-special-word" in sent(cloud)[1]


PARIS_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "a-very-special-word"}},
    "required": ["city"],
    "additionalProperties": False,
}
