"""A pretend appliance for the agent: boot HTTP (ca.pem and files) and the agent API over TLS.

It can be stopped and started again on the same ports, can drop answers, and records everything that it is told.
"""

import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes import ports


class Authority:
    """A CA and a server certificate for the given addresses, as files below folder."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        until = now + dt.timedelta(days=3650)

        def builder(name, public):
            start = x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
            return start.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(until)

        ca = builder(ca_name, ca_key.public_key())
        ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        ca = ca.sign(ca_key, hashes.SHA256())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(item)) for item in addresses])
        server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "control")])
        server = builder(server_name, key.public_key()).add_extension(names, critical=False)
        server = server.sign(ca_key, hashes.SHA256())
        self.pem = ca.public_bytes(serialization.Encoding.PEM)
        self.sha256 = hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).hexdigest()
        self.chain = folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.chain.write_bytes(private + server.public_bytes(serialization.Encoding.PEM))


class FakeControl:
    """address: where it listens; seen_as: how agents reach it. secret: the boot secret that is accepted.

    node: what the look-up answers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        seen_as: str | None = None,
        secret: str = "s3cret-of-this-boot",
    ) -> None:
        self.seen_as = seen_as or address
        self.authority = Authority(folder, [self.seen_as])
        self.address = address
        self.secret = secret
        self.node: str | None = "n1"
        self.heartbeat_s = 30
        self.files: dict[str, Path] = {}
        self.changed = threading.Condition(threading.RLock())
        self.lookups: list[dict] = []
        self.inventories: list[dict] = []
        self.heartbeats: list[dict] = []
        self.updates: list[tuple[str, dict]] = []
        self.lines: list[str] = []
        self.pending: list[dict] = []
        self.cancelled: set[str] = set()
        self.sessions: set[str] = set()
        self.faults: list[int] = []  # statuses to answer the next requests with, 0 for a cut connection
        self.paths: list[str] = []
        self.poll_s = 0.3
        self.api_port, self.http_port = ports.free(2)  # kept over a restart
        self._servers: list[ThreadingHTTPServer] = []

    def kernel_words(self, boot_mac: str = "52:54:00:00:00:01") -> str:
        seen_as = self.seen_as
        return (
            f"rackwright.api=https://{seen_as}:{self.api_port} rackwright.http=http://{seen_as}:{self.http_port} "
            f"rackwright.ca={self.authority.sha256} rackwright.boot={self.secret} "
            f"BOOTIF=01-{boot_mac.replace(':', '-')}"
        )

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.chain)
        api = _Server((self.address, self.api_port), _handler(self, _Api))
        api.socket = context.wrap_socket(api.socket, server_side=True, do_handshake_on_connect=False)
        boot = _Server((self.address, self.http_port), _handler(self, _Boot))
        self.api_port, self.http_port = api.server_address[1], boot.server_address[1]
        self._servers = [api, boot]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
            server.drop()
        self._servers = []

    @contextmanager
    def running(self) -> Iterator["FakeControl"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def order(self, uuid: str, name: str, params: dict | None = None) -> None:
        with self.changed:
            self.pending.append({"uuid": uuid, "name": name, "params": params or {}})
            self.changed.notify_all()

    def await_that(self, condition, timeout: float = 60.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "the agent did not do that in time"

    def final(self, uuid: str) -> dict | None:
        return next((body for name, body in self.updates if name == uuid and body["status"] != "running"), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, handler) -> None:
        self.open: set = set()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks DNS for our own name.
        TCPServer.server_bind(self)

    def process_request(self, request, client_address) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        for request in list(self.open):
            self.shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is part of the tests."""


def _handler(control, base):
    return type(base.__name__, (base,), {"control": control})


class _Common(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    control: FakeControl
    timeout = 60

    def log_message(self, *_) -> None:
        pass

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Boot(_Common):
    def do_GET(self) -> None:
        if self.path == "/boot/ca.pem":
            self.answer(200, self.control.authority.pem)
        elif self.path in self.control.files:
            self.answer(200, self.control.files[self.path].read_bytes())
        else:
            self.answer(404)


class _Api(_Common):
    def json(self, status: int, value: dict) -> None:
        self.answer(status, json.dumps(value).encode())

    def is_faulty(self) -> bool:
        with self.control.changed:
            self.control.paths.append(self.path)
            fault = self.control.faults.pop(0) if self.control.faults else None
            self.control.changed.notify_all()
        if fault == 0:
            self.close_connection = True
            return True
        if fault is not None:
            self.json(fault, {"error": {"code": "fault"}})
            return True
        return False

    def is_stranger(self) -> bool:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token in self.control.sessions:
            return False
        self.json(401, {})
        return True

    def do_GET(self) -> None:
        if self.is_faulty() or self.is_stranger():
            return
        control = self.control
        with control.changed:
            control.changed.wait_for(lambda: control.pending, control.poll_s)
            task = control.pending[0] if control.pending else None
        if task is None:
            self.answer(204)
        else:
            self.json(200, task)

    def do_POST(self) -> None:
        control = self.control
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.is_faulty():
            return
        if self.path == "/agent/v1/lookup":
            self.lookup(body)
            return
        if self.is_stranger():
            return
        with control.changed:
            reply = self.take(body)
            control.changed.notify_all()
        self.json(200, reply)

    def lookup(self, body: dict) -> None:
        control = self.control
        if body["boot_secret"] != control.secret:
            self.json(401, {})
            return
        with control.changed:
            control.lookups.append(body)
            session = f"session-{len(control.lookups)}"
            control.sessions.add(session)
            control.changed.notify_all()
        self.json(200, {"session": session, "node": control.node, "heartbeat_s": control.heartbeat_s})

    def take(self, body: dict) -> dict:
        control = self.control
        kind, _, uuid = self.path.removeprefix("/agent/v1/").partition("/")
        if kind == "inventory":
            control.inventories.append(body)
        elif kind == "heartbeat":
            control.heartbeats.append(body)
            return {"commands": len(control.pending)}
        elif kind == "log":
            control.lines.extend(body["lines"])
        elif kind == "command":
            control.updates.append((uuid, body))
            if body["status"] != "running":
                control.pending = [item for item in control.pending if item["uuid"] != uuid]
            return {"cancelled": uuid in control.cancelled}
        return {}
