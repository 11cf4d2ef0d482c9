import contextlib
import http.server
import io
import ipaddress
import itertools
import socket
import threading

import pytest

from images import checksum, fetch
from images.errors import FetchFailed, ImageRefused
from images.fetch import Limits
from tests.fakes.range_server import RangeServer, raw

PRIVATE = Limits(allow_private=True)


class Web:
    """A server that answers by path, and keeps the Host headers that it saw."""

    def __init__(self):
        self.hosts = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.hosts.append(self.headers["Host"])
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/to/"))
                elif self.path == "/loop":
                    self.send_response(301)
                    self.send_header("Location", "/loop")
                elif self.path == "/image":
                    self.send_response(200)
                    self.send_header("Content-Length", "100000")
                else:
                    self.send_response(200 if self.path == "/cut" else int(self.path[1:]))
                    self.send_header("Content-Length", "50")
                self.end_headers()
                self.wfile.write(b"i" * 100000 if self.path == "/image" else b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def web():
    web = Web()
    threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True).start()
    yield web
    web.server.shutdown()
    web.server.server_close()


def body(url, **options):
    with fetch.opened(url, **({"limits": PRIVATE} | options)) as source:
        out = io.BytesIO()
        while data := source.read(4096):
            out.write(data)
    return out.getvalue()


def test_a_body_arrives_whole_and_can_be_received(web, tmp_path):
    assert body(f"{web.url}/image") == b"i" * 100000
    with fetch.opened(f"{web.url}/image", limits=PRIVATE) as source:
        got = checksum.receive(source, tmp_path / "upload", max_bytes=10**6)
    assert got.size_bytes == 100000


def test_the_connection_goes_to_the_address_that_was_checked(web):
    url = f"http://mirror.example:{web.port}/image"
    assert len(body(url, resolve=lambda host, port: ["127.0.0.1"])) == 100000
    assert web.hosts == [f"mirror.example:{web.port}"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "::1",
     "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::"],
)  # fmt: skip
def test_private_addresses_are_refused(address):
    assert not fetch.is_public(address)
    with pytest.raises(ImageRefused, match="address not allowed"):
        body("http://mirror.example/image", limits=Limits(), resolve=lambda host, port: ["93.184.216.34", address])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_are_public(address):
    assert fetch.is_public(address)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/shadow", "ftp://a/b", "http://", "http:///x", "https://user:pw@host/", "http://h:0/", "http://h:99999/",
     "http://h/\r\nX: y", "gopher://h/", "/etc/passwd", "http://h/ x", "http://[::1/", "http://h\\@g/"],
)  # fmt: skip
def test_strange_urls_are_refused(url):
    with pytest.raises(ImageRefused):
        body(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "localhost.", "[::1]", "169.254.169.254", "2130706433", "0x7f.1", "0x7f000001",
     "0177.0.0.1", "127.1", "0", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[::127.0.0.1]", "[::]", "[fec0::1]",
     "10.0.0.1", "[fd00::1]", "[64:ff9b::10.0.0.1]", "\uff11\uff12\uff17.0.0.1"],
)  # fmt: skip
def test_every_spelling_of_an_inside_address_is_refused_at_once(host):
    with pytest.raises(ImageRefused):
        fetch.check(f"http://{host}/image")


def test_a_public_address_is_let_through_and_an_unknown_name_is_no_refusal():
    fetch.check("https://[2606:2800:220:1:248:1893:25c8:1946]:8443/x")
    with pytest.raises(FetchFailed):
        fetch.check("https://mirror.invalid/x", resolve=lambda host, port: fetch.addresses("no such host", port))


def test_networks_that_the_operator_trusts(web):
    trusting = Limits(trusted=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fd00::/8")))
    assert len(body(f"{web.url}/image", limits=trusting)) == 100000
    for other in ("10.0.0.1", "::1", "169.254.169.254"):
        with pytest.raises(ImageRefused, match="not allowed"):
            body("http://mirror.example/", limits=trusting, resolve=lambda host, port, found=other: [found])


def test_a_redirect_does_not_take_tls_away(monkeypatch):
    class Response:
        status, headers = 302, {"Location": "http://93.184.216.34/image"}

    monkeypatch.setattr(fetch, "_answer", lambda *_: contextlib.nullcontext(Response()))
    with pytest.raises(ImageRefused, match="without TLS"):
        body("https://93.184.216.34/image")


def test_redirects_are_followed_three_times_and_checked_each_time(web):
    assert len(body(f"{web.url}/to//to//to//image")) == 100000
    with pytest.raises(FetchFailed, match="more than 3"):
        body(f"{web.url}/loop")
    with pytest.raises(ImageRefused, match="http"):
        body(f"{web.url}/to/file:///etc/shadow")

    def resolve(host, port):
        return ["127.0.0.1"] if host == "127.0.0.1" else ["169.254.169.254"]

    public_here = Limits(allow_private=False)
    with pytest.raises(ImageRefused, match="not allowed"):
        body(f"{web.url}/to/http://inside.example/", limits=public_here, resolve=resolve)


@pytest.mark.parametrize("target", ["http://[::1", "//[", "http://[x]/"])
def test_a_redirect_to_a_malformed_address_fails(target):
    def away(_asked):
        return raw(302, {"Location": target, "Content-Length": "0"})

    with RangeServer(away) as server, pytest.raises(FetchFailed, match="malformed") as failure:
        body(server.url)
    assert not failure.value.retryable


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (403, False), (500, True), (503, True), (429, True)])
def test_other_answers_fail(web, status, retryable):
    with pytest.raises(FetchFailed, match=str(status)) as failure:
        body(f"{web.url}/{status}")
    assert failure.value.retryable is retryable


def test_limits(web):
    with pytest.raises(ImageRefused, match="100000 bytes"):
        body(f"{web.url}/image", limits=Limits(allow_private=True, max_bytes=99999))
    ticks = itertools.count(0.0, 2.0)
    with pytest.raises(FetchFailed, match="too long"):
        body(f"{web.url}/image", limits=Limits(allow_private=True, deadline_s=5), monotonic=lambda: next(ticks))


def test_a_body_that_is_cut_off_fails(web):
    with pytest.raises(FetchFailed, match="broke off"):
        body(f"{web.url}/cut")


def test_nobody_listens():
    with pytest.raises(FetchFailed) as failure:
        body("http://127.0.0.1:1/image")
    assert failure.value.retryable
    assert "object at" not in str(failure.value)


def test_an_unknown_name_fails():
    def nobody(host, port):
        raise FetchFailed("the name cannot be resolved", retryable=True)

    with pytest.raises(FetchFailed):
        body("http://nowhere.invalid/", resolve=nobody)
    assert fetch.addresses("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.fixture
def dripping():
    """A server that goes on and on after what it is given, an octet at a time."""
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve():
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.recv(4096)
            peer.sendall(dripping.first)
            while not over.wait(0.05):
                peer.sendall(b"x")

    def dripping(first):
        dripping.first = first
        thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/image"

    thread = threading.Thread(target=serve, daemon=True)
    yield dripping
    over.set()
    thread.join(30)
    listener.close()


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["head", "body", "body without a length"],
)
def test_a_server_that_sends_without_end_is_left_in_time(dripping, first):
    with pytest.raises(FetchFailed):
        body(dripping(first), limits=Limits(allow_private=True, deadline_s=0.3))
