"""A real Prometheus scrapes a mesh of three, and every panel of the Grafana dashboard finds what it asks for."""

import json
import re
import shutil

import httpx
import pytest

from peer import backend
from support import ROOT, Child, free_port, tail, wait_for

DASHBOARD = ROOT / "docs/grafana/nexus.json"

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="needs prometheus (Debian: prometheus)")


@pytest.fixture
def mesh(peers, fake):
    """Three peers, a backend at the last of them."""
    one = peers("one").start()
    two = peers("two", seeds=[one.seed]).start()
    three = peers("three", seeds=[one.seed], backends=[backend("far", fake.url)]).start()
    return one, two, three


@pytest.fixture
def prometheus(directory, mesh):
    port = free_port()
    targets = json.dumps([f"127.0.0.1:{peer.port}" for peer in mesh])
    config = directory / "prometheus.yml"
    config.write_text(
        "global: { scrape_interval: 1s, scrape_timeout: 1s }\n"
        f"scrape_configs: [{{ job_name: nexus, static_configs: [{{ targets: {targets} }}] }}]\n"
    )
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    child = Child([*command, f"--web.listen-address=127.0.0.1:{port}"], directory / "prometheus.log")

    def query(expression):
        assert child.running(), tail(child.text())
        reply = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, timeout=5).json()
        assert reply["status"] == "success", f"{expression}: {reply}"
        return reply["data"]["result"]

    yield query
    child.kill()


def value(result):
    return float(result[0]["value"][1]) if result else None


def expressions():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_a_real_prometheus_reads_every_peer(mesh, prometheus, fake):
    one = mesh[0]
    one.wait_for_model("fine")

    def until(expression, expected):
        wait_for(lambda: value(prometheus(expression)) == expected, f"{expression} is {expected}", 30)

    until("sum(up)", 3)
    until('min(nexus_mesh_peers{state="alive"})', 2)
    for _ in range(3):
        assert one.chat("fine").status_code == 200
    until('sum(nexus_requests_total{status="success"})', 3)
    by_entry = prometheus('sum by (instance) (nexus_requests_total{status="success"}) > 0')
    assert [found["metric"]["instance"] for found in by_entry] == [f"127.0.0.1:{one.port}"], "once, by their entry"
    until('sum(nexus_mesh_forwards_total{peer="three",result="answered"})', 3)
    until("sum(nexus_mesh_forward_duration_seconds_count)", 3)
    until('sum(nexus_agent_ttft_seconds_count{agent_id="far"})', 3)


def test_the_dashboard_asks_for_what_there_is(mesh, prometheus):
    wait_for(lambda: value(prometheus("sum(up)")) == 3, "every peer is scraped", 30)
    described = set(re.findall(r"^# TYPE (\S+)", mesh[0].get("/metrics").text, re.MULTILINE))
    asked = list(expressions())
    assert len(asked) > 15
    for title, expression in asked:
        prometheus(expression.replace("$instance", ".*").replace("$__rate_interval", "1m"))
        for name in re.findall(r"nexus_\w+", expression):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert family in described or name in described, f"{title}: nobody tells of {name}"
