"""Anthropic's API as its public description has it: /v1/models, /v1/messages with and without a stream, count_tokens."""

import json
import re

from fake_cloud import (
    CACHED,
    PROMPT,
    THOUGHT,
    THOUGHTS,
    WORDS,
    WRITTEN,
    FakeCloud,
    Wrong,
    demand,
    is_base64,
    is_tool_name,
    only,
)

FIELDS = (
    "model messages max_tokens metadata stop_sequences stream system temperature thinking tool_choice tools top_k top_p "
    "service_tier container context_management mcp_servers output_config cache_control inference_geo"
).split()
BLOCKS = {
    "text": "type text cache_control citations",
    "image": "type source cache_control",
    "document": "type source cache_control title context citations",
    "tool_use": "type id name input cache_control",
    "tool_result": "type tool_use_id content is_error cache_control",
    "thinking": "type thinking signature",
    "redacted_thinking": "type data",
}
OF = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
    "system": {"text"},
}
# Conversations that the server keeps: the SDK goes on without, where it is told so in these words.
NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBmYWtl"
ERRORS = {
    400: ("invalid_request_error", "max_tokens: 99999 > 64000, which is the maximum allowed"),
    401: ("authentication_error", "invalid x-api-key"),
    404: ("not_found_error", "model: "),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}
STATUS = {"bad": 400, "unauthorised": 401, "gone": 404, "limited": 429, "overloaded": 529, "echo-key": 500}


def blocks(content, allowed, where):
    if isinstance(content, str):
        demand(content, f"{where}: text content must be non-empty")
        return [{"type": "text", "text": content}]
    demand(isinstance(content, list) and content, f"{where}: at least one block is required")
    for at, block in enumerate(content):
        here = f"{where}.{at}"
        kind = block.get("type")
        demand(
            kind in allowed, f"{here}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )
        only(block, BLOCKS[kind].split(), here)
        match kind:
            case "text":
                demand(block.get("text", "").strip(), f"{here}: text content blocks must contain non-whitespace text")
            case "image":
                source = block["source"]
                if source["type"] == "base64":
                    only(source, ["type", "media_type", "data"], here)
                    demand(source["media_type"] in ("image/png", "image/jpeg", "image/gif", "image/webp"), here)
                    demand(is_base64(source["data"]), f"{here}.source.base64: invalid base64 data")
                else:
                    demand(source["type"] == "url" and source["url"].startswith("http"), f"{here}.source")
            case "tool_use":
                demand(isinstance(block["input"], dict), f"{here}.input: Input should be a valid dictionary")
                demand(is_tool_name(block["name"]) and block["id"], f"{here}.id")
            case "tool_result":
                if "content" in block and not isinstance(block["content"], str):
                    blocks(block["content"], {"text", "image", "document"}, f"{here}.content")
            case "thinking":
                demand(block["signature"] == SIGNATURE, f"{here}: Invalid `signature` in `thinking` block")
    return content


def check_messages(messages):
    demand(isinstance(messages, list) and messages, "messages: at least one message is required")
    demand(messages[0].get("role") == "user", 'messages: first message must use the "user" role')
    open_calls = set()
    for at, message in enumerate(messages):
        only(message, ["role", "content"], f"messages.{at}")
        role = message["role"]
        demand(role in OF, f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'")
        content = blocks(message["content"], OF[role], f"messages.{at}.content")
        if role == "system":
            demand(messages[at - 1]["role"] == "user", f"messages.{at}: a system message must follow a user message")
            continue
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        for result in results:
            demand(
                result in open_calls, f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {result}"
            )
        demand(set(results) == open_calls, f"messages.{at}: `tool_use` ids were found without `tool_result` blocks")
        kinds = [block["type"] == "tool_result" for block in content]
        demand(kinds == sorted(kinds, reverse=True), f"messages.{at}: tool_result blocks come first")
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
        demand(len(set(calls)) == len(calls), f"messages.{at}: `tool_use` ids must be unique")
        open_calls = set(calls)
    demand(not open_calls, "messages: `tool_use` ids were found without `tool_result` blocks immediately after")


def check(body, is_count=False):
    only(body, FIELDS, "body")
    if not is_count:
        limit = body.get("max_tokens")
        demand(isinstance(limit, int) and limit >= 1, "max_tokens: Field required")
    check_messages(body.get("messages"))
    if "system" in body:
        blocks(body["system"], {"text"}, "system")
    if "temperature" in body:
        demand(0 <= body["temperature"] <= 1, "temperature: range: 0..1")
    for word in body.get("stop_sequences", []):
        demand(word.strip(), "stop_sequences: each stop sequence must contain non-whitespace")
    for at, tool in enumerate(body.get("tools", [])):
        only(tool, ["type", "name", "description", "input_schema", "cache_control", "strict"], f"tools.{at}")
        demand(is_tool_name(tool["name"]), f"tools.{at}.name")
        demand(tool["input_schema"].get("type") == "object", f"tools.{at}.input_schema.type: Field required")
    choice = body.get("tool_choice")
    if choice:
        only(choice, ["type", "name", "disable_parallel_tool_use"], "tool_choice")
        demand(body.get("tools"), "tool_choice may only be specified while providing tools")
        demand(choice["type"] in ("auto", "any", "tool", "none"), "tool_choice.type")
    thinking = body.get("thinking", {"type": "disabled"})
    demand(thinking["type"] in ("enabled", "disabled", "adaptive"), "thinking.type")
    if thinking["type"] == "enabled":
        demand(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.enabled.budget_tokens")
        demand(body.get("temperature", 1) == 1, "`temperature` may only be set to 1 when thinking is enabled")


class FakeAnthropic(FakeCloud):
    """`calls` are what it was asked."""

    prefix = "claude"

    def answer(self, call, reply):
        if call.headers.get("x-api-key") != self.key or "authorization" in call.headers:
            return self.refuse(reply, 401)
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", call.headers.get("anthropic-version", "")):
            return self.refuse(reply, 400, "anthropic-version: header is required")
        path = call.path.partition("?")[0]
        if path == "/v1/models":
            return self.list(reply)
        if path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return self.refuse(reply, 404, "Not Found")
        if isinstance(call.body, dict) and "thread" in call.body:
            return self.refuse(reply, 400, "This request cannot run on a thread.", details=NO_THREADS)
        try:
            demand(isinstance(call.body, dict), "The request body is not valid JSON")
            check(call.body, path.endswith("count_tokens"))
        except (Wrong, KeyError, TypeError, AttributeError) as error:
            return self.refuse(reply, 400, str(error))
        if path.endswith("count_tokens"):
            return reply.say(200, {"input_tokens": PROMPT})
        what = self.what(call.body["model"])
        if what is None:
            return self.refuse(reply, 404, f"model: {call.body['model']}")
        last = call.body["messages"][-1]["content"]
        if what == "tool" and any(block["type"] == "tool_result" for block in last if isinstance(block, dict)):
            what = "fine"
        if what in STATUS:
            return self.fail(reply, STATUS[what], what)
        if call.body.get("stream"):
            return reply.stream(self.events(call.body, what), cut=what == "cut")
        if what in ("fails-midway", "cut"):
            return self.refuse(reply, 500)
        return reply.say(200, self.message(call.body, what))

    def list(self, reply):
        entry = {
            "type": "model",
            "created_at": "2025-09-29T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "capabilities": {"image_input": {"supported": True}},
        }
        data = [{**entry, "id": name, "display_name": name} for name in self.names()]
        reply.say(200, {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]})

    def refuse(self, reply, status, message=None, headers=(), details=None):
        kind, usual = ERRORS[status]
        error = {"type": kind, "message": message or usual, **({"details": details} if details else {})}
        body = {"type": "error", "error": error, "request_id": "req_fake"}
        reply.say(status, body, [("request-id", "req_fake"), *headers])

    def fail(self, reply, status, what):
        match what:
            case "limited":
                self.refuse(reply, status, headers=[("retry-after", "7")])
            case "unauthorised" | "echo-key":
                self.refuse(reply, status, f"no good: x-api-key {self.key}")
            case _:
                self.refuse(reply, status)

    def content(self, what):
        """Blocks, each as (its start, its deltas)."""

        def call(at, city):
            start = {"type": "tool_use", "id": f"toolu_0{at}", "name": "get_weather", "input": {}}
            parts = ["", '{"city": ', f'"{city}"}}']
            return start, [{"type": "input_json_delta", "partial_json": part} for part in parts]

        def text(*words):
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words]

        thought = [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta", "signature": SIGNATURE}]
        match what:
            case "tool":
                return [text("Let me look."), call(1, "Paris")]
            case "parallel":
                return [call(1, "Paris"), call(2, "Rome")]
            case "think":
                return [({"type": "thinking", "thinking": "", "signature": ""}, thought), text(*WORDS)]
            case _:
                return [text(*WORDS)]

    def ending(self, body, what):
        if what in ("tool", "parallel"):
            return {"stop_reason": "tool_use", "stop_sequence": None}
        if what == "long":
            return {"stop_reason": "max_tokens", "stop_sequence": None}
        stops = body.get("stop_sequences")
        if stops:
            return {"stop_reason": "stop_sequence", "stop_sequence": stops[0]}
        return {"stop_reason": "end_turn", "stop_sequence": None}

    def message(self, body, what):
        content = []
        for start, deltas in self.content(what):
            block = dict(start)
            for delta in deltas:
                for key in ("text", "thinking", "signature"):
                    block[key] = block.get(key, "") + delta[key] if key in delta else block.get(key)
            if block["type"] == "tool_use":
                block["input"] = json.loads("".join(delta["partial_json"] for delta in deltas))
            content.append({key: value for key, value in block.items() if value is not None})
        return {**self.head(body), "content": content, **self.ending(body, what), "usage": self.usage(WRITTEN)}

    def head(self, body):
        return {"id": "msg_01fake", "type": "message", "role": "assistant", "model": body["model"]}

    def usage(self, written):
        return {
            "input_tokens": PROMPT - CACHED,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": CACHED,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": written,
            "service_tier": "standard",
        }

    def events(self, body, what):
        def event(kind, **fields):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n"

        start = {**self.head(body), "content": [], "stop_reason": None, "stop_sequence": None, "usage": self.usage(1)}
        yield event("message_start", message=start)
        for index, (block, deltas) in enumerate(self.content(what)):
            yield event("content_block_start", index=index, content_block=block)
            if index == 0:
                yield event("ping")
            for at, delta in enumerate(deltas):
                yield event("content_block_delta", index=index, delta=delta)
                if what == "cut" and at == 1 and self.may_cut.wait(30):
                    return
                if what == "fails-midway" and at == 1:
                    yield event("error", error={"type": "overloaded_error", "message": f"Overloaded {self.key}"})
                    return
            yield event("content_block_stop", index=index)
        usage = {
            "output_tokens": WRITTEN,
            "output_tokens_details": {"thinking_tokens": THOUGHTS if what == "think" else 0},
        }
        yield event("message_delta", delta=self.ending(body, what), usage=usage)
        yield event("message_stop")
