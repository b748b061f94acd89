"""Contract of errors: every row, on the real binary, seen by a plain HTTP client."""

import json
import socket
import threading
import time

import httpx
import pytest

from fake import BAD_REQUEST, FINE, TOO_MANY, Fake
from peer import backend
from support import free_port, wait_for


@pytest.fixture
def peer(peers, fake):
    """Health checks are rare here, so that what the requests themselves find out is what is seen."""
    quiet = [("interval_seconds = 1", "interval_seconds = 3600"), ("port = ", "request_timeout_seconds = 1\nport = ")]
    peer = peers("solo", backends=[backend("fake", fake.url)], replace=quiet).start()
    peer.wait_for_model("fine")
    return peer


def refused(reply, status, code, kind="invalid_request_error", param=None):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-request-id"].startswith("req-")
    error = reply.json()["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert (error["code"], error["type"], error["param"]) == (code, kind, param)
    assert error["message"]
    return error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not JSON",
        b"[]",
        b"\xff\xfe",
        b'{"messages":[]}',
        b'{"model":"fine"}',
        b'{"model":5,"messages":[]}',
        b'{"model":null,"messages":[]}',
        b'{"model":"fine","messages":"hello"}',
        b'{"model":"fine","messages":[],"stream":"yes"}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:24].decode(errors="replace") or "empty",
)
def test_400_what_is_no_request(peer, fake, body):
    reply = httpx.post(
        f"{peer.url}/v1/chat/completions", content=body, headers={"content-type": "application/json"}, timeout=10
    )
    refused(reply, 400, "bad_request")
    assert fake.requests == []


def test_400_wrong_content_type(peer, fake):
    body = json.dumps({"model": "fine", "messages": []})
    reply = httpx.post(f"{peer.url}/v1/chat/completions", content=body, headers={"content-type": "text/plain"})
    refused(reply, 400, "bad_request")
    assert fake.requests == []


def test_400_a_capability_that_no_backend_has(peers, chain):
    """llama.cpp says of itself that it sees no images."""
    peer = peers("solo", backends=[backend("chain", chain.url, "llamacpp")]).start()
    peer.wait_for_model(chain.model)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    body = {"model": chain.model, "messages": [{"role": "user", "content": [image]}]}
    message = refused(peer.post("/v1/chat/completions", body), 400, "capability_mismatch")
    assert message.startswith(f"Model '{chain.model}' lacks required capabilities: [") and "vision" in message


def test_401_and_403_client_keys(peers, fake):
    """Where client keys are set, each is asked for and good for its models only; the backend never sees one."""
    extra = '\n[[auth.client_keys]]\nname = "app"\nkey_env = "E2E_CLIENT_KEY"\nmodels = ["fin*"]\n'
    key = "nx-client-key-0123456789"
    peer = peers("solo", backends=[backend("fake", fake.url)], extra=extra, env={"E2E_CLIENT_KEY": key}).start()
    wait_for(lambda: peer.get("/health").json()["backends"]["healthy"] == 1, "the backend is healthy")
    refused(peer.chat("fine"), 401, "invalid_api_key")
    refused(peer.chat("fine", headers={"authorization": "Bearer another"}), 401, "invalid_api_key")
    right = {"authorization": f"Bearer {key}"}
    assert peer.chat("fine", headers=right).status_code == 200
    assert peer.chat("broken", headers=right).status_code == 403
    assert fake.count("broken") == 0
    assert not any(key in str(headers) for _, headers, _ in fake.requests)


def test_404_and_409_of_management(peer, fake):
    refused(httpx.delete(f"{peer.url}/nexus/v1/backends/nobody", timeout=5), 404, "not_found")
    again = {"url": fake.url, "name": "fake", "type": "generic"}
    refused(peer.post("/nexus/v1/backends", again), 409, "conflict")


def test_400_embeddings(peer, fake):
    for body in (
        {"model": "fine", "input": []},
        {"model": "fine", "input": ""},
        {"model": "fine"},
        {"model": "fine", "input": ["a"] * 2049},
    ):
        refused(peer.post("/v1/embeddings", body), 400, "bad_request")
    assert fake.requests == []


def test_404_no_such_model(peer, fake):
    message = refused(peer.chat("nope"), 404, "model_not_found", param="model")
    assert message.startswith("Model 'nope' not found. Available: ") and "fine" in message
    begin = time.monotonic()
    refused(peer.chat("nope", stream=True), 404, "model_not_found", param="model")
    assert time.monotonic() - begin < 1
    assert fake.requests == []


def test_404_no_such_path(peer):
    refused(peer.get("/v1/nothing"), 404, "not_found")
    refused(peer.post("/nothing/at/all", {}), 404, "not_found")


def test_405_wrong_method(peer):
    assert peer.get("/v1/chat/completions").status_code == 405
    error = peer.get("/v1/chat/completions").json()["error"]
    assert error["type"] == "invalid_request_error" and error["message"]
    assert httpx.delete(f"{peer.url}/v1/models", timeout=5).json()["error"]["message"]


def test_413_too_large_and_ten_megabytes_pass(peer, fake):
    reply = peer.chat("fine", "x" * (11 << 20))
    assert reply.status_code == 413, reply.status_code
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert fake.requests == []
    assert peer.chat("fine", "x" * (9 << 20)).status_code == 200
    assert len(fake.requests[0][2]) > 9 << 20


def test_what_the_backend_refuses_passes_as_it_is(peer, fake):
    reply = peer.chat("bad-request")
    assert (reply.status_code, reply.json()) == (400, BAD_REQUEST)
    assert reply.content == json.dumps(BAD_REQUEST).encode()
    assert reply.headers["x-nexus-backend"] == "fake"
    assert fake.count("bad-request") == 1
    reply = peer.chat("too-many")
    assert (reply.status_code, reply.json(), reply.headers["retry-after"]) == (429, TOO_MANY, "7")


def test_request_and_reply_pass_as_they_are(peer, fake):
    body = b'{ "unknown": {"deep":[1,2.50,null]},  "model" : "fine","stop":"END", "messages":[ {"role":"tool","tool_call_id":"x"} ]}'
    reply = httpx.post(
        f"{peer.url}/v1/chat/completions", content=body, headers={"content-type": "application/json"}, timeout=10
    )
    assert reply.status_code == 200, reply.text
    assert fake.requests[-1][2] == body
    assert reply.content == json.dumps({**FINE, "model": "fine"}, ensure_ascii=False).encode()
    headers = reply.headers
    assert (headers["x-nexus-backend"], headers["x-nexus-backend-type"], headers["x-nexus-privacy-zone"]) == (
        "fake",
        "local",
        "restricted",
    )
    assert headers["x-nexus-route-reason"] == "capability-match"
    assert "x-nexus-fallback-model" not in headers and "x-nexus-rejection-reasons" not in headers


@pytest.mark.parametrize(
    "model,stream",
    [("broken", False), ("broken", True), ("hang-up", False), ("hang-up", True), ("garbage", False)],
)
def test_502_the_backend_fails(peer, fake, model, stream):
    message = refused(peer.chat(model, stream=stream), 502, "bad_gateway", "server_error")
    assert fake.url not in message and str(fake.port) not in message
    assert fake.count(model) >= 1
    assert peer.chat("fine").status_code == 200


def test_502_then_503_the_backend_is_gone(peers):
    fake = Fake()
    peer = peers("solo", backends=[backend("fake", fake.url)]).start()
    peer.wait_for_model("fine")
    fake.stop()
    reply = peer.chat("fine")
    if reply.status_code == 502:
        assert str(fake.port) not in refused(reply, 502, "bad_gateway", "server_error")
    wait_for(lambda: peer.get("/health").json()["backends"]["healthy"] == 0, "it is found out", 15)
    message = refused(peer.chat("fine"), 503, "service_unavailable", "server_error")
    assert message == "No healthy backends available for model 'fine'"
    assert peer.get("/v1/models").json()["data"] == []


def test_504_the_backend_says_nothing(peer, fake):
    for stream in (False, True):
        begin = time.monotonic()
        reply = peer.chat("silent", stream=stream)
        refused(reply, 504, "gateway_timeout", "server_error")
        assert time.monotonic() - begin < 5
    assert peer.chat("fine").status_code == 200


def test_another_backend_takes_over(peers):
    """A backend that fails costs a request nothing where another has the model."""
    good, bad = Fake(["shared"]), Fake(["shared"])
    try:
        peer = peers(
            "solo",
            backends=[backend("bad", bad.url, priority=1), backend("good", good.url, priority=99)],
            replace=[("interval_seconds = 1", "interval_seconds = 3600")],
        ).start()
        peer.wait_for_model("shared")
        wait_for(lambda: peer.get("/health").json()["backends"]["healthy"] == 2, "both are healthy")
        bad.stop()
        reply = peer.chat("shared")
        assert (reply.status_code, reply.headers["x-nexus-backend"]) == (200, "good")
    finally:
        good.stop()


@pytest.mark.parametrize("model,calls", [("bad-request", 1), ("too-many", 2)])
def test_only_what_may_pass_elsewhere_is_tried_elsewhere(peers, model, calls):
    first, second = Fake([model]), Fake([model])
    try:
        peer = peers("solo", backends=[backend("one", first.url), backend("two", second.url)]).start()
        wait_for(lambda: peer.get("/health").json()["backends"]["healthy"] == 2, "both are healthy")
        reply = peer.chat(model)
        assert reply.status_code == {"bad-request": 400, "too-many": 429}[model]
        assert first.count(model) + second.count(model) == calls
    finally:
        first.stop()
        second.stop()


def test_503_a_policy_leaves_nobody(peers, fake):
    extra = '\n[[routing.policies]]\nmodel_pattern = "fin*"\nprivacy = "restricted"\n'
    peer = peers("solo", backends=[backend("abroad", fake.url, zone="open")], extra=extra).start()
    peer.wait_for_model("fine")
    reply = peer.chat("fine")
    refused(reply, 503, "service_unavailable", "service_unavailable")
    body = reply.json()
    assert body["context"] == body["error"]["context"]
    assert body["context"]["privacy_zone_required"] == "restricted"
    (reason,) = body["context"]["rejection_reasons"]
    assert (reason["agent_id"], reason["reconciler"]) == ("abroad", "privacy")
    assert reason["reason"] and reason["suggested_action"]
    assert reply.headers["x-nexus-rejection-reasons"] == "1 agents rejected by privacy"
    assert json.loads(reply.headers["x-nexus-rejection-details"])
    assert fake.requests == []


def test_aliases_and_fallbacks(peers, fake):
    extra = '\n[routing.aliases]\n"gpt-4" = "fine"\n[routing.fallbacks]\nbroken = ["fine"]\nabsent = ["fine"]\n'
    peer = peers("solo", backends=[backend("fake", fake.url)], extra=extra).start()
    peer.wait_for_model("fine")
    reply = peer.chat("gpt-4")
    assert (reply.status_code, json.loads(fake.requests[-1][2])["model"]) == (200, "fine")
    assert "x-nexus-fallback-model" not in reply.headers
    for model in ("absent", "broken"):
        for stream in (False, True):
            reply = peer.chat(model, stream=stream)
            assert reply.status_code == 200, reply.text
            assert (reply.headers["x-nexus-fallback-model"], reply.headers["x-nexus-route-reason"]) == (
                "fine",
                "failover",
            )


def test_a_stream_that_is_cut_ends_with_an_error(peer):
    reply = peer.chat("cut", stream=True)
    assert reply.status_code == 200
    events = [event for event in reply.text.split("\n\n") if event]
    assert events[0] == 'data: {"choices":[]}'
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "bad_gateway"
    assert "[DONE]" not in reply.text


def test_a_name_of_any_kind_breaks_nothing(peer):
    for name in ("a" + "é" * 200, "\u0000", "x" * 100_000, "</script>", "../..", "😀" * 300):
        reply = peer.chat(name)
        assert reply.status_code in (400, 404), name[:20]
    assert peer.child.running() and peer.chat("fine").status_code == 200


def test_bytes_that_are_no_http(peer):
    for junk in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"\r\n" * 50,
    ):
        with socket.create_connection(("127.0.0.1", peer.port), timeout=5) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert peer.chat("fine").status_code == 200


def test_an_api_key_appears_nowhere(peers):
    """The key of a backend and the key of a client: in no log, no reply, no list."""
    fake, key, client_key = Fake(), "sk-of-the-backend-1234", "sk-of-the-client-5678"
    try:
        peer = peers(
            "solo",
            backends=[backend("paid", fake.url, "openai", api_key_env="E2E_PAID_KEY", zone="open")],
            env={"E2E_PAID_KEY": key},
        ).start()
        peer.wait_for_model("fine")
        replies = [
            peer.chat(model, headers={"authorization": f"Bearer {client_key}"})
            for model in ("fine", "broken", "hang-up", "bad-request")
        ]
        assert replies[0].status_code == 200
        assert all(
            headers.get("authorization", headers.get("Authorization")) == f"Bearer {key}"
            for _, headers, _ in fake.requests
        )
        seen = [reply.text + str(reply.headers) for reply in replies]
        seen += [peer.get(path).text for path in ("/health", "/v1/models", "/nexus/v1/backends", "/nexus/v1/mesh")]
        fake.stop()
        seen.append(peer.chat("fine").text)
        peer.stop()
        seen.append(peer.log.read_text())
        assert not any(secret in text for text in seen for secret in (key, client_key))
    finally:
        fake.stop()


def test_a_full_house_is_503(peers):
    """max_concurrent_requests is kept, and said with Retry-After."""
    fake = Fake()
    try:
        peer = peers(
            "solo", backends=[backend("fake", fake.url)], replace=[("port = ", "max_concurrent_requests = 1\nport = ")]
        ).start()
        peer.wait_for_model("fine")
        waiting = threading.Thread(target=lambda: peer.chat("silent"), daemon=True)
        waiting.start()
        wait_for(lambda: fake.count("silent") == 1, "the first is under way")
        reply = peer.chat("fine")
        refused(reply, 503, "service_unavailable", "server_error")
        assert int(reply.headers["retry-after"]) >= 1
        fake.stop()
        waiting.join(10)
    finally:
        fake.stop()


def test_nothing_listens_there(peers):
    """A backend that never was there leaves the server standing."""
    peer = peers("solo", backends=[backend("ghost", f"http://127.0.0.1:{free_port()}")]).start()
    wait_for(lambda: peer.get("/health").json()["status"] == "unhealthy", "it is found out")
    assert peer.chat("any").status_code in (404, 503)
