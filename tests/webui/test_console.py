"""The console in plain HTML, as a browser without scripts has it."""

import re

import pytest

from appliance.http.app import operator_app
from appliance.services import identity
from tests.fakes.appliance import PASSWORD, Appliance
from webui.console import Console


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def browser(appliance):
    context = appliance.context
    app = operator_app(context)
    console = Console(
        database=context.database,
        vault=context.vault,
        images=context.images,
        clock=context.clock,
        login_policy=identity.Policy(),
    )
    app.register_blueprint(console.blueprint())
    return app.test_client()


def log_in(browser, appliance):
    appliance.token()
    answer = browser.post("/login", data={"username": "user-admin", "password": PASSWORD}, base_url="https://localhost")
    assert answer.status_code == 302
    return answer


def page(browser, path):
    return browser.get(path, base_url="https://localhost")


def csrf_of(browser, path="/"):
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page(browser, path).get_data(as_text=True))[1]


def test_a_stranger_is_sent_to_the_log_in_page(browser):
    answer = page(browser, "/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")


def test_the_cookie_cannot_be_read_by_scripts_nor_sent_in_the_clear(browser, appliance):
    cookie = log_in(browser, appliance).headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax"))


def test_a_wrong_password_says_no_more_than_that(browser, appliance):
    appliance.token()
    answers = [
        browser.post("/login", data={"username": name, "password": "x"}, base_url="https://localhost")
        for name in ("user-admin", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].get_data() == answers[1].get_data()


@pytest.mark.parametrize("path", ["/", "/images", "/network", "/nodes/n1"])
def test_every_page_opens_and_allows_nothing_from_elsewhere(browser, appliance, path):
    log_in(browser, appliance)
    token = appliance.token()
    browser.post("/v1/nodes", json={"name": "n1", "driver": "fake"}, headers={"Authorization": f"Bearer {token}"})
    answer = page(browser, path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_form_without_its_token_is_refused(browser, appliance):
    log_in(browser, appliance)
    answer = browser.post("/nodes/n1/do", data={"verb": "manage"}, base_url="https://localhost")
    assert answer.status_code == 403


def test_a_verb_from_a_form_is_the_verb_of_the_api(browser, appliance):
    log_in(browser, appliance)
    token = appliance.token()
    browser.post("/v1/nodes", json={"name": "n1", "driver": "fake"}, headers={"Authorization": f"Bearer {token}"})
    form = {"verb": "manage", "csrf": csrf_of(browser)}
    assert browser.post("/nodes/n1/do", data=form, base_url="https://localhost").status_code == 302
    assert "verifying" in page(browser, "/nodes/n1").get_data(as_text=True)
    form["verb"] = "provide"
    refused = browser.post("/nodes/n1/do", data=form, base_url="https://localhost")
    assert refused.status_code == 409
    assert 'role="alert"' in refused.get_data(as_text=True)


def test_what_machines_say_of_themselves_is_inert(browser, appliance):
    log_in(browser, appliance)
    token = appliance.token()
    evil = {"name": "n1", "driver": "fake", "rack": "<script>alert(1)</script>"}
    browser.post("/v1/nodes", json=evil, headers={"Authorization": f"Bearer {token}"})
    browser.put(
        "/v1/nodes/n1/maintenance",
        json={"reason": "<img src=x onerror=alert(1)>"},
        headers={"Authorization": f"Bearer {token}"},
    )
    text = page(browser, "/nodes/n1").get_data(as_text=True)
    assert "<img src=x" not in text
    assert "<script>alert" not in text
