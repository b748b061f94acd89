"""Google's Gemini API as its public description has it: models, generateContent, streamGenerateContent, countTokens and
batchEmbedContents."""

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
)

FIELDS = "model contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent labels store serviceTier".split()
GENERATION = (
    "temperature topP topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema responseJsonSchema "
    "seed presencePenalty frequencyPenalty responseLogprobs logprobs thinkingConfig responseModalities mediaResolution speechConfig"
).split()
# What the vendor's own form of a schema has; JSON Schema goes into another field.
SCHEMA = (
    "type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength "
    "maxLength pattern example anyOf propertyOrdering default items minimum maximum"
).split()
PARTS = "text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode codeExecutionResult videoMetadata".split()
ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    404: ("NOT_FOUND", "models/x is not found for API version v1beta"),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}
STATUS = {"bad": 400, "unauthorised": 401, "gone": 404, "limited": 429, "overloaded": 503, "echo-key": 500}
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBmYWtl"


def camel(value):
    """Both ways of writing a field's name are taken. What is the user's own stays as it is."""
    if isinstance(value, list):
        return [camel(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    own = ("args", "response", "properties", "parametersJsonSchema", "responseJsonSchema")

    def name(key):
        return re.sub(r"_([a-z])", lambda match: match[1].upper(), key)

    return {name(key): entry if name(key) in own else camel(entry) for key, entry in value.items()}


def is_data(text):
    """Both alphabets are taken; Google's own SDK writes the one for URLs."""
    return isinstance(text, str) and is_base64(text.replace("-", "+").replace("_", "/"))


def known(value, allowed, where):
    demand(isinstance(value, dict), f"Invalid value at '{where}'")
    for key in value:
        demand(
            key in allowed, f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field."
        )


def check_schema(schema, where):
    known(schema, SCHEMA, where)
    for key, entry in schema.get("properties", {}).items():
        check_schema(entry, f"{where}.properties[{key}]")
    if "items" in schema:
        check_schema(schema["items"], f"{where}.items")


def check_contents(contents):
    demand(isinstance(contents, list) and contents, "contents are required")
    calls = None
    for at, content in enumerate(contents):
        known(content, ["role", "parts"], f"contents[{at}]")
        role = content.get("role", "user")
        demand(role in ("user", "model", "function"), "Please use a valid role: user, model.")
        demand(content.get("parts"), f"contents[{at}].parts must not be empty.")
        for place, part in enumerate(content["parts"]):
            where = f"contents[{at}].parts[{place}]"
            known(part, PARTS, where)
            data = [key for key in part if key not in ("thought", "thoughtSignature", "videoMetadata")]
            demand(len(data) == 1, f"{where}.data: required oneof field 'data' must have one initialized field")
            if "thoughtSignature" in part:
                demand(is_data(part["thoughtSignature"]), f"{where}.thought_signature")
            if "inlineData" in part:
                known(part["inlineData"], ["mimeType", "data", "displayName"], where)
                demand(is_data(part["inlineData"]["data"]), f"{where}.inline_data.data: Base64 decoding failed")
            if "functionCall" in part:
                known(part["functionCall"], ["id", "name", "args"], where)
                demand(is_tool_name(part["functionCall"]["name"]) and role == "model", where)
            if "functionResponse" in part:
                known(
                    part["functionResponse"], ["id", "name", "response", "parts", "willContinue", "scheduling"], where
                )
                demand(isinstance(part["functionResponse"]["response"], dict), where)
        made = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
        told = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if calls is not None:
            demand(
                sorted(told) == sorted(calls),
                "Please ensure that the number of function response parts is equal to the number of function call parts",
            )
        else:
            demand(not told, "Please ensure that function response turn comes immediately after a function call turn.")
        if made:
            demand(at > 0 and contents[at - 1].get("role") != "model", "function call turn comes after a user turn")
        calls = made or None
    demand(calls is None, "Please ensure that function call turn is followed by a function response turn.")


def check(body):
    known(body, FIELDS, "")
    check_contents(body.get("contents"))
    if "systemInstruction" in body:
        known(body["systemInstruction"], ["role", "parts"], "system_instruction")
        demand(all(part.get("text") for part in body["systemInstruction"]["parts"]), "system_instruction.parts")
    config = body.get("generationConfig", {})
    known(config, GENERATION, "generation_config")
    demand(0 <= config.get("temperature", 1) <= 2, "temperature must be in the range [0.0, 2.0]")
    demand(len(config.get("stopSequences", [])) <= 5, "at most 5 stop sequences")
    if "responseSchema" in config:
        check_schema(config["responseSchema"], "generation_config.response_schema")
    if "thinkingConfig" in config:
        known(config["thinkingConfig"], ["includeThoughts", "thinkingBudget", "thinkingLevel"], "thinking_config")
        both = {"thinkingBudget", "thinkingLevel"} <= set(config["thinkingConfig"])
        demand(not both, "You can only set one of thinking budget and thinking level")
    for tool in body.get("tools", []):
        known(tool, ["functionDeclarations", "googleSearch", "codeExecution", "urlContext"], "tools[0]")
        for one in tool.get("functionDeclarations", []):
            where = "tools[0].function_declarations[0]"
            known(
                one,
                [
                    "name",
                    "description",
                    "parameters",
                    "parametersJsonSchema",
                    "response",
                    "responseJsonSchema",
                    "behavior",
                ],
                where,
            )
            demand(is_tool_name(one["name"]), f"{where}.name")
            if "parameters" in one:
                check_schema(one["parameters"], f"{where}.parameters")
    if "toolConfig" in body:
        known(body["toolConfig"], ["functionCallingConfig", "retrievalConfig"], "tool_config")
        calling = body["toolConfig"].get("functionCallingConfig", {})
        known(calling, ["mode", "allowedFunctionNames"], "tool_config.function_calling_config")
        demand(calling.get("mode", "AUTO") in ("AUTO", "ANY", "NONE", "VALIDATED"), "mode")


class FakeGoogle(FakeCloud):
    """`calls` are what it was asked."""

    prefix = "gemini"

    def names(self):
        return [*super().names(), "text-embedding-004"]

    def answer(self, call, reply):
        if "key=" in call.path or "authorization" in call.headers or "x-goog-api-key" not in call.headers:
            return self.refuse(reply, 401)
        if call.headers["x-goog-api-key"] != self.key:
            return self.refuse(reply, 400, "API key not valid. Please pass a valid API key.")
        path, _, query = call.path.partition("?")
        if path == "/v1beta/models":
            return self.list(reply)
        asked = re.fullmatch(r"/v1beta/models/([^/:]+):(\w+)", path)
        if not asked:
            return self.refuse(reply, 404)
        model, verb = asked.groups()
        what = self.what(model)
        if what is None:
            return self.refuse(reply, 404, f"models/{model} is not found for API version v1beta")
        try:
            demand(isinstance(call.body, dict), "Invalid JSON payload received.")
            body = camel(call.body)
            if verb == "batchEmbedContents":
                return self.embed(body, model, reply)
            if verb == "countTokens":
                return self.count(body, reply)
            demand(verb in ("generateContent", "streamGenerateContent"), verb)
            check(body)
        except (Wrong, KeyError, TypeError, AttributeError) as error:
            return self.refuse(reply, 400, str(error))
        if what == "tool" and any("functionResponse" in part for part in body["contents"][-1]["parts"]):
            what = "fine"
        if what in STATUS:
            return self.fail(reply, STATUS[what], what)
        if verb == "streamGenerateContent":
            demand(query == "alt=sse", "only asked for server-sent events here")
            return reply.stream(self.events(model, what), cut=what == "cut")
        if what in ("fails-midway", "cut"):
            return self.refuse(reply, 500)
        parts = [part for chunk in self.content(what) for part in chunk]
        return reply.say(200, self.reply(model, parts, self.ending(what), self.usage(what)))

    def list(self, reply):
        methods = ["generateContent", "countTokens"]
        entries = [
            {
                "name": f"models/{name}",
                "version": "001",
                "displayName": name,
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["embedContent"] if name == "text-embedding-004" else methods,
            }
            for name in self.names()
        ]
        reply.say(200, {"models": entries})

    def refuse(self, reply, status, message=None, details=(), headers=()):
        word, usual = ERRORS[status]
        error = {"code": status, "message": message or usual, "status": word, "details": list(details)}
        reply.say(status, {"error": error}, headers)

    def fail(self, reply, status, what):
        match what:
            case "limited":
                wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
                self.refuse(reply, status, details=[wait])
            case "unauthorised" | "echo-key":
                self.refuse(reply, status, f"no good: API key {self.key}")
            case _:
                self.refuse(reply, status)

    def embed(self, body, model, reply):
        known(body, ["requests"], "")
        for one in body["requests"]:
            known(one, ["model", "content", "taskType", "title", "outputDimensionality"], "requests[0]")
            demand(one["model"] == f"models/{model}", "requests[0].model")
        vectors = [{"values": [len(one["content"]["parts"][0]["text"]), 0.5, -0.25]} for one in body["requests"]]
        reply.say(200, {"embeddings": vectors})

    def count(self, body, reply):
        known(body, ["contents", "generateContentRequest"], "")
        if "generateContentRequest" in body:
            check(body["generateContentRequest"])
        else:
            check_contents(body["contents"])
        reply.say(200, {"totalTokens": PROMPT, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT}]})

    def content(self, what):
        """Chunks of parts."""

        def call(city):
            return {"functionCall": {"name": "get_weather", "args": {"city": city}}, "thoughtSignature": SIGNATURE}

        match what:
            case "tool":
                return [[{"text": "Let me look."}], [call("Paris")]]
            case "parallel":
                return [[call("Paris"), {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}}]]
            case "think":
                return [[{"text": THOUGHT, "thought": True}], *([{"text": word}] for word in WORDS)]
            case _:
                return [[{"text": word}] for word in WORDS]

    def ending(self, what):
        return "MAX_TOKENS" if what == "long" else "STOP"

    def usage(self, what, written=WRITTEN):
        thoughts = {"thoughtsTokenCount": THOUGHTS} if what == "think" else {}
        answer = written - sum(thoughts.values())
        return {
            "promptTokenCount": PROMPT,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": answer,
            **thoughts,
            "totalTokenCount": PROMPT + written,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT}],
        }

    def reply(self, model, parts, finish=None, usage=None):
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        whole = {"candidates": [candidate], "modelVersion": model, "responseId": "resp-fake"}
        return {**whole, "usageMetadata": usage} if usage else whole

    def events(self, model, what):
        def event(body):
            return f"data: {json.dumps(body, ensure_ascii=False)}\r\n\r\n"

        chunks = self.content(what)
        for at, parts in enumerate(chunks):
            is_last = at == len(chunks) - 1
            finish = self.ending(what) if is_last else None
            yield event(self.reply(model, parts, finish, self.usage(what, WRITTEN if is_last else THOUGHTS)))
            if what == "cut" and at == 1 and self.may_cut.wait(30):
                return
            if what == "fails-midway" and at == 1:
                word, message = ERRORS[503]
                yield event({"error": {"code": 503, "message": f"{message} {self.key}", "status": word}})
                return
