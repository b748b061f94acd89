"""One trace from a client that uses OpenTelemetry's own SDK, through two peers, to the backend; what the peers send is read
by OpenTelemetry's own definition of the protocol."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from peer import backend
from support import wait_for

class Collector:
    """Takes traces by OTLP over HTTP. `spans` holds (service's attributes, span) of each; `wrong`, what was no such message."""

    def __init__(self, authority=None):
        self.spans, self.wrong = [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                try:
                    collector.take(self.path, self.headers["content-type"], raw)
                except Exception as error:
                    collector.wrong.append(f"{error!r}: {raw[:2000]}")
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            # Whoever does not trust it must not keep the others from its door: each shakes hands in a thread of its own.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, kind, raw):
        assert (path, kind) == ("/v1/traces", "application/x-protobuf")
        message = ExportTraceServiceRequest.FromString(raw)
        for resource in message.resource_spans:
            service = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.mark.parametrize("stream", [False, True])
def test_one_trace_from_the_clients_own_span_to_the_backend(peers, fake, collector, stream):
    tracing = f'\n[tracing]\notlp_endpoint = "{collector.url}"\n'
    owner = peers("owner", extra=tracing, backends=[backend("far", fake.url)]).start()
    entry = peers("entry", extra=tracing, seeds=[owner.seed]).start()
    entry.wait_for_model("fine")

    tracer, headers = TracerProvider().get_tracer("a client"), {}
    with tracer.start_as_current_span("ask") as mine:
        TraceContextTextMapPropagator().inject(headers)
        assert entry.chat("fine", headers=headers, stream=stream).status_code == 200
    mine = mine.get_span_context()

    wait_for(lambda: len(collector.spans) >= 4, f"four spans are told: {collector.wrong}")
    assert not collector.wrong and len(collector.spans) == 4
    assert {span.trace_id for _, span in collector.spans} == {mine.trace_id.to_bytes(16, "big")}
    assert {service["service.name"] for service, _ in collector.spans} == {"nexus"}
    children = {span.parent_span_id: (service, span) for service, span in collector.spans}
    parent, way = mine.span_id.to_bytes(8, "big"), []
    while parent in children:
        service, span = children[parent]
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        way.append((service["service.instance.id"], span.kind))
        parent = span.span_id
    (one, first), (two, second), (three, third), (four, fourth) = way
    assert one == two and three == four and one != three
    assert [first, second, third, fourth] == [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT] * 2
    # The backend is asked within the last of them.
    _, seen, _ = fake.requests[-1]
    seen = {name.lower(): value for name, value in seen.items()}["traceparent"]
    assert seen == f"00-{mine.trace_id:032x}-{parent.hex()}-01"


def test_a_collector_behind_tls_is_told_by_who_trusts_it(tmp_path, peers, fake):
    """What `SSL_CERT_FILE` names is trusted; whoever does not trust a collector says so, and serves."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    collector = Collector(authority)
    try:
        tracing = f'\n[tracing]\notlp_endpoint = "{collector.url}"\n'
        trusted = {"SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        there = backend("far", fake.url)
        stranger = peers("stranger", extra=tracing, backends=[there]).start()
        stranger.wait_for_model("fine")
        assert stranger.chat("fine").status_code == 200
        wait_for(lambda: "certificate" in stranger.log.read_text(), "it says why it cannot tell")
        assert stranger.chat("fine").status_code == 200 and not collector.spans

        friend = peers("friend", extra=tracing, backends=[there], env=trusted).start()
        friend.wait_for_model("fine")
        assert friend.chat("fine").status_code == 200
        wait_for(lambda: len(collector.spans) >= 2, f"two spans are told: {collector.wrong}")
        assert not collector.wrong
    finally:
        collector.close()
