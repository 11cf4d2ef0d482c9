"""The console in a real browser: Debian's chromium, over real HTTPS, against the real faces."""

import pytest
from sqlalchemy import select

from appliance.domain.clock import system_clock
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.network import Lease
from appliance.models.node import Inventory, Node, Sighting
from appliance.services import network
from tests.fakes import browser as browsers
from tests.fakes.appliance import PASSWORD, Appliance
from tests.fakes.console import https
from tests.fakes.rack import MAC, inventory

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(bool(browsers.missing()), reason="chromium and chromium-driver are not installed"),
]
TAB, ENTER = "\ue004", "\ue007"
PATHS = (
    "/", "/?state=failed", "/unknown", "/activity", "/images", "/network", "/health", "/password", "/nodes/n1",
    "/nodes/n1/events", "/nodes/n1/hardware", f"/nodes/{'a-rather-long-name-' * 3}end", f"/unknown/{MAC}/enroll",
    "/nodes/n1/do?what=undeploy", "/nodes/n1/do?what=deploy",
)  # fmt: skip


@pytest.fixture(scope="module")
def chrome():
    with browsers.chromium() as opened:
        yield opened


@pytest.fixture
def appliance(databases, tmp_path):
    """On SQLite: what a browser sees does not depend on the database."""
    url = databases.create("sqlite")
    database = Database.at(url)
    made = Appliance(database, tmp_path)
    made.now = system_clock()
    with database.write() as session:
        for number in range(1, 41):
            moments = {"created_at": made.now, "updated_at": made.now, "provision_updated_at": made.now}
            session.add(Node(name=f"n{number}", driver="fake", provision_state="available", **moments))
        session.add(Sighting(mac=MAC, first_seen_at=made.now, last_seen_at=made.now, report=inventory()))
        fill(session, made.now)
    yield made
    made.close()
    database.dispose()
    databases.drop(url)


def fill(session, now):
    """Long names and texts, an image, a subnet, a hardware report: what makes tables wide."""
    long = "a-rather-long-name-" * 3
    node = session.scalar(select(Node).where(Node.name == "n1"))
    session.add(Inventory(node_id=node.id, reported_at=now, report=inventory()))
    moments = {"created_at": now, "updated_at": now}
    session.add(Node(name=long + "end", driver="fake", last_error="no " * 99, provision_updated_at=now, **moments))
    session.add(Image(name=long, status="killed", problem="broken " * 20, **moments))
    network.create_subnet(
        session, {"name": "lab", "cidr": "10.77.0.0/24", "pool": "10.77.0.10-10.77.0.99", "interface": "br0"},
        actor="test", now=now,
    )  # fmt: skip
    session.add(Lease(address="10.77.0.10", mac=MAC, subnet="lab", expires_at=now))


@pytest.fixture
def site(appliance, tmp_path):
    (tmp_path / "tls").mkdir()
    with https(appliance, tmp_path) as server:
        yield f"https://127.0.0.1:{server.address.port}"


@pytest.fixture
def console(chrome, appliance, site):
    """Logged in, on the nodes page. After the test: nothing on the console, nothing asked elsewhere."""
    appliance.token()
    chrome.call("DELETE", "/cookie")
    chrome.log("browser")
    chrome.requests()
    chrome.size(1280, 900)
    chrome.open(site)
    assert chrome.url == f"{site}/login"
    chrome.find("input[name=username]").clear()
    chrome.find("input[name=username]").type("user-admin")
    chrome.find("input[name=password]").type(PASSWORD + ENTER)
    chrome.until(lambda: chrome.url == f"{site}/", "the nodes page after the log-in")
    yield chrome
    chrome.open("about:blank")
    assert [entry["message"] for entry in chrome.log("browser")] == []
    foreign = [url for url in chrome.requests() if not url.startswith((site, "about:", "data:"))]
    assert foreign == []


def is_live(chrome):
    return chrome.run("return document.getElementById('freshness')?.textContent === 'Live'")


def change(appliance, name="n1", **columns):
    with appliance.database.write() as session:
        node = session.scalar(select(Node).where(Node.name == name))
        for column, value in columns.items():
            setattr(node, column, value)


def test_every_page_is_quiet_and_fits_a_narrow_screen_in_both_schemes(console, site):
    for path in PATHS:
        for width, scheme in ((1280, "light"), (320, "dark")):
            console.size(width, 900, scheme=scheme)
            console.open(site + path)
            assert console.find_all("h1"), path
            wide = console.run("return document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide at {width} px"


def test_a_node_page_follows_a_change_of_the_api_by_itself(console, site, appliance):
    change(appliance, "n1", provision_state="enroll")
    console.open(f"{site}/nodes/n1")
    console.until(lambda: is_live(console), "the page is live")
    console.run("window.isSamePage = true")
    token = appliance.token()
    status = console.run(
        "return fetch('/v1/nodes/n1/manage', {method: 'POST', body: '{}',"
        " headers: {Authorization: arguments[0], 'Content-Type': 'application/json'}}).then((answer) => answer.status)",
        f"Bearer {token}",
    )
    assert status == 202
    console.until(lambda: "verifying" in console.find(".badge").text, "the new state")
    assert "enroll -> verifying" in console.find("[data-live=latest]").text
    assert console.run("return window.isSamePage")


def test_a_list_changes_in_place_and_keeps_its_order(console, site, appliance):
    console.open(f"{site}/?state=available&sort=-name")
    console.until(lambda: is_live(console), "the page is live")
    before = console.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.dataset.key)")
    change(appliance, "n9", provision_state="deploy failed", last_error="no disk")
    change(appliance, "n8", last_error="the fan is loud")
    console.until(lambda: console.find("tr.gone th").text.startswith("n9"), "the row that left is marked")
    console.until(lambda: "the fan is loud" in console.find("tbody").text, "the row that stays is told anew")
    assert before == console.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.dataset.key)")


def test_what_somebody_selects_or_points_at_does_not_move(console, site, appliance):
    console.open(f"{site}/nodes/n2")
    console.until(lambda: is_live(console), "the page is live")
    console.run("getSelection().selectAllChildren(document.querySelector('[data-live=standing]'))")
    change(appliance, "n2", provision_state="active")
    held = "return document.getElementById('freshness').textContent.startsWith('Held')"
    console.until(lambda: console.run(held), "the page says that it holds still")
    assert "available" in console.find(".badge").text
    console.run("getSelection().removeAllRanges()")
    console.until(lambda: "active" in console.find(".badge").text, "the new state once nothing is selected")
    buttons = console.run(
        "const b = document.querySelector('.asks').getBoundingClientRect(); return [b.x + 5, b.y + 5]"
    )
    console.point(int(buttons[0]), int(buttons[1]))
    change(appliance, "n2", provision_state="available")
    console.until(lambda: "available" in console.find(".badge").text, "the state, which may change")
    assert "Undeploy" in console.find(".asks").text
    console.point(600, 5)
    console.until(lambda: "Deploy" in console.find(".asks").text, "the buttons, once the pointer is gone")


def test_the_keyboard_reaches_everything_and_its_focus_is_seen(console, site):
    console.open(f"{site}/nodes/n1")
    console.press(TAB)
    assert console.run("return document.activeElement.className") == "skip"
    for _ in range(12):
        console.press(TAB)
        width, style = console.run(
            "const s = getComputedStyle(document.activeElement); return [parseFloat(s.outlineWidth), s.outlineStyle]"
        )
        assert (width >= 2, style) == (True, "solid")
    console.open(f"{site}/")
    link = "document.querySelector('tbody a')"
    console.run(f"{link}.focus()")
    console.press(ENTER)
    console.until(lambda: console.url == f"{site}/nodes/n1", "the node's page")


def test_undeploy_by_hand(console, site, appliance):
    change(appliance, "n3", provision_state="active", instance={"image": "debian-12", "hostname": "n3"})
    console.open(f"{site}/nodes/n3")
    next(link for link in console.find_all(".asks a") if link.text.startswith("Undeploy")).click()
    console.find("input[name=confirm]").type("n3")
    console.find("form.card button").click()
    console.until(lambda: console.url == f"{site}/nodes/n3", "the node's page")
    console.until(lambda: "deleting" in console.find(".badge").text, "the work has begun")


def test_a_stopped_appliance_makes_a_page_stale_not_silent(chrome, appliance, tmp_path):
    (tmp_path / "tls").mkdir()
    appliance.token()
    with https(appliance, tmp_path) as server:
        site = f"https://127.0.0.1:{server.address.port}"
        chrome.call("DELETE", "/cookie")
        chrome.open(f"{site}/login")
        chrome.find("input[name=username]").clear()
        chrome.find("input[name=username]").type("user-admin")
        chrome.find("input[name=password]").type(PASSWORD + ENTER)
        chrome.until(lambda: is_live(chrome), "the page is live")
    gone = "return document.getElementById('freshness').textContent.startsWith('Not reached since')"
    chrome.until(lambda: chrome.run(gone), "the page says that it is stale")
    assert chrome.find_all("tbody tr")
    chrome.open("about:blank")
    chrome.log("browser")


def test_without_scripts_the_pages_work_the_same(appliance, site):
    appliance.token()
    with browsers.chromium(has_scripts=False) as plain:
        plain.open(site)
        plain.find("input[name=username]").clear()
        plain.find("input[name=username]").type("user-admin")
        plain.find("input[name=password]").type(PASSWORD + ENTER)
        plain.until(lambda: plain.find_all("tbody a"), "the nodes page")
        plain.find("tbody a").click()
        plain.until(lambda: plain.url.endswith("/nodes/n1"), "the node's page")
        assert plain.find("time").text.startswith("since 20")
        assert not plain.find_all(".copy:not([hidden])")
