"""Deploys of an image behind a URL, while the process that fetches it is killed: it comes, once for all of them."""

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.fakes.served import Served, disk_image

NODES = 4
CANARY = "signature-canary"


class SlowMirror:
    """Serves one image whatever the path; the second half of it once `go_on` is set. asked: how often."""

    def __init__(self, data: bytes) -> None:
        mirror = self
        self.data, self.asked, self.go_on = data, 0, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked += 1
                self.send_response(404 if self.path.startswith("/none") else 200)
                body = b"" if self.path.startswith("/none") else data
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                mirror.go_on.wait(100)
                self.wfile.write(body[len(body) // 2 :])

            def log_message(self, *arguments: object) -> None:
                pass

            def log_error(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a peer that is killed is no news
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def mirror() -> Iterator[SlowMirror]:
    made = SlowMirror(disk_image(4 << 20))
    threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.go_on.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def appliance(start: Callable[..., Served]) -> Served:
    return start(images={"trusted_networks": '["127.0.0.0/8"]'})


def deploy(appliance: Served, mirror: SlowMirror, path: str, checksum: str) -> list[str]:
    refs = appliance.fleet(NODES)
    for ref in refs:
        wish = {"image": f"{mirror.url}{path}?sig={CANARY}", "checksum": checksum}
        appliance.call("POST", f"/v1/nodes/{ref}/deploy", wish)
    return refs


def sentences(appliance: Served, refs: list[str]) -> list[str]:
    return [appliance.get(f"/v1/nodes/{ref}/why")["sentence"] for ref in refs]


def nothing_shows_the_signature(appliance: Served, refs: list[str]) -> None:
    shown = [appliance.node(ref) for ref in refs] + [appliance.events(ref) for ref in refs]
    assert CANARY not in str(shown) + str(appliance.get("/v1/images")) + appliance.log() + appliance.said()


def test_a_kill_in_the_middle_of_the_fetch_loses_no_deploy(appliance: Served, mirror: SlowMirror) -> None:
    refs = deploy(appliance, mirror, "/disk.raw", "sha256:" + hashlib.sha256(mirror.data).hexdigest())
    appliance.until(
        lambda: any("step fetch_image, runs since" in said and "% of 4.0 MiB" in said for said in
                    sentences(appliance, refs)),
        within_s=30,
        what="the image comes, and `why` says so",
    )  # fmt: skip
    appliance.until(
        lambda: any("another deploy fetches the image" in said for said in sentences(appliance, refs)),
        within_s=30,
        what="the others wait for it, and `why` says so",
    )
    appliance.kill("control")
    mirror.go_on.set()
    nodes = [appliance.rest(ref, within_s=120) for ref in refs]
    assert [node["provision_state"] for node in nodes] == ["active"] * NODES, nodes[0]["last_error"]
    assert mirror.asked == 2, "the one that was cut off, and the one after it"
    assert len(appliance.get("/v1/images")["items"]) == 1
    nothing_shows_the_signature(appliance, refs)


def test_an_image_that_is_not_there_fails_all_by_name(appliance: Served, mirror: SlowMirror) -> None:
    refs = deploy(appliance, mirror, "/none", "0" * 64)
    for ref in refs:
        node = appliance.rest(ref)
        assert node["provision_state"] == "deploy failed"
        assert node["last_error"] == "The image could not be fetched: 127.0.0.1 answered with status 404."
        assert node["failure"]["step"] in ("fetch_image", "find_image")
    nothing_shows_the_signature(appliance, refs)


def test_imports_that_go_on_or_wait_outlive_a_kill(appliance: Served, mirror: SlowMirror) -> None:
    for name in ("one", "two", "three"):
        wish = {"name": name, "url": f"{mirror.url}/{name}.raw?sig={CANARY}"}
        appliance.call("POST", "/v1/images", wish)
    appliance.until(lambda: mirror.asked == 2, within_s=30, what="two images come")
    three = appliance.get("/v1/images/three")
    assert (three["status"], three["waits_for"]) == ("saving", "2 downloads of the appliance itself to end")
    appliance.kill("control")
    mirror.go_on.set()
    appliance.until(
        lambda: [image["status"] for image in appliance.get("/v1/images")["items"]] == ["active"] * 3,
        within_s=120,
        what="all three are here",
    )
    assert mirror.asked == 5, "the two that were cut off began anew"
    found = appliance.get("/v1/images")["items"]
    assert {image["sha256"] for image in found} == {hashlib.sha256(mirror.data).hexdigest()}
    assert CANARY not in str(found) + appliance.log() + appliance.said()
