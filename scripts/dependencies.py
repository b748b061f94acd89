#!/usr/bin/env python3
"""Checks the dependencies against deny.toml as far as that needs no network: licences, sources, banned crates.

It asks `cargo metadata` and knows nothing of security advisories: `cargo deny check` does, where it is installed.
usage: scripts/dependencies.py
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def allowed(expression, licences):
    """Whether an SPDX expression can be met with `licences` alone. Old crates write `/` for OR."""
    tokens = re.findall(r"[()]|[\w.+-]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        if tokens[0] == "(":
            tokens.pop(0)
            met = either()
            tokens.pop(0)
            return met
        name = tokens.pop(0)
        if tokens and tokens[0] == "WITH":
            name = " ".join([name, tokens.pop(0), tokens.pop(0)])
        return name in licences

    try:
        return either() and not tokens
    except IndexError:
        return False


def problems(packages, rules):
    licences = set(rules["licenses"]["allow"])
    banned = {entry["crate"]: entry["reason"] for entry in rules["bans"]["deny"]}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] not in (None, REGISTRY):
            yield f"{name} comes from {package['source']}"
        if not allowed(package["license"] or "", licences):
            yield f"{name} is under {package['license'] or 'no stated licence'}"
        if package["name"] in banned:
            yield f"{name} is banned: {banned[package['name']]}"


def main():
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    found = sorted(problems(packages, tomllib.loads((ROOT / "deny.toml").read_text())))
    print("\n".join(found) if found else f"{len(packages)} packages: all good")
    sys.exit(1 if found else 0)


main()
