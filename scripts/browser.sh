#!/usr/bin/env bash
# The pages in a real browser: Debian's chromium, driven by Playwright against three real peers. Screenshots are kept.
#
# usage: scripts/browser.sh [PYTEST_ARGUMENTS...]
# NEXUS_BIN   the binary to test                          (target/release/nexus)
# PYTHON      a Python of 3.11 or later with venv         (python3)
#
# Needs chromium (apt-get install chromium). What was seen is in target/browser/*.png.
set -euo pipefail

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/browser"
target=$(cd "$target" && pwd)
export NEXUS_BIN=${NEXUS_BIN:-$target/release/nexus} NEXUS_BROWSER_DIR=$target/browser PYTHONDONTWRITEBYTECODE=1
[ -x "$NEXUS_BIN" ] || { echo "no binary at $NEXUS_BIN: cargo build --release, or set NEXUS_BIN" >&2; exit 1; }
NEXUS_BIN=$(realpath "$NEXUS_BIN")

venv=$target/browser-venv
if ! cmp -s tests/browser/requirements.txt "$venv/requirements"; then
  [ -x "$venv/bin/pip" ] || "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/browser/requirements.txt
  cp tests/browser/requirements.txt "$venv/requirements"
fi
exec "$venv/bin/python" -m pytest -c tests/browser/pytest.ini tests/browser "$@"
