import socket
import threading

import pytest

from agent import transport
from agent.errors import BadAnswer, NoAnswer, WrongAuthority
from tests.fakes.fake_control import Authority, FakeControl


@pytest.fixture
def control(tmp_path):
    with FakeControl(tmp_path).running() as running:
        yield running


def _client(control):
    boot = f"http://127.0.0.1:{control.http_port}"
    context = transport.pinned_context(boot, control.authority.sha256, timeout_s=30)
    return transport.Client(f"https://127.0.0.1:{control.api_port}", context=context)


def _lookup(client, control):
    body = b'{"boot_secret": "%s", "macs": []}' % control.secret.encode()
    return client.request("POST", "/agent/v1/lookup", timeout_s=30, body=body)


def test_requests_on_one_kept_connection(control):
    client = _client(control)
    first = _lookup(client, control)
    kept = client._socket
    assert transport.json_body(first)["session"] == "session-1"
    assert transport.json_body(_lookup(client, control))["session"] == "session-2"
    assert client._socket is kept
    client.close()


def test_a_kept_connection_that_was_closed_is_opened_again(control):
    client = _client(control)
    _lookup(client, control)
    control.stop()
    control.start()
    assert _lookup(client, control).status == 200
    client.close()


def test_another_authority_is_not_trusted(control, tmp_path):
    with pytest.raises(WrongAuthority):
        transport.pinned_context(f"http://127.0.0.1:{control.http_port}", "00" * 32, timeout_s=30)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", ["127.0.0.1"])
    context = transport.context_for(stranger.pem, stranger.sha256)
    client = transport.Client(f"https://127.0.0.1:{control.api_port}", context=context)
    with pytest.raises(NoAnswer, match="certificate verify failed"):
        client.request("GET", "/", timeout_s=30)


def test_a_certificate_for_another_address_is_not_trusted(control, tmp_path):
    context = transport.context_for(control.authority.pem, control.authority.sha256)
    client = transport.Client(f"https://localhost:{control.api_port}", context=context)
    with pytest.raises(NoAnswer, match="certificate verify failed"):
        client.request("GET", "/", timeout_s=30)


@pytest.mark.parametrize("pem", [b"", b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(pem):
    with pytest.raises(WrongAuthority):
        transport.context_for(pem, "00" * 32)


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound, so that nobody else gets it, but without a listener
        with pytest.raises(NoAnswer):
            transport.Client(f"http://127.0.0.1:{port}", context=None).request("GET", "/", timeout_s=30)


def _server(answer: bytes, *, keep_open=False):
    """A server for one connection; returns its port and a function that ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve():
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(answer)
        if keep_open:
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def end():
        done.set()
        thread.join(30)
        listener.close()

    return listener.getsockname()[1], end


def test_an_answer_that_never_ends_is_given_up_at_the_deadline():
    port, end = _server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", keep_open=True)
    with pytest.raises(NoAnswer, match="timed out"):
        transport.Client(f"http://127.0.0.1:{port}", context=None).request("GET", "/", timeout_s=0.2)
    end()


def test_a_redirect_is_an_answer_and_is_not_followed():
    port, end = _server(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    client = transport.Client(f"http://127.0.0.1:{port}", context=None)
    assert client.request("GET", "/", timeout_s=30).status == 302
    client.close()
    end()


def test_an_answer_beyond_the_cap_is_refused():
    port, end = _server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    with pytest.raises(BadAnswer):
        transport.Client(f"http://127.0.0.1:{port}", context=None).request("GET", "/", timeout_s=30)
    end()


def test_a_connection_closed_without_a_word():
    port, end = _server(b"")
    with pytest.raises(NoAnswer):
        transport.Client(f"http://127.0.0.1:{port}", context=None).request("GET", "/", timeout_s=30)
    end()
