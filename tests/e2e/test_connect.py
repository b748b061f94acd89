"""`nexus connect`: the settings that point a tool at a running peer. Only the llama.cpp of another peer has models here."""

import json
import os

import pytest

from peer import backend

FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.json",
    "aider": ".aider.conf.yml",
    "continue": ".continue/config.yaml",
    "zed": ".config/zed/settings.json",
    "goose": ".config/goose/config.yaml",
}
WITHOUT_A_FILE = ["open-webui", "cursor"]


@pytest.fixture(scope="module")
def peer(served):
    return served.first


def home_of(peer, directory):
    home = directory / "home"
    home.mkdir(exist_ok=True)
    return peer.env | {"HOME": str(home)}, home


@pytest.mark.parametrize("tool", [*FILES, *WITHOUT_A_FILE])
def test_every_tool_is_told_a_model_that_there_is(peer, directory, tool):
    env, home = home_of(peer, directory)
    view = json.loads(peer.cli("connect", tool, "--json", env=env)[0])
    assert (view["tool"], view["url"]) == (tool, peer.url)
    assert view["model"] in peer.models() and peer.chat(view["model"], max_tokens=5).status_code == 200
    text, _ = peer.cli("connect", tool, env=env)
    assert peer.url in text and (tool == "open-webui" or view["model"] in text)
    assert list(home.iterdir()) == [], "nothing is written without being asked for"


@pytest.mark.parametrize("tool", FILES)
def test_what_is_written_twice_is_written_once(peer, directory, tool):
    env, home = home_of(peer, directory)
    peer.cli("connect", tool, "--write", env=env)
    file = home / FILES[tool]
    once, at = file.read_text(), os.stat(file).st_mtime_ns
    assert peer.url in once
    peer.cli("connect", tool, "--write", env=env)
    assert (file.read_text(), os.stat(file).st_mtime_ns) == (once, at)
    assert [path.name for path in file.parent.iterdir()] == [file.name], (
        "nothing was changed, so nothing is kept beside it"
    )


@pytest.mark.parametrize("tool", FILES)
def test_another_model_is_written_over_the_first_and_nothing_else_is_lost(served, peer, directory, tool):
    env, home = home_of(peer, directory)
    peer.cli("connect", tool, "--write", "--model", served.chain.model, env=env)
    file = home / FILES[tool]
    before = file.read_text()
    peer.cli("connect", tool, "--write", "--model", served.tools.model, env=env)
    assert served.tools.model in file.read_text() and (home / f"{FILES[tool]}.bak").read_text() == before


@pytest.mark.parametrize("tool", WITHOUT_A_FILE)
def test_what_has_no_file_is_not_written(peer, directory, tool):
    env, home = home_of(peer, directory)
    peer.cli("connect", tool, "--write", env=env)
    assert list(home.iterdir()) == []


def test_a_model_that_nobody_has_is_not_written(peer, directory):
    env, home = home_of(peer, directory)
    _, error = peer.cli("connect", "claude", "--write", "--model", "absent", env=env, code=1)
    assert "absent" in error and list(home.iterdir()) == []


def test_a_peer_that_does_not_run_is_not_written(peers, directory, fake):
    absent = peers("absent", backends=[backend("local", fake.url)])
    env, home = home_of(absent, directory)
    absent.cli("connect", "claude", "--write", env=env, code=1)
    assert list(home.iterdir()) == []
