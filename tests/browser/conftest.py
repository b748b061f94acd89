"""Fixtures: a mesh of three peers, and pages of a browser that say what they complain about."""

import re
import shutil

import mesh
import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    assert path, "no chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots():
    mesh.KEPT.mkdir(parents=True, exist_ok=True)
    return mesh.KEPT


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    running = mesh.start(tmp_path_factory.mktemp("mesh"))
    yield running
    mesh.stop(running)


@pytest.fixture
def open_page(browser):
    """Opens pages; what they complain about and whom they ask is checked at the end."""
    contexts, complaints, hosts = [], [], set()

    def make(url, **options):
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        expected = options.pop("expects", None)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()

        def complain(text):
            if not (expected and re.search(expected, text)):
                complaints.append(text)

        page.on("console", lambda message: message.type in ("error", "warning") and complain(message.text))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("request", lambda request: hosts.add(re.sub(r"^(\w+://[^/]+).*", r"\1", request.url)))
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints, complaints
    foreign = {host for host in hosts if not host.startswith(("http://127.0.0.1:", "data:"))}
    assert not foreign, f"asked {foreign}"
