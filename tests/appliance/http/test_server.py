"""The servers against raw sockets: hostile peers, slow peers, many peers, a clean stop."""

import http.client
import json
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, Response, request

from appliance.domain.values import Endpoint
from appliance.http import door as door_module
from appliance.http.door import Limits
from appliance.http.server import TlsServer, UnixServer
from appliance.services import tls

LIMITS = Limits(connections=700, per_peer=650)


def make_app() -> Flask:
    app = Flask("test")
    app.config["MAX_CONTENT_LENGTH"] = None

    @app.route("/echo", methods=["GET", "POST", "PUT"])
    def echo() -> dict:
        return {"length": len(request.get_data()), "scheme": request.scheme, "peer": request.remote_addr}

    @app.post("/ignore")
    def ignore() -> tuple[dict, int]:
        return {"read": False}, 401

    @app.get("/wait")
    def wait() -> str:
        app.extensions["entered"].set()
        app.extensions["gate"].wait(60)
        return "done"

    @app.get("/short")
    def short() -> Response:
        return Response(iter([b"abc"]), headers={"Content-Length": "10"})

    @app.get("/stream")
    def stream() -> Response:
        return Response(iter([b"one ", b"two ", b"three"]))

    @app.get("/break")
    def broken() -> Response:
        def pieces() -> Iterable[bytes]:
            yield b"first"
            raise ValueError("in the middle")

        return Response(pieces())

    @app.get("/large")
    def large() -> bytes:
        return b"x" * 5_000_000

    app.extensions["gate"] = threading.Event()
    app.extensions["entered"] = threading.Event()
    return app


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state")
    tls.create_ca(path, "test", datetime.now(UTC))
    return path


@pytest.fixture
def app() -> Iterator[Flask]:
    app = make_app()
    yield app
    app.extensions["gate"].set()


@pytest.fixture
def server(app: Flask, state: Path) -> Iterator[TlsServer]:
    contexts = tls.ServerContexts(state, [], clock=lambda: datetime.now(UTC))
    server = TlsServer(
        app, Endpoint("127.0.0.1", 0), contexts.context_for, threads=16, limits=LIMITS,
        body_limit=lambda method, path: 10**9 if (method, path) == ("PUT", "/echo") else 1024 * 1024,
    )  # fmt: skip
    server.start()
    yield server
    app.extensions["gate"].set()
    server.stop(2)


@pytest.fixture
def unix(app: Flask, tmp_path: Path) -> Iterator[UnixServer]:
    server = UnixServer(app, tmp_path / "s")
    server.start()
    yield server
    app.extensions["gate"].set()
    server.stop(2)


def context(state: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=state / "tls" / "ca.pem")


def client(server: TlsServer, state: Path) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", server.address.port, context=context(state), timeout=30)


def raw(server: UnixServer, data: bytes, *, more: bytes = b"") -> bytes:
    """Everything that the server says to a peer that then has nothing more to ask. more: sent after a first word."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(server.path))
        sock.sendall(data)
        said = sock.recv(65536) if more else b""
        sock.sendall(more)
        sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := sock.recv(65536):
                said += part
        return said


def wait_until(claim: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.005)


def get(peer: http.client.HTTPConnection, path: str, method: str = "GET", **options) -> tuple[int, bytes]:
    peer.request(method, path, **options)
    answer = peer.getresponse()
    return answer.status, answer.read()


class TestRequests:
    def test_one_connection_many_requests(self, server: TlsServer, state: Path):
        peer = client(server, state)
        peer.connect()
        sock = peer.sock
        for size in (0, 1, 70_000, 1024 * 1024):
            status, body = get(peer, "/echo", "POST", body=b"x" * size)
            assert status == 200
            assert json.loads(body) == {"length": size, "scheme": "https", "peer": "127.0.0.1"}
        assert peer.sock is sock
        peer.close()

    def test_a_body_in_chunks(self, server: TlsServer, state: Path):
        peer = client(server, state)
        status, body = get(peer, "/echo", "POST", body=iter([b"abc", b"d" * 5000]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        assert (status, json.loads(body)["length"]) == (200, 5003)
        peer.close()

    def test_streams_and_large_answers(self, server: TlsServer, state: Path):
        peer = client(server, state)
        assert get(peer, "/stream") == (200, b"one two three")
        assert len(get(peer, "/large")[1]) == 5_000_000
        assert get(peer, "/echo", "HEAD")[0] == 200
        assert get(peer, "/missing")[0] == 404
        peer.close()

    def test_limits_depend_on_the_route(self, server: TlsServer, state: Path):
        for method, size, expected in [("POST", 1024 * 1024 + 1, 413), ("PUT", 3_000_000, 200)]:
            peer = client(server, state)
            assert get(peer, "/echo", method, body=b"x" * size)[0] == expected
            peer.close()

    def test_an_unwanted_large_body_is_not_read_and_the_answer_arrives(self, unix: UnixServer):
        said = raw(unix, b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)
        assert b" 401 " in said
        assert b"Connection: close" in said

    def test_an_unwanted_small_body_leaves_the_connection_to_the_next_request(self, unix: UnixServer):
        unwanted = b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        said = raw(unix, unwanted + unwanted + b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        assert said.count(b"HTTP/1.1 401") == 2
        assert b'"length":2' in said
        assert b"Connection: close" not in said

    def test_waiting_for_leave_to_continue(self, unix: UnixServer):
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        said = raw(unix, head, more=b"abc")
        assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
        assert b'"length":3' in said

    def test_two_requests_in_one_packet(self, unix: UnixServer):
        one = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        said = raw(unix, one + b"\r\n" + one)
        assert said.count(b"HTTP/1.1 200 OK") == 2

    def test_http_1_0_closes(self, unix: UnixServer):
        assert raw(unix, b"GET /stream HTTP/1.0\r\n\r\n").endswith(b"one two three")


class TestHostile:
    @pytest.mark.parametrize(
        "head",
        [
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"GET /echo HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n\r\n",
            b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Y : 1\r\n\r\n",
            b"GET /echo HTTP/1.1\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
        ],
    )
    def test_ambiguous_heads_are_400_and_the_connection_ends(self, unix: UnixServer, head: bytes):
        said = raw(unix, head + b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 400 Bad Request")
        assert said.count(b"HTTP/1.1") == 1
        assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid"

    @pytest.mark.parametrize("chunks", [b"-1\r\n", b"zz\r\n", b"3\r\nabcXX", b"3\r\nabc\r\n-0\r\n\r\n"])
    def test_bad_chunks_are_400_and_nothing_follows(self, unix: UnixServer, chunks: bytes):
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        said = raw(unix, head + chunks + b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 400")
        assert said.count(b"HTTP/1.1") == 1

    def test_what_follows_a_chunked_body_is_never_a_request(self, unix: UnixServer):
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        said = raw(unix, head + b"0\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said.count(b"HTTP/1.1") == 1

    def test_a_head_of_megabytes(self, unix: UnixServer):
        assert b" 431 " in raw(unix, b"GET /echo HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000)

    def test_an_answer_shorter_than_it_said_ends_the_connection(self, unix: UnixServer):
        one = b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n"
        assert raw(unix, one + one).count(b"HTTP/1.1") == 1

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_an_application_that_breaks_half_way_harms_nobody_else(self, unix: UnixServer):
        said = raw(unix, b"GET /break HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"first" in said
        assert not said.endswith(b"0\r\n\r\n")
        assert b" 200 OK" in raw(unix, b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")

    def test_plain_http_on_the_tls_port_is_told(self, server: TlsServer):
        with socket.create_connection(("127.0.0.1", server.address.port), 30) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTPS only" in sock.recv(4096)

    def test_junk_on_the_tls_port(self, server: TlsServer, state: Path):
        for junk in (b"\x00" * 50, b"\x16\x03\x01\x40\x00" + b"\xff" * 500, b"\x80\x2e\x01\x03\x01"):
            with socket.create_connection(("127.0.0.1", server.address.port), 30) as sock:
                sock.sendall(junk)
        peer = client(server, state)
        assert get(peer, "/echo")[0] == 200
        peer.close()


class TestSlow:
    def test_five_hundred_slow_peers_delay_nobody(
        self, server: TlsServer, state: Path, monkeypatch: pytest.MonkeyPatch
    ):
        now = [time.monotonic()]
        monkeypatch.setattr(door_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard[0] < 1500:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard[1]), hard[1]))
        slow = [socket.create_connection(("127.0.0.1", server.address.port), 30) for _ in range(500)]
        for number, sock in enumerate(slow):
            if number % 2:
                sock.sendall(b"\x16\x03\x01")
        for _ in range(50):  # while time stands still: no slow one is given up, and each of these is answered
            peer = client(server, state)
            assert get(peer, "/echo")[0] == 200
            peer.close()
        now[0] += door_module.HEAD_DEADLINE_S + 1
        for sock in slow:
            sock.settimeout(30)
            with suppress(ConnectionResetError):
                assert sock.recv(10) == b""  # given up by the server
            sock.close()

    def test_a_head_that_drips_gets_408(self, unix: UnixServer, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(door_module, "HEAD_DEADLINE_S", 0.3)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(unix.path))
            sock.sendall(b"GET /echo HTTP/1.1\r\nHost:")
            assert b" 408 " in sock.recv(4096)

    def test_an_idle_connection_is_closed_in_the_end(self, unix: UnixServer, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(door_module, "IDLE_S", 0.2)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(unix.path))
            sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in sock.recv(4096)
            while sock.recv(4096):
                pass

    def test_too_many_from_one_address(self, app: Flask, state: Path):
        contexts = tls.ServerContexts(state, [], clock=lambda: datetime.now(UTC))
        with TlsServer(app, Endpoint("127.0.0.1", 0), contexts.context_for, limits=Limits(per_peer=3)) as server:
            held = [socket.create_connection(("127.0.0.1", server.address.port), 30) for _ in range(5)]
            for sock in held[3:]:
                sock.settimeout(30)
                with suppress(ConnectionResetError):
                    assert sock.recv(1) == b""
            for sock in held:
                sock.close()


class TestLoad:
    def test_every_worker_busy_sheds_load(self, app: Flask, tmp_path: Path):
        with UnixServer(app, tmp_path / "s", threads=1) as server:
            held = []
            for number in range(2):  # one runs, one waits
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(str(server.path))
                sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
                held.append(sock)
                wait_until(lambda number=number: server._door._working == number + 1)
                assert app.extensions["entered"].wait(20)
            said = raw(server, b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 2" in said
            app.extensions["gate"].set()
            for sock in held:
                sock.settimeout(30)
                assert b"200 OK" in sock.recv(4096)
                sock.close()

    def test_full_house_drops_idle_connections_first(self, app: Flask, state: Path):
        contexts = tls.ServerContexts(state, [], clock=lambda: datetime.now(UTC))
        with TlsServer(app, Endpoint("127.0.0.1", 0), contexts.context_for, limits=Limits(connections=2)) as server:
            peers = [client(server, state) for _ in range(6)]
            for peer in peers:
                assert get(peer, "/echo")[0] == 200  # and leave it open, idle
            for peer in peers:
                peer.close()

    def test_no_descriptors_left_is_survived(self, unix: UnixServer, monkeypatch: pytest.MonkeyPatch):
        listener = unix._door._listener
        calls = []

        class Poor:
            def accept(self):
                calls.append(1)
                raise OSError(24, "Too many open files")

            def __getattr__(self, name: str):
                return getattr(listener, name)

        unix._door._listener = Poor()
        unix._door._accept_all(time.monotonic() - 10)  # from the loop's point of view: long ago
        unix._door._listener = listener
        assert calls
        unix._door.wake()
        assert b"200 OK" in raw(unix, b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")


class TestStop:
    def test_a_running_request_may_end(self, app: Flask, tmp_path: Path):
        server = UnixServer(app, tmp_path / "s")
        server.start()
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(str(server.path))
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        app.extensions["entered"].wait(20)
        threading.Timer(0.2, app.extensions["gate"].set).start()
        server.stop(30)
        assert b"done" in sock.recv(4096)
        sock.close()
        assert not server.path.exists()

    def test_one_that_does_not_end_is_cut(self, app: Flask, tmp_path: Path):
        server = UnixServer(app, tmp_path / "s")
        server.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(server.path))
            sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            app.extensions["entered"].wait(20)
            begin = time.monotonic()
            server.stop(0.2)
            assert time.monotonic() - begin < 10
        app.extensions["gate"].set()

    def test_idle_connections_do_not_delay_it(self, server: TlsServer, state: Path):
        peer = client(server, state)
        get(peer, "/echo")
        begin = time.monotonic()
        server.stop(20)
        assert time.monotonic() - begin < 10
        peer.close()


def test_more_busy_clients_than_threads_are_all_answered(state: Path, app: Flask):
    contexts = tls.ServerContexts(state, [], clock=lambda: datetime.now(UTC))
    answers: list[int] = []

    def ask(server: TlsServer) -> None:
        connection = client(server, state)
        for _ in range(20):
            connection.request("POST", "/echo", body=b"x")
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)
        connection.close()

    with TlsServer(app, Endpoint("127.0.0.1", 0), contexts.context_for, threads=4) as server:
        clients = [threading.Thread(target=ask, args=(server,)) for _ in range(6)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join(60)
    assert answers == [200] * 120


def test_bodies_that_trickle_in_leave_workers_to_others(server: TlsServer, state: Path) -> None:
    """Small ones cost no worker at all, large ones and those in chunks all but the last quarter of them."""
    starts = [
        b"Content-Length: 100\r\n\r\n{",
        b"Content-Length: 50000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{",
    ]
    held = []
    try:
        for number in range(60):
            sock = context(state).wrap_socket(
                socket.create_connection(("127.0.0.1", server.address.port)), server_hostname="127.0.0.1"
            )
            held.append(sock)
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + starts[number % 3])
        other = client(server, state)
        for _ in range(3):
            started = time.monotonic()
            other.request("POST", "/echo", body=b"x" * 1000)
            assert json.loads(other.getresponse().read())["length"] == 1000
            assert time.monotonic() - started < 3
        other.close()
    finally:
        for sock in held:
            sock.close()


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 32 * 1024 + 1, 200_000])
def test_a_body_in_pieces_arrives_whole(server: TlsServer, state: Path, size: int) -> None:
    body = b"x" * size
    with context(state).wrap_socket(
        socket.create_connection(("127.0.0.1", server.address.port)), server_hostname="127.0.0.1"
    ) as sock:
        sock.settimeout(10)
        for _ in range(2):  # the second on the same connection
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            for at in range(0, size, 30_000):
                sock.sendall(body[at : at + 30_000])
            said = http.client.HTTPResponse(sock, method="POST")
            said.begin()
            assert json.loads(said.read())["length"] == size


def test_who_waits_to_be_told_is_told_to_send(server: TlsServer, state: Path) -> None:
    with context(state).wrap_socket(
        socket.create_connection(("127.0.0.1", server.address.port)), server_hostname="127.0.0.1"
    ) as sock:
        sock.settimeout(10)
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(b"body")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
