"""What every test here leans on: waiting for conditions, free ports, child processes whose output is kept."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NEXUS = os.environ.get("NEXUS_BIN", str(Path(__file__).parents[2] / "target/release/nexus"))
ROOT = Path(__file__).parents[2]
KEPT = Path(os.environ.get("NEXUS_E2E_DIR", str(ROOT / "target/e2e")))
PRIVATE = os.environ.get("NEXUS_E2E_PRIVATE") == "1"


def wait_for(condition, what, deadline=10.0, pause=0.02):
    """Returns the first truthy answer of `condition`; after `deadline` seconds fails, saying `what` did not come about."""
    end = time.monotonic() + deadline
    error = None
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            error = None
        except Exception as raised:  # whatever goes wrong while waiting may come right
            error = raised
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}" + (f" (last: {error!r})" if error else ""))
        time.sleep(pause)


def free_port():
    """A TCP port that is free, with the UDP port after it free as well: that is where a peer's mesh listens."""
    for _ in range(200):
        with contextlib.ExitStack() as stack:
            tcp = stack.enter_context(socket.socket())
            udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            if port in _given or port + 1 in _given or port > 60000:
                continue
            try:
                udp.bind(("0.0.0.0", port + 1))
            except OSError:
                continue
            _given.update((port, port + 1))
            return port
    raise AssertionError("no free port pair")


_given: set[int] = set()


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def clean_environment(home, **more):
    """The environment without anything that would configure Nexus, with `home` as the home directory."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NEXUS_", "RUST_LOG", "XDG_"))}
    return {**kept, "HOME": str(home), "NO_COLOR": "1", **more}


def kept_directory(test_name):
    """A fresh directory under target/e2e for what a test leaves behind."""
    directory = KEPT / re.sub(r"[^A-Za-z0-9_.-]+", "-", test_name)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


class Child:
    """A process with its output in a file, in a session of its own so that whatever it starts can be counted."""

    def __init__(self, command, log, **options):
        self.command = [str(part) for part in command]
        self.log = Path(log)
        self._file = self.log.open("ab")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def kill(self):
        """SIGKILL, and gone when it returns."""
        if self.running():
            self.process.kill()
        self.process.wait(10)
        self._file.close()

    def stop(self, with_signal=signal.SIGTERM, deadline=12):
        """Asks it to end and returns its exit code."""
        if self.running():
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still running {deadline} s after {with_signal!r}: {self.command}\n{tail(self.text())}"
            ) from None
        finally:
            self._file.close()

    def session(self):
        """Every process of its session that is alive, as (pid, command)."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            state, _parent, _group, session = stat.rpartition(")")[2].split()[:4]
            if int(session) == self.pid and state != "Z":
                found.append((int(entry.name), command))
        return found


def tail(text, lines=30):
    return "\n".join(text.splitlines()[-lines:])
