"""The HTTP client against a fake appliance, and against servers that misbehave."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.main.client import ApiError, Client, Unreachable, part
from tests.fakes.fake_api import FakeApi, Refusal, make_certificate, serving


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def client(api: FakeApi, tmp_path: Path) -> Iterator[Client]:
    with serving(api, tmp_path) as (url, ca):
        made = Client(url=url, ca=ca, token="good-token")
        yield made
        made.close()


def answering(tmp_path: Path, answer: bytes) -> Iterator[Client]:
    """A client of a server that says `answer` to the first request and hangs up."""
    ca, bundle = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as raw, context.wrap_socket(raw, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    made = Client(url=f"https://127.0.0.1:{listener.getsockname()[1]}", ca=ca, token="t", timeout_s=30)
    yield made
    made.close()
    thread.join(30)


def test_get_and_pages(api: FakeApi, client: Client) -> None:
    api.page = 2
    for number in range(5):
        api.add_node(f"n{number}")
    assert [len(page) for page in client.pages("/v1/nodes")] == [2, 2, 1]
    assert [node["name"] for node in client.items("/v1/nodes", state="enroll")] == [f"n{number}" for number in range(5)]


def test_an_error_document_becomes_an_exception(api: FakeApi, client: Client) -> None:
    api.fail_next["GET", "/v1/whoami"] = Refusal(409, "conflict", "no", why="because", then="wait")
    with pytest.raises(ApiError) as caught:
        client.get("/v1/whoami")
    error = caught.value
    assert (error.status, error.code, str(error), error.why, error.next_step, error.request_id) == (
        409, "conflict", "no", "because", "wait", "req-1",
    )  # fmt: skip


def test_upload_and_stream(api: FakeApi, client: Client) -> None:
    client.call("POST", "/v1/images", body={"name": "x"})
    client.upload("/v1/images/x/file", iter([b"ab", b"cd"]), size=4, headers={"X-Checksum-Sha256": "0" * 64})
    assert api.uploads["x"] == b"abcd"
    api.add_node("n1")
    assert b"".join(client.stream("/v1/nodes/n1/console", follow=1)) == api.console


def test_a_kept_connection_that_died_is_replaced(api: FakeApi, tmp_path: Path) -> None:
    with serving(api, tmp_path) as (url, ca):
        client = Client(url=url, ca=ca, token="good-token")
        client.get("/v1/whoami")
        port = int(url.rpartition(":")[2])
    with serving(api, tmp_path, port=port):
        assert client.get("/v1/whoami")["username"] == "admin"
    client.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        Client(url="https://127.0.0.1:9").get("/v1/whoami")
    assert "refused" in caught.value.why


def test_an_unknown_certificate_is_refused(api: FakeApi, tmp_path: Path) -> None:
    with serving(api, tmp_path) as (url, _), pytest.raises(Unreachable, match="does not answer") as caught:
        Client(url=url, token="good-token").get("/v1/whoami")
    assert "not one we trust" in caught.value.why
    assert api.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", Unreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{", Unreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: application/json\r\n\r\n{", ApiError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]", ApiError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\n\r\nhi", ApiError),
        (b"HTTP/1.1 302 Found\r\nLocation: https://evil/\r\nContent-Length: 0\r\n\r\n", ApiError),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nbusy", ApiError),
        (b'HTTP/1.1 400 X\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"error":"no"}', ApiError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable),
    ],
)  # fmt: skip
def test_servers_that_are_no_appliance(tmp_path: Path, answer: bytes, kind: type[Exception]) -> None:
    for client in answering(tmp_path, answer):
        with pytest.raises(kind):
            client.get("/v1/whoami")


@pytest.mark.parametrize(
    ("name", "quoted"), [("a b", "a%20b"), ("..", "%2E%2E"), ("x/../y", "x%2F..%2Fy"), ("ü", "%C3%BC")]
)
def test_a_name_is_one_path_segment(name: str, quoted: str) -> None:
    assert part(name) == quoted


def test_the_token_stays_out_of_repr() -> None:
    assert "hush" not in repr(Client(url="https://x", token="hush"))
