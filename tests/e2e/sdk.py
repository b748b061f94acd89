"""The official SDKs pointed at a peer, and what the tests of all of them ask. Nothing is asked twice: a retry would hide an
error."""

import anthropic
import ollama
import openai
from google import genai

from support import wait_for

KEY = "not-needed"
WORDS = "What do you say?"
THOUGHT, ANSWER = "The user wants an answer.", "Forty-two."
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# Only one text is of this schema: whatever the model would like to write, a server that keeps to schemas writes that.
ONLY_PARIS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}


def openai_at(url, strict=False, key=KEY):
    return openai.OpenAI(
        base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30, _strict_response_validation=strict
    )


def anthropic_at(url, strict=False, key=KEY):
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30, _strict_response_validation=strict)


def ollama_at(url):
    return ollama.Client(host=url, timeout=30)


def google_at(url, key=KEY):
    return genai.Client(api_key=key, http_options=genai.types.HttpOptions(base_url=url, timeout=30_000))


def wait_until_let_go(llama, deadline=5):
    """The client has gone: its slot must be free soon. llama.cpp puts its look off at each question for its slots."""
    wait_for(lambda: not llama.busy_slots(), "the slot is free", deadline, pause=0.2)


def wait_until_busy(llama):
    wait_for(llama.busy_slots, "llama.cpp is busy", 5, pause=0.005)
