"""A backend that misbehaves on request: the model's name says how. It counts what it is asked."""

import contextlib
import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FINE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "fine",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "héé 世界"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
BAD_REQUEST = {
    "error": {
        "message": "temperature must be at most 2",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "out_of_range",
    }
}
TOO_MANY = {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}
MODELS = ["fine", "bad-request", "too-many", "broken", "garbage", "silent", "hang-up", "cut"]


class Fake:
    """An OpenAI-compatible server on a free port. `requests` holds (model, headers, body) of each one, `left` the times
    (by the monotonic clock) at which whoever waited for `silent` went away."""

    def __init__(self, models=MODELS, host="127.0.0.1"):
        self.models, self.requests, self.left = list(models), [], []
        self._connections = set()
        self._released = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                fake._connections.add(self.connection)

            def finish(self):
                fake._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_GET(self):
                if self.path == "/v1/models":
                    data = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in fake.models]
                    self.say(200, {"object": "list", "data": data})
                else:
                    self.say(
                        404,
                        {
                            "error": {
                                "message": "no such path",
                                "type": "invalid_request_error",
                                "param": None,
                                "code": None,
                            }
                        },
                    )

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                model = json.loads(raw).get("model")
                fake.requests.append((model, dict(self.headers), raw))
                match model:
                    case "bad-request":
                        self.say(400, BAD_REQUEST)
                    case "too-many":
                        self.say(429, TOO_MANY, [("retry-after", "7")])
                    case "broken":
                        self.say(
                            500,
                            {
                                "error": {
                                    "message": f"boom at {fake.url}",
                                    "type": "server_error",
                                    "param": None,
                                    "code": None,
                                }
                            },
                        )
                    case "echo":
                        self.say(400, {"error": {"message": f"no good: {self.headers['authorization']}", "code": 400}})
                    case "garbage":
                        self.send(200, b"this is not JSON")
                    case "silent":
                        self.wait_in_silence()
                    case "hang-up":
                        self.close_connection = True
                    case "cut":
                        self.send(200, b'data: {"choices":[]}\n\ndata: {"cho', kind="text/event-stream", missing=100)
                        self.close_connection = True
                    case _:
                        self.say(200, {**FINE, "model": model})

            def wait_in_silence(self):
                while not fake._released.is_set():
                    if select.select([self.connection], [], [], 0.01)[0]:
                        fake.left.append(time.monotonic())
                        break
                self.close_connection = True

            def say(self, status, body, headers=()):
                self.send(status, json.dumps(body, ensure_ascii=False).encode(), headers)

            def send(self, status, raw, headers=(), kind="application/json", missing=0):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(raw) + missing))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

        self._handler = Handler
        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def count(self, model):
        return sum(asked == model for asked, _, _ in self.requests)

    def stop(self):
        """As a process that dies: nothing listens any more, and every connection is closed."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
