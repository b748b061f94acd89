"""The page of the mesh in a real browser, with and without its script."""

import threading

import mesh
import pytest
from mesh import wait_for

PHONE = {"width": 375, "height": 800}


def shot(page, shots, name):
    page.screenshot(path=shots / f"{name}.png", full_page=True)


def test_every_value_is_there_without_a_script(peers, open_page, shots):
    peers[0].chat("demo-shared").read()
    page = open_page(peers[0].url, java_script_enabled=False)
    text = page.inner_text("main")
    for value in ("attic", "cellar", "desk", "attic-gpu", "desk-gpu", "demo-cellar", "All is well", "healthy"):
        assert value in text, value
    assert page.locator("svg.map .node").count() == 3
    assert "demo-shared" in page.inner_text("#requests")
    shot(page, shots, "no-script")
    before = page.inner_text(".where")
    wait_for(lambda: page.inner_text(".where") != before, "it refreshes itself", 12)


def test_a_request_shows_up_within_two_seconds(peers, open_page, shots):
    page = open_page(peers[0].url)
    page.wait_for_selector("#badge.live")
    reader = threading.Thread(target=lambda: peers[1].chat("demo-desk", words="through the mesh").read())
    reader.start()
    # One that this peer has no part in: with the peer that was asked and the one that serves it.
    theirs = page.locator("#requests tr", has_text="demo-desk").filter(has_text="cellar").first
    theirs.wait_for(timeout=2_000)
    assert [part for part in ("cellar", "desk", "desk-gpu") if part not in theirs.inner_text()] == []
    reader.join()
    peers[0].chat("demo-cellar", words="now").read()
    page.locator("#requests tr", has_text="demo-cellar").first.wait_for(timeout=2_000)
    shot(page, shots, "requests")
    page.locator("#requests tr", has_text="demo-cellar").first.get_by_role("link", name="Decision").click()
    page.wait_for_selector("h1")
    text = page.inner_text("main")
    for value in ("Entry: attic", "Owner: cellar", "cellar-gpu", "rank 1", "Attempts", "answered"):
        assert value.lower() in text.lower(), value
    shot(page, shots, "decision")


def test_live_requests_show_their_way(peers, open_page, shots):
    page = open_page(peers[0].url)
    page.wait_for_selector("#badge.live")
    stream = peers[0].chat("demo-desk", stream=True, words="tell a long story " * 20)
    row = page.locator("#requests tr", has_text="streaming").first
    row.wait_for(timeout=4_000)
    assert [part for part in ("attic", "desk", "desk-gpu") if part not in row.inner_text()] == []
    shot(page, shots, "streaming")
    stream.close()


@pytest.mark.parametrize("path", ["/", "/manage"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}, {"width": 2200, "height": 1200}])
def test_it_fits_and_can_be_read(peers, open_page, shots, path, scheme, viewport):
    page = open_page(peers[0].url + path, viewport=viewport, color_scheme=scheme)
    page.wait_for_function(AT_REST)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"], f"{width} px wide"
    shot(page, shots, f"{'home' if path == '/' else 'manage'}-{scheme}-{viewport['width']}")
    assert page.evaluate(UNREADABLE) == []
    assert page.evaluate(UNNAMED) == []


def test_headings_landmarks_and_focus(peers, open_page):
    page = open_page(peers[0].url)
    assert page.get_attribute("html", "lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1 and all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))
    assert page.locator("main").count() == page.locator("header").count() == page.locator("nav").count() == 1
    assert page.locator("[aria-live=polite]").count() == 1
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.querySelector('th[scope=col]'))")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Tab")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style != "none", "focus can be seen"


def test_focus_stays_while_values_change(peers, open_page):
    page = open_page(peers[0].url)
    page.wait_for_selector("#badge.live")
    page.locator("#backends button").first.focus()
    served = page.inner_text("#backends")
    for _ in range(3):
        peers[0].chat("demo-attic").read()
    wait_for(lambda: page.inner_text("#backends") != served, "the cards change", 6)
    assert page.evaluate("document.activeElement.name") == "do"


def test_management_by_forms(peers, open_page, shots):
    page = open_page(peers[0].url + "/manage")
    page.fill("#add-backend input[name=url]", "http://127.0.0.1:9")
    page.fill("#add-backend input[name=name]", "spare <b>")
    page.select_option("#add-backend select", "generic")
    page.click("#add-backend button")
    assert "is a backend now" in page.inner_text(".notice")
    page.get_by_role("button", name="Remove spare <b>").click()
    assert "Remove the backend spare <b>?" in page.inner_text("h1")
    shot(page, shots, "confirm")
    page.click("button.grave")
    assert "is gone" in page.inner_text(".notice")
    assert "spare" not in page.inner_text("#backends")


def test_without_rights_buttons_refuse_and_say_what_to_do(tmp_path, open_page, shots):
    peer = mesh.Peer(tmp_path, "guarded", admin=True)
    try:
        wait_for(lambda: peer.models(), "it answers")
        page = open_page(peer.url, expects="401")
        page.get_by_role("button", name="Remove guarded-gpu").click()
        assert "sign in" in page.inner_text("main")
        shot(page, shots, "refused")
        page.fill("input[name=token]", mesh.TOKEN)
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_role("button", name="Sign out").count() == 1
        page.get_by_role("button", name="Remove guarded-gpu").click()
        page.click("button.grave")
        assert "is gone" in page.inner_text(".notice")
    finally:
        peer.kill()


def test_a_killed_peer_greys(tmp_path, open_page, shots):
    peers = mesh.start(tmp_path)
    try:
        page = open_page(peers[0].url, expects="ERR_CONNECTION|WebSocket|Failed to fetch")
        page.wait_for_selector("#badge.live")
        peers[2].child.kill()
        # Suspect after 2 s of silence, seen within 2 s more.
        page.wait_for_selector("svg.map .node.waning, svg.map .node.away", timeout=5_000)
        assert "desk" in page.inner_text("#warnings")
        assert page.evaluate(CUT_OFF) == []
        shot(page, shots, "suspect")
        page.wait_for_selector("svg.map .node.away", timeout=8_000)
        assert "last heard" in page.inner_text("#peers")
        shot(page, shots, "dead")
        peers[0].child.kill()
        page.wait_for_selector("#badge.silent", timeout=8_000)
        assert "last heard" in page.inner_text("#badge")
        shot(page, shots, "no-answer")
    finally:
        mesh.stop(peers)


def test_a_machine_joins_by_two_pages(tmp_path, peers, open_page, shots):
    page = open_page(peers[0].url + "/manage")
    page.get_by_role("button", name="Make a token").click()
    token = page.inner_text("code.key")
    assert token.startswith("nexus1-")
    shot(page, shots, "invitation")
    guest = mesh.Peer(tmp_path, "guest", key="")
    try:
        wait_for(guest.models, "it answers")
        page = open_page(guest.url + "/manage")
        page.get_by_label("Token of another mesh").fill(token)
        page.get_by_role("button", name="Join it").click()
        assert "Take this peer out of the mesh browser?" in page.inner_text("h1")
        page.click("button.grave")
        assert "has joined" in page.inner_text(".notice")
        wait_for(lambda: peers[2].model in guest.models(), "it knows the models of the mesh")
        page = open_page(guest.url)
        assert "attic" in page.inner_text("#peers")
    finally:
        guest.kill()


# Whether all of the page is there and nothing of it moves any more.
AT_REST = "document.readyState === 'complete' && document.getAnimations().every((one) => one.playState !== 'running')"

# Text whose contrast with what is behind it is less than 4.5:1, by the formula of WCAG 2.
UNREADABLE = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
    if (!own || !element.checkVisibility() || element.closest('[aria-hidden=true], .inside, .skip, noscript')) continue;
    const style = getComputedStyle(element);
    const colour = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(colour), luminance(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
  }
  return found;
}"""

# Text of the drawing that reaches over its edge.
CUT_OFF = """() => {
  const edge = document.querySelector('svg.map').viewBox.baseVal;
  const texts = [...document.querySelectorAll('svg.map text')];
  const is_cut = (box) => box.x < 0 || box.y < 0 || box.x + box.width > edge.width || box.y + box.height > edge.height;
  return texts.filter((text) => is_cut(text.getBBox())).map((text) => text.textContent);
}"""

# Controls and pictures that a screen reader could not name.
UNNAMED = """() => {
  const named = (e) =>
    (e.getAttribute('aria-label') || e.textContent || '').trim() || e.labels?.length || e.closest('[aria-hidden=true]');
  const parts = document.querySelectorAll('a[href], button, select, input:not([type=hidden]), svg');
  return [...parts].filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 80));
}"""
