"""A real browser, driven by the W3C WebDriver protocol in plain HTTP: Debian's chromium and chromium-driver.

    with browser.chromium() as chrome:
        chrome.open(url); chrome.find("h1").text; chrome.run("return 1")

https://www.w3.org/TR/webdriver2/; the two log types are chromedriver's own.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.fakes import ports

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE_S = 20  # whether something happens is for tests; how soon, for benchmarks
PROGRAMS = ("chromium", "chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-color-profile=srgb",
)  # fmt: skip


def missing() -> list[str]:
    """The programs that are not installed (Debian packages chromium and chromium-driver)."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class BrowserError(Exception):
    """The browser refused a command."""


class StaleElementError(BrowserError):
    """The element's page has been replaced."""


@dataclass(frozen=True, slots=True)
class Element:
    browser: "Browser"
    id: str

    @property
    def text(self) -> str:
        return str(self.browser.call("GET", f"/element/{self.id}/text"))

    def attribute(self, name: str) -> str | None:
        value = self.browser.call("GET", f"/element/{self.id}/attribute/{name}")
        return None if value is None else str(value)

    def click(self) -> None:
        self.browser.call("POST", f"/element/{self.id}/click", {})

    def type(self, text: str) -> None:
        self.browser.call("POST", f"/element/{self.id}/value", {"text": text})

    def clear(self) -> None:
        self.browser.call("POST", f"/element/{self.id}/clear", {})


class Browser:
    """One session. scheme: what prefers-color-scheme says."""

    def __init__(self, http: urllib3.PoolManager, driver: str, *, home: str, has_scripts: bool) -> None:
        self._http, self._driver = http, driver
        options: dict[str, Any] = {"args": [*FLAGS, f"--user-data-dir={home}"], "binary": shutil.which("chromium")}
        if not has_scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        capabilities = {
            "browserName": "chrome",
            "acceptInsecureCerts": True,
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        answer = self._http.request(method, self._driver + path, body=data, timeout=60, retries=False)
        value = json.loads(answer.data)["value"]
        if answer.status >= 400:
            kind = StaleElementError if value["error"] == "stale element reference" else BrowserError
            raise kind(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self._ask(method, self._session + path, body)

    def devtools(self, command: str, **parameters: object) -> Any:
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url: str) -> None:
        self.call("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self.call("GET", "/url"))

    def size(self, width: int, height: int, *, scheme: str = "light") -> None:
        """The page's own area in CSS pixels, and the colour scheme that it is asked for."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def find(self, css: str) -> Element:
        """The first such element, which a page that is still being built may take a while to show."""
        found: list[Element] = self.until(lambda: self.find_all(css), f"an element {css}")
        return found[0]

    def find_all(self, css: str) -> list[Element]:
        found = self.call("POST", "/elements", {"using": "css selector", "value": css})
        return [Element(self, entry[ELEMENT]) for entry in found]

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a function body in the page; a promise is waited for."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys: str) -> None:
        """Keys one after the other; special ones as the private characters of WebDriver, such as U+E004 for Tab."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def point(self, x: int, y: int) -> None:
        """Put the pointer at a place of the page's area."""
        move = {"type": "pointerMove", "x": x, "y": y, "duration": 0}
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What came since the last look: `browser` is the console, `performance` holds the network's events."""
        return list(self.call("POST", "/se/log", {"type": kind}))

    def requests(self) -> list[str]:
        """URLs asked for since the last look."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def picture(self, *, whole: bool = False) -> bytes:
        """PNG of what is seen, or of the whole page."""
        if not whole:
            return base64.b64decode(self.call("GET", "/screenshot"))
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def until(self, claim: Callable[[], Any], what: str) -> Any:
        """The first true value of a claim, looked at ten times a second. Fails by name.

        An element that left with its page while the claim looked at it makes the claim not true yet.
        """
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                value = claim()
            except StaleElementError:
                value = None
            if value:
                return value
            assert time.monotonic() < ends, f"not within {PATIENCE_S} s: {what}"
            time.sleep(0.1)

    def close(self) -> None:
        self._ask("DELETE", self._session)


@contextmanager
def chromium(*, has_scripts: bool = True) -> Iterator[Browser]:
    """A fresh browser with an empty profile, and its driver; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rackwright-chromium-", ignore_cleanup_errors=True) as home:
        port = ports.free(1)[0]
        log = (Path(home) / "driver.log").open("wb")
        driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log)
        try:
            with urllib3.PoolManager() as http:
                _ready(http, f"http://127.0.0.1:{port}")
                browser = Browser(http, f"http://127.0.0.1:{port}", home=f"{home}/profile", has_scripts=has_scripts)
                try:
                    yield browser
                finally:
                    browser.close()
        finally:
            driver.terminate()
            driver.wait(timeout=30)
            log.close()


def _ready(http: urllib3.PoolManager, url: str) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if json.loads(http.request("GET", f"{url}/status", timeout=5, retries=False).data)["value"]["ready"]:
                return
        except (urllib3.exceptions.HTTPError, KeyError):
            pass
        time.sleep(0.1)
    raise BrowserError("chromedriver did not start within 60 s")
