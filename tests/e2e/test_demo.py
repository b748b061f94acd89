"""`nexus demo`: what it prints works as printed, and Ctrl-C leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support import NEXUS, Child, clean_environment, tail, wait_for


@pytest.fixture
def demo(directory):
    home = directory / "home"
    home.mkdir()
    child = Child([NEXUS, "demo"], directory / "demo.log", cwd=home, env=clean_environment(home))
    yield child
    for pid, _ in child.session():
        os.kill(pid, signal.SIGKILL)
    child.kill()


def commands(text):
    """The lines to paste: those that begin with curl or nexus, variables set for them aside, with what continues them."""
    joined = text.replace("\\\n", " ")
    found = [re.sub(r"^\s*(\$\s+)?", "", line) for line in joined.splitlines()]
    return [line for line in found if re.match(r"(\w+=\S+ )*(curl|nexus|\S*/nexus) ", line)]


def run(command, home):
    path = f"{Path(NEXUS).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=home,
        env={**clean_environment(home), "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_it_prints_works_as_printed(demo, directory):
    def printed():
        assert demo.running(), tail(demo.text())
        found = commands(demo.text())
        return "Ctrl-C" in demo.text() and len([line for line in found if line.startswith("curl")]) >= 3 and found

    found = wait_for(printed, "it prints what to paste", 30)
    outputs = []
    for command in found:
        done = run(command, directory / "home")
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert '"error"' not in done.stdout, f"{command}\n{done.stdout}"
        outputs.append(done.stdout)
    everything = "\n".join(outputs)
    assert "data: [DONE]" in everything, "one line streams"
    assert '"chat.completion"' in everything, "one line asks plainly"
    assert any("mesh" in command and "status" in command for command in found)


def test_control_c_leaves_nothing_running(demo):
    wait_for(lambda: "Ctrl-C" in demo.text() and commands(demo.text()), "it is up", 30)
    ports = sorted({int(port) for port in re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", demo.text())})
    assert len(ports) >= 3
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.stop(signal.SIGINT) == 0
    wait_for(lambda: not demo.session(), "every process is gone", 5)
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"somebody still listens on {port}"
