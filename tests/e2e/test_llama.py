"""A real llama.cpp behind the second of two peers, the official SDK in front of the first."""

import json
import signal
import subprocess
import time

import httpx
import pytest
from openai import OpenAI

from llama import SENTENCE
from peer import backend
from support import wait_for

QUESTION = [{"role": "user", "content": "What do you say?"}]


@pytest.fixture
def pair(peers, chain, loop):
    """(first, second): llama.cpp, twice, is known to the second alone."""
    second = peers(
        "second", backends=[backend("chain", chain.url, "llamacpp"), backend("loop", loop.url, "llamacpp")]
    ).start()
    first = peers("first", seeds=[second.seed]).start()
    first.wait_for_model(chain.model)
    first.wait_for_model(loop.model)
    return first, second


def sdk(url):
    return OpenAI(base_url=f"{url}/v1", api_key="not-needed", max_retries=0, timeout=30)


def counted(usage):
    return usage.prompt_tokens, usage.total_tokens, getattr(usage, "completion_tokens", None)


def named(headers, peer, hops):
    assert (headers["x-nexus-peer"], headers["x-nexus-hops"]) == (peer, hops)
    assert headers["x-request-id"].startswith("req-")


def test_plain(pair, chain):
    first, second = pair
    direct = sdk(chain.url).chat.completions.create(model=chain.model, messages=QUESTION)
    for peer, hops in ((first, "1"), (second, "0")):
        raw = sdk(peer.url).chat.completions.with_raw_response.create(model=chain.model, messages=QUESTION)
        reply = raw.parse()
        assert reply.choices[0].message.content == SENTENCE
        assert reply.choices[0].finish_reason == "stop"
        assert counted(reply.usage) == counted(direct.usage)
        named(raw.headers, "second", hops)
        assert raw.headers["x-nexus-backend"] == "chain"


def test_streaming(pair, chain):
    first, _ = pair
    ask = {"model": chain.model, "messages": QUESTION, "stream": True, "stream_options": {"include_usage": True}}
    direct = list(sdk(chain.url).chat.completions.create(**ask))
    raw = sdk(first.url).chat.completions.with_raw_response.create(**ask)
    named(raw.headers, "second", "1")
    chunks = list(raw.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == SENTENCE
    assert counted(chunks[-1].usage) == counted(direct[-1].usage)
    assert len(chunks) == len(direct)


def test_the_stream_passes_unchanged(pair, chain):
    first, _ = pair
    body = {"model": chain.model, "messages": QUESTION, "stream": True}
    with httpx.stream("POST", f"{first.url}/v1/chat/completions", json=body, timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        text = reply.read().decode()
    frames = text.removesuffix("\n\n").split("\n\n")
    assert frames[-1] == "data: [DONE]" and text.count("[DONE]") == 1
    assert all(frame.startswith("data: {") for frame in frames[:-1])


def test_embeddings(pair, chain):
    first, _ = pair
    ask = {"model": chain.model, "input": ["the first text", "and a second one"]}
    direct = sdk(chain.url).embeddings.create(**ask)
    raw = sdk(first.url).embeddings.with_raw_response.create(**ask)
    named(raw.headers, "second", "1")
    reply = raw.parse()
    assert [entry.index for entry in reply.data] == [0, 1]
    assert [entry.embedding for entry in reply.data] == [entry.embedding for entry in direct.data]
    assert counted(reply.usage) == counted(direct.usage)


def test_completions(pair, chain):
    first, _ = pair
    direct = sdk(chain.url).completions.create(model=chain.model, prompt="Say it.")
    reply = sdk(first.url).completions.create(model=chain.model, prompt="Say it.")
    assert (reply.choices[0].text, counted(reply.usage)) == (direct.choices[0].text, counted(direct.usage))


def test_models_name_the_peer_that_has_them(pair, chain):
    first, second = pair
    entry = next(entry for entry in first.get("/v1/models").json()["data"] if entry["id"] == chain.model)
    assert (entry["owned_by"], entry["peer"]) == ("chain", "second")
    assert [entry["id"] for entry in second.get("/v1/models").json()["data"]].count(chain.model) == 1
    assert chain.model in [model.id for model in sdk(first.url).models.list()]


def test_the_second_dies_and_returns(pair, chain):
    first, second = pair
    assert first.chat(chain.model).status_code == 200
    second.kill()
    begin = time.monotonic()
    reply = first.chat(chain.model)
    took = time.monotonic() - begin
    assert reply.status_code in (502, 503), reply.text
    error = reply.json()["error"]
    assert error["type"] in ("server_error", "service_unavailable") and error["message"]
    assert error["code"] == {502: "bad_gateway", 503: "service_unavailable"}[reply.status_code]
    assert took < 1, f"the answer took {took:.2f} s"

    second.start()
    back = time.monotonic()
    wait_for(lambda: first.chat(chain.model).status_code == 200, "the first serves it again", 5)
    assert time.monotonic() - back < 5


def test_the_second_request_after_a_death_costs_nothing(pair, chain):
    first, second = pair
    second.kill()
    first.chat(chain.model)
    begin = time.monotonic()
    assert first.chat(chain.model).status_code in (502, 503)
    assert time.monotonic() - begin < 0.2


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_dies_frees_the_slot(pair, loop, hops, stream):
    """llama.cpp looks only once a second whether anybody still waits for a whole answer, and each question for its
    slots puts that off: there it is asked seldom, and may take longer."""
    pause, limit = (0.01, 0.5) if stream else (1.1, 2.5)
    peer = pair[1 - hops]
    wait_for(lambda: not loop.busy_slots(), "llama.cpp is idle")
    client = ask_with_curl(peer, loop.model, stream)
    try:
        if stream:
            assert client.stdout.read(200).startswith(b"data: ")
        wait_for(loop.busy_slots, "llama.cpp is busy", 5, pause=0.005)
        gone = kill(client)
        wait_for(lambda: not loop.busy_slots(), "the slot is free", 5, pause=pause)
        assert time.monotonic() - gone < limit
    finally:
        kill(client)
    wait_for(
        lambda: all(entry["pending_requests"] == 0 for entry in pair[1].get("/nexus/v1/backends").json()["backends"]),
        "the second counts nothing as pending",
    )


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_client_that_dies_before_the_first_byte_frees_the_backend(peers, fake, hops, stream):
    second = peers("second", backends=[backend("fake", fake.url)]).start()
    first = peers("first", seeds=[second.seed]).start()
    first.wait_for_model("silent")
    peer = (second, first)[hops]
    client = ask_with_curl(peer, "silent", stream)
    try:
        wait_for(lambda: fake.count("silent") == 1, "the backend is asked", 5)
        gone = kill(client)
        wait_for(lambda: fake.left, "the backend is let go", 5, pause=0.005)
        assert fake.left[0] - gone < 0.1
    finally:
        kill(client)
    for one in {first, second} if hops else {second}:

        def completed(one=one):
            return [event for event in one.events() if event["message"] == "Request completed"]

        event = wait_for(completed, f"{one.name} logs how it ended")[0]
        assert (event["status"], event["status_code"], event["model"]) == ("error", 499, "silent")
    assert peer.chat("fine").status_code == 200


def ask_with_curl(peer, model, stream):
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Go on."}]})
    return subprocess.Popen(
        ["curl", "-sN", f"{peer.url}/v1/chat/completions", "-H", "content-type: application/json", "-d", body],
        stdout=subprocess.PIPE,
    )


def kill(client):
    """Ends it at once; says when it was gone."""
    client.send_signal(signal.SIGKILL)
    client.wait(5)
    client.stdout.close()
    return time.monotonic()


def test_one_request_id_in_both_logs_and_no_content(pair, chain):
    first, second = pair
    marker, key = "zebra-marker-4711", "sk-secret-0815"
    reply = first.chat(chain.model, marker, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200
    with httpx.stream(
        "POST",
        f"{first.url}/v1/chat/completions",
        timeout=30,
        headers={"authorization": f"Bearer {key}"},
        json={"model": chain.model, "messages": [{"role": "user", "content": marker}], "stream": True},
    ) as streamed:
        streamed.read()
    for request_id, stream in ((reply.headers["x-request-id"], False), (streamed.headers["x-request-id"], True)):
        for peer in (first, second):

            def completed(peer=peer, request_id=request_id):
                return [
                    event
                    for event in peer.events()
                    if event.get("request_id") == request_id and event["message"] == "Request completed"
                ]

            event = wait_for(completed, f"{peer.name} logs {request_id}")[0]
            assert (event["target"], event["level"], event["status"], event["status_code"]) == (
                "nexus::api",
                "INFO",
                "success",
                200,
            )
            assert (event["model"], event["backend"], event["stream"]) == (chain.model, "chain", stream)
            assert event["timestamp"].endswith("Z") and event["latency_ms"] >= 0
    for peer in (first, second):
        text = peer.log.read_text()
        assert marker not in text and key not in text and SENTENCE not in text
