"""The client against a real HTTPS server with a CA of its own."""

import http.server
import ipaddress
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.lab.client import ApiFailed, Client


def _certificate(directory, address):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab test")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / f"{address}.pem"
    file.write_bytes(secret + certificate)
    return file


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization"), body))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, {"items": []})
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815  (http.server's names)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.lab.client.time.sleep", lambda _: None)
    servers = []

    def make(address="127.0.0.1"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.seen, server.answers = [], []
        file = _certificate(tmp_path, address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        client = Client(server.server_port, ca=file)
        servers.append((server, client))
        return server, client

    yield make
    for server, client in servers:
        client.close()
        server.shutdown()
        server.server_close()


def test_a_question_carries_the_token_and_the_filter(served):
    server, client = served()
    client.use("secret")
    assert client.node_of_mac("52:54:00:4c:00:01") is None
    assert server.seen == [("GET", "/v1/nodes?mac=52%3A54%3A00%3A4c%3A00%3A01", "Bearer secret", b"")]


def test_a_refusal_keeps_the_reason_and_the_advice(served):
    server, client = served()
    server.answers = [(409, {"error": {"message": "no", "why": "busy", "next": "wait"}})]
    with pytest.raises(ApiFailed, match="no") as refused:
        client.post("/v1/nodes/n1/deploy", {"image": "x"})
    assert (refused.value.status, refused.value.why, refused.value.next_step) == (409, "busy", "wait")
    assert len(server.seen) == 1, "a request that changes something is sent once"


def test_a_question_is_repeated_while_the_appliance_restarts(served):
    server, client = served()
    server.answers = [(503, b""), (502, b"<html>"), (200, {"uuid": "u"})]
    assert client.node("n 1/x") == {"uuid": "u"}
    assert {path for _, path, _, _ in server.seen} == {"/v1/nodes/n%201%2Fx"}


def test_a_timeline_is_read_to_its_end(served):
    server, client = served()
    server.answers = [(200, {"items": [{"id": 1}], "next": 1}), (200, {"items": [{"id": 2}], "next": None})]
    assert client.timeline("n1") == [{"id": 1}, {"id": 2}]
    assert "after=1" in server.seen[1][1]


def test_alive_means_that_our_appliance_answers_whatever_it_says(served):
    server, client = served()
    server.answers = [(401, {"error": {"message": "who are you"}})]
    assert client.is_alive()
    server.shutdown()
    server.server_close()


def test_another_appliances_certificate_is_not_trusted(served):
    server, _ = served()
    _, stranger = served(address="127.0.0.2")
    other = Client(server.server_port, ca=stranger.ca)
    assert not other.is_alive()
    other.close()
    assert not stranger.is_alive(), "a certificate for another address"


def test_why_is_silent_when_the_appliance_is(served):
    server, client = served()
    server.answers = [(404, {"error": {"message": "no such node"}})]
    assert client.why("n1") == ""
