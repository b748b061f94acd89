"""One way to ask through every SDK: the same conversation in, the same kind of answer out, whatever words the dialect has."""

import base64
import json
from dataclasses import dataclass, field

import anthropic
import ollama
import openai
from google.genai import errors, types

from sdk import CITY, anthropic_at, google_at, ollama_at, openai_at

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PIXEL_TEXT = base64.b64encode(PIXEL).decode()
TOOL, ABOUT = "get_weather", "Weather of a city."


@dataclass
class Answer:
    """`finish` is `stop`, `tools` or `length`; `calls` are (id, name, arguments). `raw` is what the SDK would put into the
    history."""

    text: str = ""
    thought: str = ""
    calls: list = field(default_factory=list)
    finish: str = ""
    prompt: int = 0
    cached: int | None = None
    written: int = 0
    raw: object = None


@dataclass
class User:
    """What somebody says, maybe about a picture."""

    text: str
    image: bool = False


@dataclass
class Results:
    """What the calls of the answer before it came to."""

    texts: list


@dataclass
class Ask:
    """A question. `turns` are User, Answer and Results."""

    model: str
    turns: list
    system: str = ""
    tools: bool = False
    stop: str = ""
    thinks: bool = False
    limit: int = 200
    fields: dict = field(default_factory=dict)

    def paired(self):
        """The turns; each Results with the calls that it answers."""
        before = None
        for turn in self.turns:
            yield turn, (list(zip(before.calls, turn.texts, strict=True)) if isinstance(turn, Results) else [])
            before = turn


class Chat:
    """OpenAI's chat completions."""

    errors = (openai.APIError,)

    def __init__(self, url, **options):
        self.sdk = openai_at(url, strict=True, **options)

    def body(self, ask):
        messages = [{"role": "system", "content": ask.system}] if ask.system else []
        for turn, results in ask.paired():
            match turn:
                case User(text, image):
                    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL_TEXT}"}}
                    parts = [{"type": "text", "text": text}, picture] if image else text
                    messages.append({"role": "user", "content": parts})
                case Answer():
                    calls = [
                        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                        for id, name, arguments in turn.calls
                    ]
                    more = {"tool_calls": calls} if calls else {}
                    messages.append({"role": "assistant", "content": turn.text or None, **more})
            messages += [{"role": "tool", "tool_call_id": call[0], "content": text} for call, text in results]
        body = {"model": ask.model, "messages": messages, "max_tokens": ask.limit, **ask.fields}
        if ask.tools:
            body["tools"] = [{"type": "function", "function": {"name": TOOL, "description": ABOUT, "parameters": CITY}}]
        if ask.stop:
            body["stop"] = [ask.stop]
        if ask.thinks:
            body["reasoning_effort"] = "low"
        return body

    def say(self, ask):
        reply = self.sdk.chat.completions.create(**self.body(ask))
        return self.read(reply.choices[0].message, reply.choices[0].finish_reason, reply.usage)

    def stream(self, ask):
        chunks = self.sdk.chat.completions.create(**self.body(ask), stream=True, stream_options={"include_usage": True})
        answer, calls, usage, finish = Answer(), {}, None, None
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.thought += getattr(choice.delta, "reasoning_content", None) or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or []:
                    known = calls.setdefault(call.index, ["", "", ""])
                    known[0] = call.id or known[0]
                    known[1] += call.function.name or ""
                    known[2] += call.function.arguments or ""
        answer.calls = [(id, name, json.loads(arguments)) for _, (id, name, arguments) in sorted(calls.items())]
        return self.count(answer, finish, usage)

    def read(self, message, finish, usage):
        calls = [
            (call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []
        ]
        thought = getattr(message, "reasoning_content", None) or ""
        return self.count(Answer(message.content or "", thought, calls), finish, usage)

    def count(self, answer, finish, usage):
        answer.finish = {"tool_calls": "tools"}.get(finish, finish)
        answer.prompt, answer.written = usage.prompt_tokens, usage.completion_tokens
        answer.cached = usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
        return answer

    def told(self, error):
        return getattr(error, "status_code", None), error.message


class Responses(Chat):
    """OpenAI's responses."""

    def body(self, ask):
        items = []
        for turn, results in ask.paired():
            match turn:
                case User(text, image):
                    parts = [{"type": "input_text", "text": text}]
                    if image:
                        url = f"data:image/png;base64,{PIXEL_TEXT}"
                        parts.append({"type": "input_image", "image_url": url, "detail": "auto"})
                    items.append({"role": "user", "content": parts})
                case Answer():
                    if turn.text:
                        items.append({"role": "assistant", "content": [{"type": "output_text", "text": turn.text}]})
                    items += [
                        {"type": "function_call", "call_id": id, "name": name, "arguments": json.dumps(arguments)}
                        for id, name, arguments in turn.calls
                    ]
            items += [{"type": "function_call_output", "call_id": call[0], "output": text} for call, text in results]
        body = {"model": ask.model, "input": items, "max_output_tokens": ask.limit, "store": False, **ask.fields}
        if ask.system:
            body["instructions"] = ask.system
        if ask.tools:
            body["tools"] = [
                {"type": "function", "name": TOOL, "description": ABOUT, "parameters": CITY, "strict": False}
            ]
        if ask.thinks:
            body["reasoning"] = {"effort": "low"}
        return body

    def say(self, ask):
        return self.read_response(self.sdk.responses.create(**self.body(ask)))

    def stream(self, ask):
        last, said = None, ""
        for event in self.sdk.responses.create(**self.body(ask), stream=True):
            if event.type == "response.output_text.delta":
                said += event.delta
            last = event
        assert last.type in ("response.completed", "response.incomplete"), last
        answer = self.read_response(last.response)
        assert answer.text == said
        return answer

    def read_response(self, reply):
        answer = Answer(reply.output_text)
        for item in reply.output:
            if item.type == "reasoning":
                answer.thought += "".join(part.text for part in (item.content or item.summary))
            if item.type == "function_call":
                answer.calls.append((item.call_id, item.name, json.loads(item.arguments)))
        if reply.status == "incomplete":
            answer.finish = {"max_output_tokens": "length"}[reply.incomplete_details.reason]
        else:
            answer.finish = "tools" if answer.calls else "stop"
        answer.prompt, answer.written = reply.usage.input_tokens, reply.usage.output_tokens
        answer.cached = reply.usage.input_tokens_details.cached_tokens
        return answer


class Messages:
    """Anthropic's messages. `strict`: every field is checked, which only Nexus's own writing needs to stand."""

    errors = (anthropic.APIError,)

    def __init__(self, url, strict=True, **options):
        self.sdk = anthropic_at(url, strict=strict, **options)

    def body(self, ask):
        messages = []
        for turn, results in ask.paired():
            match turn:
                case User(text, image):
                    source = {"type": "base64", "media_type": "image/png", "data": PIXEL_TEXT}
                    parts = [{"type": "image", "source": source}] if image else []
                    messages.append({"role": "user", "content": [*parts, {"type": "text", "text": text}]})
                case Answer():
                    messages.append({"role": "assistant", "content": turn.raw})
            if results:
                blocks = [{"type": "tool_result", "tool_use_id": call[0], "content": text} for call, text in results]
                messages.append({"role": "user", "content": blocks})
        body = {"model": ask.model, "messages": messages, "max_tokens": ask.limit, **ask.fields}
        if ask.system:
            body["system"] = ask.system
        if ask.tools:
            body["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": CITY}]
        if ask.stop:
            body["stop_sequences"] = [ask.stop]
        if ask.thinks:
            body |= {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
        return body

    def say(self, ask):
        return self.read(self.sdk.messages.create(**self.body(ask)))

    def stream(self, ask):
        with self.sdk.messages.stream(**self.body(ask)) as stream:
            said = "".join(stream.text_stream)
            answer = self.read(stream.get_final_message())
        assert answer.text == said
        return answer

    def read(self, reply):
        answer = Answer(raw=[block.model_dump(exclude_none=True) for block in reply.content])
        for block in reply.content:
            match block.type:
                case "text":
                    answer.text += block.text
                case "thinking":
                    answer.thought += block.thinking
                case "tool_use":
                    answer.calls.append((block.id, block.name, block.input))
        words = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tools", "max_tokens": "length"}
        answer.finish, used = words[reply.stop_reason], reply.usage
        answer.cached = used.cache_read_input_tokens or 0
        answer.prompt = used.input_tokens + answer.cached + (used.cache_creation_input_tokens or 0)
        answer.written = used.output_tokens
        return answer

    def told(self, error):
        body = error.body if isinstance(error.body, dict) else {}
        status = getattr(error, "status_code", None)
        return (None if status == 200 else status), body.get("error", {}).get("message", error.message)


class Ollama:
    """Ollama's chat."""

    errors = (ollama.ResponseError,)

    def __init__(self, url, **_):
        self.sdk = ollama_at(url)

    def body(self, ask):
        messages = [{"role": "system", "content": ask.system}] if ask.system else []
        for turn, results in ask.paired():
            match turn:
                case User(text, image):
                    messages.append({"role": "user", "content": text, **({"images": [PIXEL]} if image else {})})
                case Answer():
                    calls = [{"function": {"name": name, "arguments": arguments}} for _, name, arguments in turn.calls]
                    messages.append({"role": "assistant", "content": turn.text, "tool_calls": calls or None})
            messages += [{"role": "tool", "tool_name": call[1], "content": text} for call, text in results]
        options = {"num_predict": ask.limit, **({"stop": [ask.stop]} if ask.stop else {})}
        body = {"model": ask.model, "messages": messages, "options": options | ask.fields}
        if ask.tools:
            function = {"name": TOOL, "description": ABOUT, "parameters": CITY}
            body["tools"] = [{"type": "function", "function": function}]
        if ask.thinks:
            body["think"] = True
        return body

    def say(self, ask):
        return self.read([self.sdk.chat(**self.body(ask))])

    def stream(self, ask):
        return self.read(list(self.sdk.chat(**self.body(ask), stream=True)))

    def read(self, parts):
        answer, last = Answer(), parts[-1]
        for part in parts:
            answer.text += part.message.content or ""
            answer.thought += part.message.thinking or ""
            for call in part.message.tool_calls or []:
                answer.calls.append(("", call.function.name, dict(call.function.arguments)))
        answer.finish = "tools" if answer.calls else last.done_reason
        answer.prompt, answer.written = last.prompt_eval_count, last.eval_count
        return answer

    def told(self, error):
        return (None if error.status_code == -1 else error.status_code), error.error


class Google:
    """Google's generateContent."""

    errors = (errors.APIError,)

    def __init__(self, url, **options):
        options.pop("strict", None)
        self.sdk = google_at(url, **options)

    def body(self, ask):
        contents = []
        for turn, results in ask.paired():
            match turn:
                case User(text, image):
                    parts = [types.Part(text=text)]
                    if image:
                        parts.append(types.Part.from_bytes(data=PIXEL, mime_type="image/png"))
                    contents.append(types.UserContent(parts))
                case Answer():
                    contents.append(turn.raw)
            if results:
                parts = [
                    types.Part.from_function_response(name=call[1], response={"output": text}) for call, text in results
                ]
                contents.append(types.UserContent(parts))
        config = {"max_output_tokens": ask.limit, **ask.fields}
        if ask.system:
            config["system_instruction"] = ask.system
        if ask.tools:
            declaration = {"name": TOOL, "description": ABOUT, "parameters_json_schema": CITY}
            config["tools"] = [{"function_declarations": [declaration]}]
        if ask.stop:
            config["stop_sequences"] = [ask.stop]
        if ask.thinks:
            config["thinking_config"] = {"include_thoughts": True, "thinking_budget": 1024}
            config["max_output_tokens"] = 4000
        return {"model": ask.model, "contents": contents, "config": config}

    def say(self, ask):
        return self.read([self.sdk.models.generate_content(**self.body(ask))])

    def stream(self, ask):
        return self.read(list(self.sdk.models.generate_content_stream(**self.body(ask))))

    def read(self, replies):
        answer, parts = Answer(), []
        for reply in replies:
            content = reply.candidates[0].content
            parts += (content and content.parts) or []
        for part in parts:
            if part.function_call:
                answer.calls.append((part.function_call.id or "", part.function_call.name, part.function_call.args))
            elif part.thought:
                answer.thought += part.text or ""
            else:
                answer.text += part.text or ""
        answer.raw = types.ModelContent([part for part in parts if part.function_call or part.text])
        finish, used = replies[-1].candidates[0].finish_reason, replies[-1].usage_metadata
        answer.finish = "tools" if answer.calls else {"STOP": "stop", "MAX_TOKENS": "length"}[finish.value]
        answer.prompt, answer.cached = used.prompt_token_count, used.cached_content_token_count
        answer.written = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
        return answer

    def told(self, error):
        return error.code, error.message


SPEAKERS = [Chat, Responses, Messages, Ollama, Google]
