"""The console in plain HTML, as a browser without scripts has it."""

import html
import itertools
import re
from datetime import timedelta

import pytest
import sqlalchemy.event
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.models import agent_command, flow
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.network import Lease
from appliance.models.node import Inventory, Node, Sighting
from appliance.services import identity, network
from tests.fakes.appliance import PASSWORD, Appliance
from tests.fakes.console import app_of
from tests.fakes.rack import MAC, inventory

BASE = "https://localhost"
PAGES = ("/", "/unknown", "/activity", "/images", "/network", "/health", "/password")


@pytest.fixture
def appliance(database: Database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def browser(appliance):
    return app_of(appliance).test_client()


def log_in(browser, appliance, role=Role.ADMIN):
    appliance.token(role)
    form = {"username": f"user-{role.value}", "password": PASSWORD}
    answer = browser.post("/login", data=form, base_url=BASE)
    assert answer.status_code == 302
    return answer


def page(browser, path):
    return browser.get(path, base_url=BASE)


def text(browser, path):
    answer = page(browser, path)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def words(browser, path):
    """What people read of the page's main part, in one line."""
    main = text(browser, path).partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def send(browser, path, **form):
    form["csrf"] = re.search(r'name="csrf" value="([0-9a-f]+)"', text(browser, "/"))[1]
    return browser.post(path, data=form, base_url=BASE)


def add(appliance, name="n1", **columns):
    """A node on the fake driver, as the API makes it, then with columns as a test wants them."""
    with appliance.database.write() as session:
        now = appliance.now
        node = Node(name=name, driver="fake", created_at=now, updated_at=now, provision_updated_at=now, **columns)
        session.add(node)
        session.flush()
        return node.id


def add_image(appliance, name="debian-12"):
    with appliance.database.write() as session:
        now = appliance.now
        session.add(
            Image(name=name, status="active", stream={}, virtual_size_bytes=3 << 30, created_at=now, updated_at=now)
        )


def state_of(appliance, name="n1"):
    with appliance.database.read() as session:
        return session.scalar(select(Node.provision_state).where(Node.name == name))


def test_a_stranger_is_sent_to_the_log_in_page_and_comes_back(browser, appliance):
    answer = page(browser, "/?state=failed")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=/?state%3Dfailed")
    appliance.token()
    form = {"username": "user-admin", "password": PASSWORD, "next": "/?state=failed"}
    assert browser.post("/login", data=form, base_url=BASE).headers["Location"] == "/?state=failed"


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil", "/a\nb"])
def test_a_log_in_never_leads_to_another_site(browser, appliance, place):
    appliance.token()
    form = {"username": "user-admin", "password": PASSWORD, "next": place}
    assert browser.post("/login", data=form, base_url=BASE).headers["Location"] == "/"


def test_another_site_cannot_log_somebody_in(browser, appliance):
    appliance.token()
    form = {"username": "user-admin", "password": PASSWORD}
    answer = browser.post("/login", data=form, base_url=BASE, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_the_cookie_cannot_be_read_by_scripts_nor_sent_in_the_clear(browser, appliance):
    cookie = log_in(browser, appliance).headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax"))


def test_a_wrong_password_says_no_more_than_that(browser, appliance):
    appliance.token()
    forms = [{"username": name, "password": "x"} for name in ("user-admin", "nobody")]
    answers = [browser.post("/login", data=form, base_url=BASE) for form in forms]
    assert [answer.status_code for answer in answers] == [401, 401]
    pages = [answer.get_data(as_text=True).replace("user-admin", "nobody") for answer in answers]
    assert pages[0] == pages[1]


def test_the_one_time_password_is_to_be_replaced(browser, appliance):
    with appliance.database.write() as session:
        identity.create_user(
            session, name="admin", password="printed-once", role=Role.ADMIN, now=appliance.now, must_change=True
        )
    first = browser.post("/login", data={"username": "admin", "password": "printed-once"}, base_url=BASE)
    assert first.headers["Location"] == "/password"
    assert "one-time password" in text(browser, "/").partition("<main")[0]
    differ = send(browser, "/password", old="printed-once", new="my-own-words", again="my-own-word")
    assert differ.status_code == 400
    done = send(browser, "/password", old="printed-once", new="my-own-words", again="my-own-words")
    assert (done.status_code, done.headers["Location"]) == (302, "/")
    assert "one-time password" not in text(browser, "/")


def test_an_expired_password_leads_to_its_change_and_nowhere_else(browser, appliance):
    appliance.token()
    appliance.now += timedelta(days=90)
    form = {"username": "user-admin", "password": PASSWORD}
    assert browser.post("/login", data=form, base_url=BASE).headers["Location"] == "/password"
    assert page(browser, "/").status_code == 403
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', text(browser, "/password"))[1]
    fields = {"old": PASSWORD, "new": "another-horse", "again": "another-horse", "csrf": csrf}
    assert browser.post("/password", data=fields, base_url=BASE).headers["Location"] == "/"
    assert page(browser, "/").status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/nodes/n1", "/nodes/n1/events", "/nodes/n1/hardware"])
def test_every_page_opens_and_allows_nothing_from_elsewhere(browser, appliance, path):
    log_in(browser, appliance)
    add(appliance)
    answer = page(browser, path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    body = answer.get_data(as_text=True)
    assert not re.search(r"<[^>]* (style|on\w+)=", body)
    assert "<style" not in body


@pytest.mark.parametrize("path", [*PAGES, "/nodes/n1", "/nodes/n1/do?what=deploy", "/nodes/n1/hardware"])
def test_headings_come_in_order_and_every_field_has_a_label(browser, appliance, path):
    log_in(browser, appliance)
    add(appliance, provision_state="available")
    body = text(browser, path)
    levels = [int(level) for level in re.findall(r"<h([1-6])", body)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    fields = re.sub(r"<label[^>]*>.*?</label>", "", body, flags=re.DOTALL)
    bare = [tag for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", fields) if "hidden" not in tag]
    assert bare == []


def test_an_unchanged_page_is_not_sent_again(browser, appliance):
    log_in(browser, appliance)
    add(appliance, provision_state="available")
    for path in ("/", "/nodes/n1"):
        etag = page(browser, path).headers["ETag"]
        appliance.now += timedelta(minutes=1)
        again = browser.get(path, base_url=BASE, headers={"If-None-Match": etag})
        assert (again.status_code, again.get_data()) == (304, b"")


def test_a_form_without_its_token_is_refused(browser, appliance):
    log_in(browser, appliance)
    add(appliance)
    answer = browser.post("/nodes/n1/do", data={"what": "manage"}, base_url=BASE)
    assert answer.status_code == 403
    assert state_of(appliance) == "enroll"


@pytest.mark.parametrize("given", ["é", "0" * 64, "\ud800"])
def test_a_wrong_token_of_a_form_is_refused_whatever_it_holds(browser, appliance, given):
    log_in(browser, appliance)
    body = b"csrf=" + given.encode("utf-8", "surrogatepass")
    kind = "application/x-www-form-urlencoded"
    assert browser.post("/logout", data=body, content_type=kind, base_url=BASE).status_code == 403


def test_a_verb_from_a_form_is_the_verb_of_the_api(browser, appliance):
    log_in(browser, appliance)
    add(appliance)
    assert send(browser, "/nodes/n1/do", what="manage").status_code == 302
    assert state_of(appliance) == "verifying"
    refused = send(browser, "/nodes/n1/do", what="provide")
    assert refused.status_code == 409
    assert 'role="alert"' in refused.get_data(as_text=True)
    assert send(browser, "/nodes/n1/do", what="abort").status_code == 302


def test_what_a_form_cannot_ask_is_refused(browser, appliance):
    log_in(browser, appliance)
    add(appliance)
    assert send(browser, "/nodes/n1/do", what="explode").status_code == 400


def test_undeploy_names_the_disks_and_wants_the_name_typed(browser, appliance):
    log_in(browser, appliance)
    node_id = add(appliance, provision_state="active", instance={"image": "debian-12", "hostname": "web-1"})
    with appliance.database.write() as session:
        session.add(Inventory(node_id=node_id, reported_at=appliance.now, report=inventory()))
    asked = words(browser, "/nodes/n1/do?what=undeploy")
    assert "/dev/vda, 8.59 GB, unknown model, serial number d0" in asked
    assert "debian-12 as web-1" in asked
    assert send(browser, "/nodes/n1/do", what="undeploy", confirm="n2").status_code == 409
    assert state_of(appliance) == "active"
    assert send(browser, "/nodes/n1/do", what="undeploy", confirm="n1").status_code == 302
    assert state_of(appliance) == "deleting"


def test_a_deploy_from_the_form_and_a_refused_one_keeps_what_was_typed(browser, appliance):
    log_in(browser, appliance)
    add(appliance, provision_state="available")
    add_image(appliance)
    bad = send(
        browser, "/nodes/n1/do", what="deploy", image="debian-12", ssh_keys="nonsense", user_data="#!/bin/sh\n#x"
    )
    assert bad.status_code == 409
    assert ">#!/bin/sh\n#x</textarea>" in bad.get_data(as_text=True)
    good = send(browser, "/nodes/n1/do", what="deploy", image="debian-12", hostname="web-1", ssh_keys="")
    assert good.status_code == 302
    with appliance.database.read() as session:
        node = session.scalar(select(Node))
        assert (node.provision_state, node.instance["hostname"]) == ("deploying", "web-1")


def test_an_instance_that_stays_is_rescued_and_serviced_from_the_page(browser, appliance):
    log_in(browser, appliance)
    add(appliance, provision_state="active", name="n1")
    add(appliance, provision_state="active", name="n2")
    assert "Rescue" in words(browser, "/nodes/n1")
    assert 'type="password"' in text(browser, "/nodes/n1/do?what=rescue")
    assert send(browser, "/nodes/n1/do", what="rescue", rescue_password="").status_code == 409
    asked = send(browser, "/nodes/n1/do", what="rescue", rescue_password="hunter2-canary")
    assert (asked.status_code, state_of(appliance)) == (302, "rescuing")
    assert "hunter2-canary" not in text(browser, "/nodes/n1") + text(browser, "/nodes/n1/events")
    assert send(browser, "/nodes/n2/do", what="service").status_code == 302
    assert state_of(appliance, "n2") == "servicing"
    with appliance.database.read() as session:
        plan = session.scalars(select(flow.Flow).where(flow.Flow.kind == "service")).one().data["spec"]["plan"]
    assert plan == [{"interface": "power", "step": "hold", "args": {}}]


def test_what_holds_is_released_from_the_page(browser, appliance):
    log_in(browser, appliance)
    node_id = add(appliance, provision_state="clean hold")
    with appliance.database.write() as session:
        flow.enqueue(session, kind="clean", node_id=node_id, data={}, now=appliance.now)
    assert "Unhold" in words(browser, "/nodes/n1")
    assert send(browser, "/nodes/n1/do", what="unhold").status_code == 302
    assert state_of(appliance) == "clean wait"


def test_power_and_maintenance_from_the_page(browser, appliance):
    log_in(browser, appliance)
    add(appliance, provision_state="manageable")
    assert send(browser, "/nodes/n1/do", what="power-on").status_code == 302
    appliance.settle()
    assert send(browser, "/nodes/n1/do", what="maintain", reason="fan is loud").status_code == 302
    shown = words(browser, "/nodes/n1")
    assert "maintenance: fan is loud" in shown
    assert "Power ● on" in shown
    assert send(browser, "/nodes/n1/do", what="end-maintain").status_code == 302
    assert "maintenance" not in words(browser, "/nodes/n1").partition("Latest events")[0]


def test_a_reader_sees_everything_and_is_offered_nothing(browser, appliance):
    log_in(browser, appliance, Role.READER)
    add(appliance)
    assert "/nodes/n1/do" not in text(browser, "/nodes/n1")
    assert send(browser, "/nodes/n1/do", what="manage").status_code == 403


def test_the_page_says_what_is_awaited_until_when_and_what_then(browser, appliance):
    log_in(browser, appliance)
    node_id = add(appliance, provision_state="wait call-back", target_provision_state="active")
    with appliance.database.write() as session:
        work = flow.enqueue(session, kind="deploy", node_id=node_id, data={}, now=appliance.now, actor="ann")
        command = agent_command.ask(
            session, node_id=node_id, key="k", name="write_image", params={}, secret_params=None, now=appliance.now
        )
        command.status = "running"
        command.progress = {"phase": "write image", "done": 150 * 10**6, "total": 300 * 10**6, "unit": "bytes"}
        work.step, work.wait_for, work.note = "write_image", agent_command.waited_for(command), "the work fails"
        work.waiting_since, work.deadline = appliance.now, appliance.now + timedelta(hours=1)
    shown = words(browser, "/nodes/n1")
    assert "Deploy: waits for the agent, which writes the image" in shown
    assert "50 % · 150 MB of 300 MB" in shown
    assert "At most until 2026-11-21 13:00:00" in shown
    assert "If it does not come the work fails" in shown
    assert "write image: 150 MB of 300 MB" in words(browser, "/?state=busy")
    assert "agent writes the image" in words(browser, "/activity")


def test_a_failure_is_shown_with_step_reason_time_and_next_command(browser, appliance):
    log_in(browser, appliance)
    failure = {
        "step": "agent_power_on", "reason": "the BMC is deaf", "at": "2026-11-21T11:00:00Z",
        "next": "rackwright node rebuild n1",
    }  # fmt: skip
    add(appliance, provision_state="deploy failed", failure=failure, last_error="the BMC is deaf")
    shown = words(browser, "/nodes/n1")
    assert "Stopped at: power on the BMC is deaf When 2026-11-21 11:00:00" in shown
    assert 'data-copy="rackwright node rebuild n1"' in text(browser, "/nodes/n1")
    assert "the BMC is deaf" in words(browser, "/?state=failed")


def test_a_stale_power_reading_is_marked(browser, appliance):
    log_in(browser, appliance)
    add(appliance, provision_state="active", power_state="power on", power_observed_at=appliance.now)
    assert "stale" not in words(browser, "/nodes/n1")
    appliance.now += timedelta(minutes=4)
    assert "stale" in words(browser, "/nodes/n1")


def test_filters_orders_and_pages_live_in_the_url(browser, appliance):
    log_in(browser, appliance)
    for number, state in enumerate(["available", "active", "deploy failed", "clean wait"], 1):
        add(appliance, f"n{number}", provision_state=state, rack=f"r{number % 2}", instance={"image": f"os-{number}"})

    def names(query):
        return re.findall(r'<th scope="row"><a href="/nodes/([^"]+)"', text(browser, f"/{query}"))

    assert names("") == ["n1", "n2", "n3", "n4"]
    assert names("?sort=-name") == ["n4", "n3", "n2", "n1"]
    assert names("?sort=state") == ["n2", "n1", "n4", "n3"]
    assert names("?state=failed") == ["n3"]
    assert names("?state=busy") == ["n4"]
    assert names("?state=clean wait") == ["n4"]
    assert names("?q=R1") == ["n1", "n3"]
    assert names("?q=r1+OS-3") == ["n3"]
    assert names("?q=%25") == []
    assert names("?sort=nonsense&page=x") == ["n1", "n2", "n3", "n4"]
    assert "No node matches" in words(browser, "/?q=nothing")


def test_a_thousand_rows_take_no_more_statements_than_ten(browser, appliance):
    log_in(browser, appliance)
    now = appliance.now
    moments = {"created_at": now, "updated_at": now, "provision_updated_at": now}
    with appliance.database.write() as session:
        session.add_all(
            Node(name=f"n{number:04}", driver="fake", provision_state="cleaning", **moments) for number in range(1001)
        )
    text(browser, "/password")  # who looks is known from now on
    asked: list[str] = []
    sqlalchemy.event.listen(appliance.database.engine, "before_cursor_execute", count := lambda *a: asked.append(a[2]))
    first = text(browser, "/")
    sqlalchemy.event.remove(appliance.database.engine, "before_cursor_execute", count)
    assert len([statement for statement in asked if statement.startswith("SELECT")]) <= 10
    assert first.count("<tr data-key=") == 1000
    assert "1001 nodes, page 1 of 2" in first
    assert text(browser, "/?page=2").count("<tr data-key=") == 1


def test_an_unknown_machine_becomes_a_node(browser, appliance):
    log_in(browser, appliance)
    with appliance.database.write() as session:
        now = appliance.now
        session.add(Sighting(mac=MAC, first_seen_at=now, last_seen_at=now, firmware="uefi", report=inventory()))
    assert f"{MAC} vnode S1 1 GiB" in words(browser, "/unknown")
    assert "10.77.0.201" in text(browser, f"/unknown/{MAC}/enroll")
    form = {"name": "n9", "driver": "ipmi", "bmc_address": "10.0.0.9", "bmc_username": "u", "bmc_password": "secret-9"}
    assert send(browser, f"/unknown/{MAC}/enroll", **(form | {"bmc_address": ""})).status_code == 409
    assert send(browser, f"/unknown/{MAC}/enroll", **form).headers["Location"] == "/nodes/n9"
    assert "secret-9" not in text(browser, "/nodes/n9")
    assert page(browser, f"/unknown/{MAC}/enroll").status_code == 404


def test_the_network_page_counts_the_pool(browser, appliance):
    log_in(browser, appliance)
    now = appliance.now
    body = {"name": "lab", "cidr": "10.77.0.0/24", "pool": "10.77.0.100-10.77.0.149", "interface": "br0"}
    with appliance.database.write() as session:
        network.create_subnet(session, body, actor="t", now=now)
        for last, age in ((100, 1), (101, -1), (20, 1)):
            mac = f"52:54:00:00:00:{last:02x}"
            end = now + timedelta(hours=age)
            session.add(Lease(address=f"10.77.0.{last}", mac=mac, subnet="lab", expires_at=end))
    shown = words(browser, "/network")
    assert "1 of 50" in shown  # one has ended, one lies outside of the pool
    assert "10.77.0.20 unknown" in shown


def test_the_health_page_says_what_to_do(browser, appliance):
    log_in(browser, appliance)
    shown = words(browser, "/health")
    assert "✕ 1 of 2 checks need somebody." in shown
    assert "none: DHCP answers nobody rackwright subnet list" in shown


@pytest.mark.parametrize("path", PAGES[:-1])
def test_an_empty_appliance_says_how_to_begin(browser, appliance, path):
    log_in(browser, appliance)
    assert words(browser, path)


def test_what_machines_say_of_themselves_is_inert(browser, appliance):
    log_in(browser, appliance)
    evil = "<img src=x onerror=alert(1)>\"'"
    report = inventory() | {"product": evil, "serial": evil, "disks": [{"name": evil, "size_bytes": 1, "bus": evil}]}
    node_id = add(appliance, rack=evil, maintenance=True, maintenance_reason=evil, last_error=evil)
    with appliance.database.write() as session:
        now = appliance.now
        session.add(Inventory(node_id=node_id, reported_at=now, report=report))
        session.add(Sighting(mac=MAC, first_seen_at=now, last_seen_at=now, report=report))
    for path in ("/", "/unknown", "/nodes/n1", "/nodes/n1/hardware", "/nodes/n1/events", "/nodes/n1/do?what=clean"):
        body = text(browser, path)
        assert "<img src=x" not in body, path


def test_a_node_that_is_not_there_is_a_page_too(browser, appliance):
    log_in(browser, appliance)
    answer = page(browser, "/nodes/absent")
    assert answer.status_code == 404
    assert "<h1>" in answer.get_data(as_text=True)
