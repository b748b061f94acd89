#!/usr/bin/env python3
"""Trims the public price list of LiteLLM to what Nexus asks of it: src/budget/price/prices.toml.

The list is in the wheel `litellm` of PyPI (`pip download --no-deps litellm`, unzip):
litellm/model_prices_and_context_window_backup.json. Kept are text models of OpenAI's, Anthropic's and Google's own APIs
that have a price, in USD per million tokens. A price of 0 in the list means that nobody knows it: such models are left
out. So are the higher prices of long prompts, of other tiers of service and of caches that live longer.
usage: scripts/prices.py PATH_TO_JSON > src/budget/price/prices.toml
"""

import datetime
import json
import sys
from decimal import Decimal
from pathlib import Path

KINDS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
MODES = {"chat", "responses", "completion", "embedding"}
PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
LIMITS = {"max_input": "max_input_tokens", "max_output": "max_output_tokens"}
FLAGS = {"vision": "supports_vision", "tools": "supports_function_calling", "json": "supports_response_schema"}
HEAD = """\
# What clouds ask for their models, in USD per million tokens, and what their models take. An embedding has no output.
# Not in here: higher prices of long prompts, other tiers of service, images and sound, and caches that live longer.
# Made by scripts/prices.py; not to be edited: prices of your own go into the configuration.
# From LiteLLM's model_prices_and_context_window_backup.json, Copyright (c) 2023 Berri AI, under the MIT licence.
"""


def per_million(price):
    """A price per token as the list writes it, per million tokens."""
    text = f"{(Decimal(str(price)) * 1_000_000).normalize():f}"
    return text if "." in text else text + ".0"


def is_text(entry):
    """Whether a model answers in text as far as the list says."""
    return "text" in entry.get("supported_output_modalities", ["text"])


def row(entry):
    """The fields of one model, or None where it has no price of its own."""
    embedding = entry["mode"] == "embedding"
    prices = {ours: entry.get(theirs) or 0 for ours, theirs in PRICES.items()}
    if prices["input"] <= 0 or (prices["output"] <= 0 and not embedding):
        return None
    if embedding:
        prices["output"] = 0
    fields = [f"{name} = {per_million(price)}" for name, price in prices.items() if price > 0]
    for ours, theirs in LIMITS.items():
        if not (embedding and ours == "max_output") and int(entry.get(theirs) or 0) > 0:
            fields.append(f"{ours} = {int(entry[theirs])}")
    told = {ours: entry.get(theirs) for ours, theirs in FLAGS.items()}
    fields += [f"{name} = {str(flag).lower()}" for name, flag in told.items() if flag in (True, False)]
    return "{ " + ", ".join(fields) + " }"


def rows(entries):
    """The models of the list by kind of backend and name. A name with its provider in front wins."""
    found = {kind: {} for kind in KINDS.values()}
    for name, entry in sorted(entries.items(), key=lambda item: "/" in item[0]):
        provider = entry.get("litellm_provider")
        if provider in KINDS and entry.get("mode") in MODES and is_text(entry) and (fields := row(entry)):
            found[KINDS[provider]][name.removeprefix(f"{provider}/")] = fields
    return found


def version(path):
    """The version of the wheel the list was unpacked from."""
    wheels = [folder.name for folder in path.resolve().parents[1].glob("litellm-*.dist-info")]
    return wheels[0].removeprefix("litellm-").removesuffix(".dist-info") if wheels else "of unknown version"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    print(HEAD)
    print(f'source = "litellm {version(path)} (PyPI), https://github.com/BerriAI/litellm"')
    print(f'retrieved = "{datetime.date.today()}"')
    for kind, models in rows(json.loads(path.read_text())).items():
        print(f"\n[{kind}]")
        for name, fields in sorted(models.items()):
            print(f"{json.dumps(name)} = {fields}")


main()
