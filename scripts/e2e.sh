#!/usr/bin/env bash
# End-to-end tests: the real binary, a real llama.cpp, the official SDKs, real coding agents, real processes, sockets and namespaces.
#
# usage: scripts/e2e.sh [PYTEST_ARGUMENTS...]
# NEXUS_BIN   the binary to test                          (target/release/nexus)
# PYTHON      a Python of 3.11 or later with venv         (python3)
#
# Run as root, the tests get a network of their own (unshare --net): every port is free, nobody else's peers are heard.
# Elsewhere they run on the host's network, and those that need a whole network to themselves say that they were skipped.
set -euo pipefail

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/e2e"
target=$(cd "$target" && pwd)
export NEXUS_BIN=${NEXUS_BIN:-$target/release/nexus}
export NEXUS_E2E_DIR=$target/e2e TINY_LLAMA_CACHE=$target/tiny-llama PYTHONDONTWRITEBYTECODE=1
[ -x "$NEXUS_BIN" ] || { echo "no binary at $NEXUS_BIN: cargo build --release, or set NEXUS_BIN" >&2; exit 1; }
NEXUS_BIN=$(realpath "$NEXUS_BIN")

# The agents are big: whoever has no use for them leaves them out (-m "not agents").
venv=$target/e2e-venv
for wanted in requirements requirements-agents; do
  if ! cmp -s "tests/e2e/$wanted.txt" "$venv/$wanted"; then
    [ -x "$venv/bin/pip" ] || "${PYTHON:-python3}" -m venv "$venv"
    if "$venv/bin/pip" install --quiet --disable-pip-version-check -r "tests/e2e/$wanted.txt"; then
      cp "tests/e2e/$wanted.txt" "$venv/$wanted"
    elif [ "$wanted" = requirements ]; then
      exit 1
    else
      echo "the agents could not be installed: their tests will fail" >&2
    fi
  fi
done

pytest=("$venv/bin/python" -m pytest -c tests/e2e/pytest.ini tests/e2e "$@")
if [ "$(id -u)" = 0 ] && command -v ip >/dev/null && unshare --net ip link add lan0 type veth peer name lan1 2>/dev/null; then
  export NEXUS_E2E_PRIVATE=1
  exec unshare --net bash -euc '
    ip link set lo up
    ip link add lan0 type veth peer name lan1
    echo 1 >/proc/sys/net/ipv6/conf/lan1/disable_ipv6
    ip address add 192.0.2.10/24 dev lan0
    ip link set lan0 up
    ip link set lan1 up
    exec "$@"
  ' bash "${pytest[@]}"
fi
exec "${pytest[@]}"
