"""The command line against a running server, and without one."""

import json
import os
import pty
import subprocess

import pytest

from fake import Fake
from peer import backend
from support import NEXUS, clean_environment, free_port, wait_for


@pytest.fixture
def peer(peers, fake):
    peer = peers("solo", backends=[backend("local", fake.url, priority=7)]).start()
    peer.wait_for_model("fine")
    return peer


@pytest.fixture
def absent(peers, fake):
    """A peer that is configured and not running."""
    return peers("absent", backends=[backend("local", fake.url)])


def listed(peer, *arguments):
    return {
        entry["name"]: entry for entry in json.loads(peer.cli("backends", "list", "--json", *arguments)[0])["backends"]
    }


def nexus(*arguments, home, code=0):
    done = subprocess.run(
        [NEXUS, *map(str, arguments)],
        cwd=home,
        env=clean_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def test_backends_list(peer, fake):
    table, _ = peer.cli("backends", "list")
    head, row = table.splitlines()[0], next(line for line in table.splitlines() if "local" in line)
    for title in ("Name", "URL", "Type", "Status", "Models", "Latency"):
        assert title in table
    assert head and "✓ Healthy" in row and "generic" in row and "[static]" in row and fake.url in row
    assert "\x1b" not in table


def test_backends_list_as_json(peer, fake):
    entry = listed(peer)["local"]
    assert (entry["id"], entry["url"], entry["status"], entry["priority"]) == ("local", fake.url, "healthy", 7)
    assert entry["type"] == entry["backend_type"] == "generic"
    assert (entry["discovery_source"], entry["peer"], entry["pending_requests"]) == ("static", "self", 0)
    assert "fine" in [model["id"] for model in entry["models"]]
    for key in (
        "name",
        "context_length",
        "supports_vision",
        "supports_tools",
        "supports_json_mode",
        "max_output_tokens",
    ):
        assert key in entry["models"][0]
    before = entry["total_requests"]
    assert peer.chat("fine").status_code == 200
    wait_for(lambda: listed(peer)["local"]["total_requests"] == before + 1, "the request is counted")


@pytest.mark.parametrize(
    "status,names",
    [("healthy", ["local"]), ("HEALTHY", ["local"]), ("unhealthy", []), ("unknown", []), ("draining", [])],
)
def test_backends_list_by_status(peer, status, names):
    assert sorted(listed(peer, "--status", status)) == names


def test_backends_list_of_no_such_status(peer):
    _, error = peer.cli("backends", "list", "--status", "sleepy", code=1)
    assert "Error: Invalid status: sleepy. Use: healthy, unhealthy, unknown, draining" in error


def test_add_and_remove_on_the_running_server(peer):
    second = Fake(["other"])
    try:
        out, _ = peer.cli("backends", "add", second.url, "--name", "added", "--priority", "3")
        assert out.strip() == "Added backend 'added' (added) as generic"
        peer.wait_for_model("other", deadline=3)
        entry = listed(peer)["added"]
        assert (entry["priority"], entry["discovery_source"]) == (3, "manual")
        assert peer.chat("other").status_code == 200

        assert peer.cli("backends", "remove", "added")[0].strip() == "Removed backend: added"
        wait_for(lambda: "other" not in peer.models(), "its model is gone", 3)
        assert "added" not in listed(peer)
    finally:
        second.stop()


def at_terminal(peer, *arguments, answer):
    """What somebody at a terminal reads who answers so, what is printed, and how it ends."""
    near, far = pty.openpty()
    command = [NEXUS, *arguments, "-c", str(peer.config)]
    os.write(near, answer)
    child = subprocess.Popen(command, cwd=peer.home, env=peer.env, stdin=far, stderr=far, stdout=subprocess.PIPE)
    os.close(far)
    printed, _ = child.communicate(timeout=20)
    read = b""
    try:
        while part := os.read(near, 4096):
            read += part
    except OSError:
        pass  # Linux says so when nobody holds the terminal any more.
    os.close(near)
    return read.decode(), printed.decode(), child.returncode


def test_what_cannot_be_undone_is_asked_about_at_a_terminal(peer):
    peer.cli("keys", "add", "laptop")

    def state():
        return [key["state"] for key in json.loads(peer.cli("keys", "list", "--json")[0])["keys"]]

    for order, foreseen in [
        (("backends", "remove", "local"), "Would remove backend: local"),
        (("keys", "revoke", "laptop"), "Would revoke key: laptop"),
    ]:
        for answer in (b"n\n", b"\n", b"yes please\n", b"\x04"):
            read, printed, code = at_terminal(peer, *order, answer=answer)
            assert foreseen in read and "Go on? [y/N]" in read and "everything is left as it was" in read
            assert (printed, code) == ("", 1)
        read, _, code = at_terminal(peer, "backends", "remove", "nobody", answer=b"y\n")
        assert "backend not found: nobody" in read and "[y/N]" not in read and code == 1
    assert "local" in listed(peer) and state() == ["active"]
    _, printed, code = at_terminal(peer, "keys", "revoke", "laptop", answer=b"y\n")
    assert printed.startswith("Revoked key: laptop") and code == 0 and state() == ["revoked"]
    read, printed, code = at_terminal(peer, "backends", "remove", "local", "--yes", answer=b"")
    assert (read, printed.strip(), code) == ("", "Removed backend: local", 0)


@pytest.mark.parametrize("flag", ["--type", "--backend-type", "-t"])
@pytest.mark.parametrize("given,kind", [("lmstudio", "lmstudio"), ("llama.cpp", "llamacpp"), ("vllm", "vllm")])
def test_add_with_a_type(peer, fake, flag, given, kind):
    out, _ = peer.cli("backends", "add", f"http://127.0.0.1:{free_port()}", "-n", "typed", flag, given)
    assert out.strip() == f"Added backend 'typed' (typed) as {kind}"
    assert listed(peer)["typed"]["type"] == kind


def test_add_detects_llama_cpp(peer, chain):
    out, _ = peer.cli("backends", "add", chain.url)
    assert out.strip() == "Added backend '127.0.0.1' (127.0.0.1) as llamacpp"
    peer.wait_for_model(chain.model, deadline=5)


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["not a url"], "Error: Invalid URL:"),
        (["ftp://127.0.0.1:1"], "Error: Invalid URL:"),
        (["http://127.0.0.1:1", "--type", "abacus"], "Error: Unknown backend type: abacus"),
        (["http://127.0.0.1:1", "--name", "local", "--type", "generic"], "local"),
    ],
)
def test_add_refused(peer, arguments, message):
    _, error = peer.cli("backends", "add", *arguments, code=1)
    assert error.startswith("Error: ") and message in error
    assert sorted(listed(peer)) == ["local"]


def test_remove_what_is_not_there(peer):
    assert "Error: backend not found: nobody" in peer.cli("backends", "remove", "nobody", code=1)[1]


def test_models(peer):
    table, _ = peer.cli("models")
    assert all(title in table for title in ("Model", "Backends", "Context Length")) and "fine" in table
    everything = {entry["id"]: entry for entry in json.loads(peer.cli("models", "--json")[0])["models"]}
    assert everything["fine"]["backends"] == ["local"]
    assert {"context_length", "supports_vision", "supports_tools", "supports_json_mode"} <= everything["fine"].keys()
    some = json.loads(peer.cli("models", "--json", "--backend", "local")[0])["models"]
    assert {entry["id"] for entry in some} == everything.keys()
    assert "Backend not found: nobody" in peer.cli("models", "--backend", "nobody", code=1)[1]


def test_health(peer):
    text, _ = peer.cli("health")
    lines = text.splitlines()
    assert lines[0] == "System Health: Healthy"
    for part in (
        "Version:",
        "Uptime:",
        "Backends: 1/1 healthy",
        "Models: ",
        "  ✓ local (Healthy)",
        "Last check:",
        "Response time:",
    ):
        assert part in text, part
    for form in (["--json"], ["--format", "json"]):
        report = json.loads(peer.cli("health", *form)[0])
        assert (report["status"], report["backends"]) == ("healthy", {"total": 1, "healthy": 1, "unhealthy": 0})
        assert report["models"]["total"] == len(peer.models()) and report["uptime_seconds"] >= 0 and report["version"]
        assert {"name", "status", "models", "avg_latency_ms", "pending_requests"} <= report["backend_details"][0].keys()


def test_health_of_a_backend_that_died(peer, fake):
    fake.stop()
    wait_for(lambda: peer.get("/health").json()["status"] == "unhealthy", "it is found out", 15)
    assert peer.cli("health")[0].startswith("System Health: Unhealthy")
    assert json.loads(peer.cli("health", "--json")[0])["backends"]["unhealthy"] == 1


def test_mesh_status(peers, peer):
    other = peers("other", seeds=[peer.seed]).start()
    other.wait_for_peers("solo")
    peer.wait_for_peers("other")
    report = json.loads(peer.cli("mesh", "status", "--json")[0])
    assert (report["mesh"]["size"], report["mesh"]["keyed"], report["self"]["name"]) == (2, False, "solo")
    about = next(entry for entry in report["peers"] if entry["name"] == "other")
    assert (about["state"], about["draining"]) == ("alive", False) and about["id"] and about["version"]
    for title in ("Name", "Address", "State", "RTT", "News", "Backends", "Models", "In flight", "Queue", "Version"):
        assert title in peer.cli("mesh", "status")[0], title
    remote = json.loads(other.cli("backends", "list", "--json")[0])["backends"]
    assert [(entry["name"], entry["peer"]) for entry in remote] in ([("local", "solo")], [])


def test_without_a_server_lists_come_from_the_file(absent, fake):
    out, warning = absent.cli("backends", "list", "--json")
    entry = json.loads(out)["backends"][0]
    assert (entry["name"], entry["url"], entry["status"]) == ("local", fake.url, "unknown")
    assert "cannot reach nexus at" in warning
    out, warning = absent.cli("models", "--json")
    assert json.loads(out) == {"models": []} and warning


@pytest.mark.parametrize(
    "command",
    [
        ["health"],
        ["health", "--json"],
        ["backends", "add", "http://127.0.0.1:1"],
        ["backends", "remove", "local"],
        ["mesh", "status"],
    ],
)
def test_without_a_server_the_rest_says_so(absent, command):
    out, error = absent.cli(*command, code=1)
    assert out == "" and error.startswith(f"Error: cannot reach nexus at {absent.url}")


def test_the_environment_points_at_a_server(peer, directory):
    env = clean_environment(directory, NEXUS_HOST="127.0.0.1", NEXUS_PORT=str(peer.port))
    done = subprocess.run(
        [NEXUS, "health", "--json"], cwd=directory, env=env, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "healthy", done.stderr


def test_config_init(directory):
    out, _ = nexus("config", "init", home=directory)
    assert out.strip() == "Configuration file created: nexus.toml"
    text = (directory / "nexus.toml").read_text()
    for section in ("server", "discovery", "health_check", "routing", "logging"):
        assert f"[{section}]" in text
    (directory / "nexus.toml").write_text("# mine")
    assert "exists" in nexus("config", "init", home=directory, code=1)[1]
    assert (directory / "nexus.toml").read_text() == "# mine"
    nexus("config", "init", "--force", home=directory)
    assert "[server]" in (directory / "nexus.toml").read_text()
    nexus("config", "init", "--minimal", "--output", "small.toml", home=directory)
    assert len((directory / "small.toml").read_text()) < len((directory / "nexus.toml").read_text())


@pytest.mark.parametrize(
    "shell,word",
    [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete"), ("powershell", "nexus"), ("elvish", "nexus")],
)
def test_completions(directory, shell, word):
    out, _ = nexus("completions", shell, home=directory)
    assert word in out and "nexus" in out


def test_help_and_version(directory):
    out, _ = nexus("--help", home=directory)
    for command in ("serve", "backends", "models", "health", "config", "completions", "mesh"):
        assert command in out
    version, _ = nexus("--version", home=directory)
    assert version.startswith("nexus ") and version.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["serve", "--prot", "1"], ["fly"], ["serve", "--port", "seventy"], ["backends", "add"], []]
)
def test_usage_errors(directory, arguments):
    _, error = nexus(*arguments, home=directory, code=2)
    assert "error" in error.lower() or "Usage" in error
