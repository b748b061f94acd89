"""What the fakes of Anthropic's and Google's APIs have in common. They check what they are asked as strictly as the vendors do,
and the model's name says what comes of it: MODELS. They keep what they were asked."""

import base64
import binascii
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What models do. `fine` and what says nothing else answers in words.
MODELS = [
    "fine",
    "tool",  # calls one tool after a word, and answers in words once it has the result
    "parallel",  # calls two at once
    "think",  # thinks first
    "long",  # is ended by its limit
    "bad",  # 400
    "unauthorised",  # 401, and repeats the key
    "gone",  # 404
    "limited",  # 429
    "overloaded",  # 529 or 503
    "echo-key",  # 500, and repeats the key
    "fails-midway",  # an error as an event of the stream
    "cut",  # the connection ends in the middle of the stream
]
WORDS = ["Hello, ", "Zoë 🙂", "."]
THOUGHT = "The user greets."
PROMPT, CACHED, WRITTEN, THOUGHTS = 12, 4, 5, 4


class Wrong(Exception):
    """The request is not one that the API takes."""


class Call:
    """A request as it came."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, {name.lower(): value for name, value in headers.items()}, body


def demand(condition, message):
    if not condition:
        raise Wrong(message)


def only(value, allowed, where):
    """Objects with fields that nobody knows are refused, by name."""
    demand(isinstance(value, dict), f"{where}: Input should be an object")
    for key in value:
        demand(key in allowed, f"{where}.{key}: Extra inputs are not permitted")
    return value


def is_base64(text):
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError):
        return False


def is_tool_name(name):
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", name)


class FakeCloud:
    """A server on a free port of this machine; `prefix` begins the names of its models. A stream is cut once it `may_cut`."""

    prefix, key = "", ""

    def __init__(self, key, host="127.0.0.1"):
        self.key, self.calls, self.may_cut = key, [], threading.Event()
        self.may_cut.set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(None)

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))

            def answer(self, raw):
                try:
                    body = None if raw is None else json.loads(raw)
                except ValueError:
                    body = raw
                call = Call(self.path, self.headers, body)
                fake.calls.append(call)
                fake.answer(call, self)

            def say(self, status, body, headers=()):
                raw = json.dumps(body, ensure_ascii=False).encode()
                self.begin(status, "application/json", [("content-length", str(len(raw))), *headers])
                self.wfile.write(raw)

            def begin(self, status, kind, headers):
                self.send_response(status)
                self.send_header("content-type", kind)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()

            def stream(self, frames, cut=False):
                """Frames one by one; a stream that is cut ends without its last chunk."""
                self.begin(200, "text/event-stream; charset=utf-8", [("transfer-encoding", "chunked")])
                for frame in frames:
                    raw = frame.encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
                    self.wfile.flush()
                if cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def answer(self, call, reply):
        raise NotImplementedError

    def names(self):
        return [f"{self.prefix}-{name}" for name in MODELS]

    def what(self, model):
        """What `model` does; `None` for one that there is not."""
        return model.removeprefix(f"{self.prefix}-") if model in self.names() else None

    def asked(self):
        """The last request for an answer."""
        return [call for call in self.calls if call.body is not None][-1]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
