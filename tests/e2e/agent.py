"""Coding agents out of their wheels, run as a user runs them: once, on a question, with nothing of this machine's settings."""

import importlib.resources
import os
import subprocess
from pathlib import Path

from support import tail

WHEELS = {"claude": ("claude_agent_sdk", "_bundled/claude"), "codex": ("codex_cli_bin", "bin/codex")}


def program(name):
    """Where the wheel has it. That it is not there is a failure: a test that is left out tells nobody anything."""
    package, inside = WHEELS[name]
    try:
        path = Path(str(importlib.resources.files(package))) / inside
    except ModuleNotFoundError:
        path = None
    assert path and path.is_file(), f"{name} is not installed: pip install -r tests/e2e/requirements-agents.txt"
    return path


def run(name, arguments, home, **env):
    """What it prints, once it has ended well. It sees no environment but `env`."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [program(name), *arguments],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}\n{tail(done.stdout)}\n{tail(done.stderr)}"
    return done.stdout
