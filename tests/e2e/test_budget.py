"""The budget of a real process that is killed, whose ledger is damaged or another's; and of several, as people use it."""

import contextlib
import json
import random
import shutil
import threading
import time

import httpx
import pytest

from fake_cloud import FakeCloud
from peer import Peer, backend
from support import free_port, tail, wait_for

PRICES = "\n[prices]\ncloud = { input = 1.0, output = 1000.0 }\n"
WORDS = 10  # of every answer: 0.01 USD and a bit
PROMPT = 5
COST = 10_005_000  # billionths of a USD


class Vendor(FakeCloud):
    """Bills an answer when it is asked for it, and tells so a moment later. Counts in billionths of a USD."""

    def __init__(self):
        super().__init__("sk-vendor")
        self.billed, self._lock = 0, threading.Lock()

    def answer(self, call, reply):
        with contextlib.suppress(OSError):  # whoever asked was killed
            self.give(call, reply)

    def give(self, call, reply):
        if call.body is None:
            return reply.say(200, {"object": "list", "data": [{"id": "cloud", "object": "model"}]})
        with self._lock:
            self.billed += COST
        time.sleep(random.uniform(0, 0.03))
        usage = {"prompt_tokens": PROMPT, "completion_tokens": WORDS, "total_tokens": PROMPT + WORDS}
        made = {"id": "c", "object": "chat.completion", "model": "cloud", "usage": usage}
        if not call.body.get("stream"):
            message = {"role": "assistant", "content": "word " * WORDS}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return reply.say(200, {**made, "choices": choices})
        choices = [{"index": 0, "delta": {"content": "word " * WORDS}, "finish_reason": "stop"}]
        made["object"] = "chat.completion.chunk"
        words, end = {**made, "choices": choices, "usage": None}, {**made, "choices": []}
        return reply.stream([f"data: {json.dumps(words)}\n\n", f"data: {json.dumps(end)}\n\n", "data: [DONE]\n\n"])


@pytest.fixture
def vendor():
    server = Vendor()
    yield server
    server.stop()


def spender(peers, name, vendor, limit, *local, **options):
    """A peer with a vendor, a limit, and whatever costs nothing."""
    options["env"] = {"VENDOR_KEY": vendor.key} | options.pop("env", {})
    clouds = [backend("vendor", vendor.url, "openai", api_key_env="VENDOR_KEY"), *local]
    return peers(name, extra=limited(limit), backends=clouds, **options)


def limited(limit):
    return f'{PRICES}\n[budget]\nmonthly_limit_usd = {limit}\nhard_limit_action = "block_cloud"\n'


def told(peer):
    """What `nexus budget --json` tells, with what was spent and set aside in billionths."""
    budget = json.loads(peer.cli("budget", "--json")[0])
    return budget, round((budget["spent_usd"] + budget["reserved_usd"]) * 1e9)


def ask(peer, **more):
    return peer.chat("cloud", max_tokens=WORDS, **more)


@pytest.mark.parametrize("start", range(2))
def test_killed_again_and_again(peers, vendor, start):
    """What was billed is counted after every end, and the limit holds over all lives."""
    chance, limit = random.Random(start), 0.8 + 0.6 * start
    peer = spender(peers, "peer", vendor, limit)
    for life in range(12):
        peer.start()
        budget, used = told(peer)
        assert vendor.billed <= used <= limit * 1e9, f"life {life}: {vendor.billed} billed, {budget}"
        assert not budget["warnings"], budget["warnings"]
        stop = threading.Event()

        def client(stream):
            while not stop.is_set():
                try:
                    reply = ask(peer, stream=stream)
                    assert reply.status_code in (200, 503), reply.text
                except httpx.HTTPError:
                    return

        clients = [threading.Thread(target=client, args=(number % 2 == 0,)) for number in range(8)]
        for one in clients:
            one.start()
        time.sleep(chance.uniform(0.05, 0.8))
        peer.kill()
        stop.set()
        for one in clients:
            one.join(10)
    assert vendor.billed > limit * 0.3e9, "the test spends something"
    peer.start()
    wait_for(lambda: ask(peer).status_code == 503, "it is all spent", 60)
    budget, used = told(peer)
    assert vendor.billed <= used <= limit * 1e9, f"{vendor.billed} billed, {budget}"


def refuses(peer, words):
    """Calls that cost are refused with words that tell how to mend it; others are served."""
    wait_for(lambda: peer.chat("local").status_code == 200, "what costs nothing is served")
    reply = ask(peer)
    assert reply.status_code == 503 and all(word in reply.text for word in words), reply.text
    assert "nexus mesh forget" in reply.text and "move it away" in reply.text, reply.text
    warnings = " ".join(warning["message"] for warning in peer.mesh()["warnings"])
    assert "nothing is spent" in warnings and all(word in warnings for word in words), warnings
    status = "".join(peer.cli("mesh", "status"))
    assert "nothing is spent" in status, status
    shown = "".join(peer.cli("budget"))
    assert "nothing is spent" in shown, shown


def test_a_ledger_that_cannot_be_trusted(peers, vendor, fake):
    fake.models = ["local"]
    local, env = backend("local", fake.url), {"NEXUS_MESH_KEY": "5a" * 32}
    peer = spender(peers, "peer", vendor, 5.0, local, env=env).start()
    peer.cli("budget", "found")
    wait_for(lambda: ask(peer).status_code == 200, "it spends")
    peer.stop()
    file = peer.home / "data" / "ledger"
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x01
    file.write_bytes(damaged)
    asked = len(vendor.calls)
    peer.start()
    refuses(peer, ["damaged", "ledger"])
    assert file.read_bytes() == damaged, "it is left as it is"
    peer.stop()

    other = spender(peers, "other", vendor, 5.0, local, env={"NEXUS_MESH_KEY": "5b" * 32}).start()
    other.cli("budget", "found")
    other.stop()
    shutil.copy(other.home / "data" / "ledger", file)
    peer.start()
    refuses(peer, ["another peer"])
    assert all(call.body is None for call in vendor.calls[asked:]), "nothing was bought"
    peer.stop()

    file.write_bytes(whole)
    peer.start()
    wait_for(lambda: ask(peer).status_code == 200, f"put back as it was, it spends\n{tail(peer.log.read_text())}")


def rows(peer):
    """The table of `nexus budget`: state, rights, spent and set aside by peer."""
    lines = [line.split("│") for line in peer.cli("budget")[0].splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line[1:-1]] for line in lines]
    return {name: rest for name, *rest in cells if len(rest) == 4 and rest[0] != "State"}


def test_three_peers_as_people_use_them(peers, vendor):
    first = spender(peers, "first", vendor, 2.0).start()
    token = first.cli("mesh", "invite")[0].split()[-1]
    others = [peers(name, extra=limited(2.0)).start() for name in ("second", "third")]
    for other in others:
        other.cli("mesh", "join", token)
    second, third = others
    everybody = {"first", "second", "third"}
    wait_for(lambda: all(set(rows(peer)) == everybody for peer in (first, *others)), "all are listed everywhere", 15)
    assert "founded already" in second.cli("budget", "found")[1], "whoever made the key founded it"
    second.wait_for_model("cloud")
    assert ask(second).status_code == 200
    wait_for(lambda: rows(third)["first"] == ["alive", "2.0000", "0.0100", "0.0000"], "it is told everywhere")

    key = json.loads(third.cli("keys", "add", "laptop", "--monthly-limit-usd", "0.03", "--json")[0])["key"]
    show = {"authorization": f"Bearer {key}"}
    wait_for(lambda: ask(second, headers=show).status_code == 200, "the key is known everywhere")
    assert ask(second, headers=show).status_code == 200
    refused = ask(second, headers=show)
    assert refused.status_code == 429 and "monthly limit of this client's key" in refused.text, refused.text
    wait_for(lambda: "laptop" in second.cli("budget")[0], "the key is listed by its name")

    assert "is there" in second.cli("mesh", "forget", "first", code=1)[1]
    assert "nobody" in second.cli("mesh", "forget", "nobody", code=1)[1]
    first.kill()
    wait_for(lambda: all(rows(peer)["first"][0] == "away" for peer in others), "it is missed", 20)
    assert "its rights are here" in second.cli("mesh", "forget", "first")[0]
    wait_for(lambda: rows(third)["first"][0] == "forgotten", "it is forgotten everywhere")
    assert "claimed" in third.cli("mesh", "forget", "first", code=1)[1]
    assert "2.0000 USD of the limit are of lost peers" in second.cli("budget")[0]

    first.start()
    wait_for(lambda: rows(first).get("first", [""])[0] == "self", "it begins anew")
    wait_for(lambda: len(told(second)[0]["holders"]) == 4, "with a ledger of its own beside that which is forgotten")
    shares = [holder["rights_usd"] for holder in told(second)[0]["holders"]]
    assert shares == [0.0] * 4, "nothing of this month is left to spend"
    assert ask(second, headers=show).status_code in (429, 503)


def test_without_a_mesh(peers, vendor):
    """A budget is this peer's own; without one no key is made whose limit nobody could count."""
    off = [('[mesh]\nname', "[mesh]\nenabled = false\nname")]
    bare = peers("bare", replace=off).start()
    error = bare.cli("keys", "add", "laptop", "--monthly-limit-usd", "1", code=1)[1]
    assert "budget.monthly_limit_usd" in error, error
    assert "No budget is kept" in bare.cli("budget")[0]
    peer = spender(peers, "peer", vendor, 1.0, replace=off).start()
    assert ask(peer).status_code == 200
    key = json.loads(peer.cli("keys", "add", "laptop", "--monthly-limit-usd", "0.03", "--json")[0])["key"]
    show = {"authorization": f"Bearer {key}"}
    codes = [ask(peer, headers=show).status_code for _ in range(4)]
    assert codes == [200, 200, 429, 429], codes
    budget, used = told(peer)
    assert used == vendor.billed == 3 * COST and not budget["mesh_wide"]
    peer.stop()
    peer.start()
    assert told(peer)[1] == vendor.billed, "it outlives a restart"
    assert ask(peer, headers=show).status_code == 429
