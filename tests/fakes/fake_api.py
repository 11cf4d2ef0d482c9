"""A small appliance for clients: the native API over real HTTPS, kept in memory.

Time stands still here: a node that was asked for something takes one step along its way each time it is read, so a
test waits for nothing and sees every state. What goes wrong is arranged by `fail_next` and `ways`.
"""

import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Json = dict[str, Any]

PASSWORD = "one-time"
NOW = "2026-03-01T12:00:00Z"
MIB = 1 << 20

WAYS: dict[str, list[Json]] = {
    "manage": [{"provision_state": "verifying"}, {"provision_state": "manageable"}],
    "inspect": [{"provision_state": "inspecting"}, {"provision_state": "manageable"}],
    "provide": [{"provision_state": "cleaning"}, {"provision_state": "available"}],
    "clean": [{"provision_state": "cleaning"}, {"provision_state": "manageable"}],
    "undeploy": [{"provision_state": "deleting"}, {"provision_state": "available", "instance": None}],
    "rebuild": [{"provision_state": "deploying"}, {"provision_state": "active"}],
    "adopt": [{"provision_state": "adopting"}, {"provision_state": "active"}],
    "rescue": [{"provision_state": "rescuing"}, {"provision_state": "rescue"}],
    "unrescue": [{"provision_state": "unrescuing"}, {"provision_state": "active"}],
    "service": [{"provision_state": "servicing"}, {"provision_state": "service hold"}],
    "unhold": [{"provision_state": "service wait"}, {"provision_state": "active"}],
    "abort": [{"provision_state": "clean failed"}],
    "deploy": [
        {"provision_state": "deploying"},
        *(
            {"provision_state": "deploying", "progress": {"phase": "write image", "done": done * 100 * MIB,
             "total": 300 * MIB, "unit": "bytes", "message": None}}
            for done in (0, 1, 3)
        ),
        {"provision_state": "wait call-back", "progress": None,
         "waiting": {"for": "call-home", "since": NOW, "deadline": NOW, "then": "deploy failed"}},
        {"provision_state": "active", "waiting": None,
         "instance": {"image": "debian-12", "hostname": "n1", "address": "10.20.0.7"}},
    ],
}  # fmt: skip
"""For each verb, the states a node passes through, one at each reading."""


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str, why: str = "", then: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "why": why, "next": then, "request_id": "req-1"}}


class FakeApi:
    """The whole state. Tests may read and write it between two commands."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tokens = {"good-token"}
        self.password, self.must_change = PASSWORD, True
        self.nodes: dict[str, Json] = {}
        self.ways: dict[str, list[Json]] = {}
        self.images: dict[str, Json] = {}
        self.uploads: dict[str, bytes] = {}
        self.subnets: dict[str, Json] = {}
        self.sightings: list[Json] = []
        self.events: list[Json] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.fail_next: dict[tuple[str, str], Refusal] = {}
        self.console = b"Booting...\r\nlogin: \x1b[31mred\x1b[0m \x07\r\n"
        self.page = 1000
        self.checks = [{"name": "database", "ok": True, "detail": "SQLite, 12 MiB", "next": None}]

    # -- what tests arrange

    def add_node(self, name: str, state: str = "enroll", **more: Any) -> Json:
        """A node, complete as the API gives it."""
        number = len(self.nodes) + 1
        identity = str(uuid.UUID(int=number << 64 | 0x4000_8000))
        mac = f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"
        node: Json = {
            "uuid": identity, "name": name, "provision_state": state, "target_provision_state": None,
            "power_state": "power off", "target_power_state": None, "driver": "fake",
            "bmc": {"address": None, "udp_port": 623, "username": None, "password": None, "verified_at": None},
            "maintenance": False, "maintenance_reason": None, "fault": None, "last_error": None, "failure": None,
            "boot_mode": "uefi", "architecture": "x86_64", "resource_class": None, "rack": None, "rack_unit": None,
            "properties": {}, "extra": {}, "macs": [mac], "ports": [], "instance": None, "agent": None,
            "waiting": None, "progress": None, "created_at": NOW, "updated_at": NOW, "provision_updated_at": NOW,
        }  # fmt: skip
        node.update(more)
        self.nodes[identity] = node
        return node

    def add_event(self, kind: str, message: str, node: str | None = None, **more: Any) -> Json:
        """An entry of the event log."""
        event = {"id": len(self.events) + 1, "at": NOW, "kind": kind, "message": message, "node": node, "mac": None,
                 "actor": "engine", "data": {}, "duration_s": None, **more}  # fmt: skip
        self.events.append(event)
        return event

    # -- what the API does

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, token: str) -> tuple[int, Any]:
        """(status, document) or a Refusal."""
        parts = [unquote(piece) for piece in path.strip("/").split("/")]
        with self.lock:
            self.requests.append((method, path, body))
            if planned := self.fail_next.pop((method, path), None):
                raise planned
            if parts == ["v1", "login"]:
                return 200, self._login(body)
            if token not in self.tokens:
                raise Refusal(401, "unauthenticated", "a valid token is needed")
            handler = getattr(self, f"_{parts[1]}", None) if len(parts) > 1 and parts[0] == "v1" else None
            if handler is None:
                raise Refusal(404, "not-found", f"there is nothing at {path}")
            result: tuple[int, Any] = handler(method, parts[2:], query, body)
            return result

    def _login(self, body: Json) -> Json:
        if body["password"] != self.password:
            raise Refusal(401, "unauthenticated", "the user name or the password is wrong")
        token = f"token-{len(self.requests)}"
        self.tokens.add(token)
        return {"token": token, "expires_at": "2026-03-02T12:00:00Z", "must_change": self.must_change}

    def _password(self, _method: str, _rest: list[str], _query: dict[str, str], body: Json) -> tuple[int, Any]:
        if body["old"] != self.password:
            raise Refusal(403, "forbidden", "the old password is wrong")
        self.password, self.must_change = body["new"], False
        self.tokens.clear()
        return 204, None

    def _logout(self, *_: Any) -> tuple[int, Any]:
        return 204, None

    def _whoami(self, *_: Any) -> tuple[int, Any]:
        return 200, {"username": "admin", "role": "admin", "expires_at": "2026-03-02T12:00:00Z"}

    def _doctor(self, *_: Any) -> tuple[int, Any]:
        return 200, {"checks": self.checks}

    def _nodes(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if not rest and method == "GET":
            return 200, self._page([self._step(node) for node in self.nodes.values() if _fits(node, query)], query)
        if not rest:
            return 201, self._create(body)
        if rest == ["bulk"]:
            return 200, {
                "items": [self._bulk(line, wanted, body["check"]) for line, wanted in enumerate(body["nodes"], 1)]
            }
        node = self._find(rest[0])
        if len(rest) == 1:
            return self._one(method, node, body)
        if method == "POST":
            return self._move(node, rest[1], body)
        return self._part(method, node, rest[1], body)

    def _one(self, method: str, node: Json, body: Json) -> tuple[int, Any]:
        if method == "DELETE":
            del self.nodes[node["uuid"]]
            return 204, None
        if method == "PATCH":
            if "bmc" in body:
                node["bmc"] = {"verified_at": None, **_masked(body["bmc"])}
            node.update({key: value for key, value in body.items() if key != "bmc"})
        return 200, self._step(node)

    def _create(self, body: Json) -> Json:
        if any(node["name"] == body["name"] for node in self.nodes.values()):
            raise Refusal(409, "conflict", f"the name {body['name']} is taken")
        taken = {mac for node in self.nodes.values() for mac in node["macs"]}
        if twice := taken.intersection(body.get("macs") or []):
            raise Refusal(409, "conflict", f"the MAC address {min(twice)} belongs to another node")
        bmc = {
            "address": None,
            "udp_port": 623,
            "username": None,
            "verified_at": None,
            **_masked(body.get("bmc") or {}),
        }
        rest = {key: value for key, value in body.items() if key not in {"name", "bmc"}}
        return self.add_node(body["name"], **{"macs": [], **rest, "bmc": bmc})

    def _bulk(self, line: int, wanted: Json, check: bool) -> Json:
        before = dict(self.nodes)
        try:
            node = self._create(wanted)
        except Refusal as refusal:
            return {"line": line, "ok": False, "node": None, "error": refusal.body["error"]}
        if check:
            self.nodes = before
        return {"line": line, "ok": True, "node": None if check else node["name"], "error": None}

    def _find(self, ref: str) -> Json:
        found = [
            node for node in self.nodes.values()
            if ref == node["name"] or ref in node["macs"] or (len(ref) >= 4 and node["uuid"].startswith(ref))
        ]  # fmt: skip
        if len(found) > 1:
            raise Refusal(409, "ambiguous", f"{ref!r} fits {len(found)} nodes")
        if not found:
            raise Refusal(404, "not-found", f"there is no node {ref!r}")
        return found[0]

    def _step(self, node: Json) -> Json:
        way = self.ways.get(node["uuid"])
        if way:
            node.update(way.pop(0))
        return node

    def _move(self, node: Json, verb: str, body: Json) -> tuple[int, Any]:
        if self.ways.get(node["uuid"]) and verb != "abort":
            raise Refusal(409, "node-locked", f"{node['name']} is held by other work", then="rackwright flow list")
        if verb == "deploy" and node["provision_state"] != "available":
            raise Refusal(
                409, "illegal-move", f"node {node['name']} is {node['provision_state']!r}; deploy needs 'available'",
                why="erase step timed out", then=f"rackwright node clean {node['name']}",
            )  # fmt: skip
        if verb == "deploy" and "://" not in body["image"] and body["image"] not in self.images:
            raise Refusal(422, "invalid", f"there is no image {body['image']!r}")
        way = [dict(step) for step in self.ways.get(verb, WAYS[verb])]
        node.update(way.pop(0))
        self.ways[node["uuid"]] = way
        return 202, {"node": node, "flow": {"uuid": "f-1"}}

    def _part(self, method: str, node: Json, name: str, body: Any) -> tuple[int, Any]:
        if name == "maintenance":
            node["maintenance"] = method == "PUT"
            node["maintenance_reason"] = (body or {}).get("reason")
            return 200, node
        if name == "power" and method == "PUT":
            node["power_state"] = "power off" if body["target"] in {"off", "soft-off"} else "power on"
            return 202, {"target": body["target"]}
        answers: dict[str, Any] = {
            "power": {"power_state": node["power_state"], "observed_at": NOW},
            "boot-device": body or {"device": "disk", "persistent": False, "uefi": True},
            "sensors": {"items": [{"name": "CPU Temp", "kind": "temperature", "value": 41.0, "unit": "C",
                                   "health": "ok"}]},
            "sel": {"items": [{"record_id": 1, "at_s": 1740830400, "sensor": "PSU 1", "event": "=cmd lost",
                               "severity": "ok"}]},
            "fru": {"product": "Box\x1b[2J", "serial": "S1"},
            "inventory": {"reported_at": NOW, "inventory": {"cpus": [{"model": "Xeon"}], "memory_mib": 1024}},
            "identify": {},
            "nmi": {},
            "why": {"sentence": "n1 waits for call-home since 12:00", "next": "wait"},
            "timeline": {"items": [event for event in self.events if event["node"] in {None, node["name"]}],
                         "next": len(self.events),
                         "phases": [{"name": "write image", "start": NOW, "end": "2026-03-01T12:00:20Z"},
                                    {"name": "boot", "start": "2026-03-01T12:00:20Z", "end": "2026-03-01T12:01:20Z"}]},
        }  # fmt: skip
        return 200, answers[name]

    def _images(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if not rest and method == "GET":
            return 200, self._page(list(self.images.values()), query)
        if not rest:
            return 201, self._new_image(body)
        if rest[0] not in self.images:
            raise Refusal(404, "not-found", f"there is no image {rest[0]!r}")
        image = self.images[rest[0]]
        if rest[1:] == ["cloud-config-schema"]:
            return 204, None
        if len(rest) == 2:
            self.uploads[rest[0]] = body
            image.update(status="active", size_bytes=len(body), disk_format="raw")
        elif method == "DELETE":
            del self.images[rest[0]]
            return 204, None
        elif image["status"] == "saving":
            image["status"] = "active"
        return 200, image

    def _new_image(self, body: Json) -> Json:
        if body["name"] in self.images:
            raise Refusal(409, "conflict", f"the name {body['name']} is taken")
        image = {"uuid": str(uuid.UUID(int=len(self.images) + 1)), "name": body["name"],
                 "status": "saving" if body.get("url") else "queued", "problem": None, "disk_format": None,
                 "size_bytes": None, "virtual_size_bytes": None, "sha256": body.get("sha256"),
                 "properties": body.get("properties") or {}, "created_at": NOW, "updated_at": NOW}  # fmt: skip
        self.images[body["name"]] = image
        return image

    def _subnets(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "POST":
            self.subnets[body["name"]] = {"gateway": None, "domain": "rack.internal", "lease_s": 3600, **body}
            return 201, self.subnets[body["name"]]
        if not rest:
            return 200, self._page(list(self.subnets.values()), query)
        if rest[0] not in self.subnets:
            raise Refusal(404, "not-found", f"there is no subnet {rest[0]!r}")
        return (204, self.subnets.pop(rest[0]) and None) if method == "DELETE" else (200, self.subnets[rest[0]])

    def _sightings(self, method: str, rest: list[str], query: dict[str, str], _body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            self.sightings = [item for item in self.sightings if item["mac"] != rest[0]]
            return 204, None
        return 200, self._page(self.sightings, query)

    def _leases(self, _method: str, _rest: list[str], query: dict[str, str], _body: Any) -> tuple[int, Any]:
        lease = {
            "address": "10.20.0.7",
            "mac": "52:54:00:00:00:01",
            "hostname": "n1",
            "subnet": "r1",
            "expires_at": NOW,
        }
        return 200, self._page([lease], query)

    def _flows(self, _method: str, rest: list[str], query: dict[str, str], _body: Any) -> tuple[int, Any]:
        step = {"at": NOW, "step": "check image", "kind": "step.done", "message": "ok", "duration_s": 0.2}
        flow = {"uuid": "f-1", "kind": "deploy", "node": "n1", "status": "active", "step": "write image",
                "waiting": {"for": "agent.command"}, "deadline": NOW, "steps": [step]}  # fmt: skip
        return (200, flow) if rest else (200, self._page([flow], query))

    def _events(self, _method: str, _rest: list[str], query: dict[str, str], _body: Any) -> tuple[int, Any]:
        limit = int(query.get("limit") or query.get("last") or "200")
        after = int(query.get("after", "0"))
        fit = [event for event in self.events if query.get("node") in {None, event["node"]}]
        items = fit[-limit:] if "last" in query else [event for event in fit if event["id"] > after][:limit]
        return 200, {"items": items, "next": items[-1]["id"] if items else after}

    def _page(self, items: list[Json], query: dict[str, str]) -> Json:
        start = int(query.get("marker") or 0)
        end = start + min(self.page, int(query.get("limit") or self.page))
        return {"items": items[start:end], "next": str(end) if end < len(items) else None}


def _fits(node: Json, query: dict[str, str]) -> bool:
    return (
        query.get("state") in {None, node["provision_state"]}
        and query.get("driver") in {None, node["driver"]}
        and query.get("rack") in {None, node["rack"]}
        and query.get("name") in {None, node["name"]}
        and ("mac" not in query or query["mac"] in node["macs"])
    )


def _masked(bmc: Json) -> Json:
    return {**bmc, "password": "******" if bmc.get("password") else None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: FakeApi

    def _serve(self) -> None:
        where = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(where.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_json = "json" in (self.headers.get("Content-Type") or "")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if where.path.endswith("/console") and token in self.api.tokens:
            return self._stream(self.api.console)
        try:
            body = json.loads(raw) if is_json and raw else raw
            status, document = self.api.answer(self.command, where.path, query, body, token)
        except Refusal as refusal:
            status, document = refusal.status, refusal.body
        payload = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        return None

    def _stream(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for block in (text[at : at + 7] for at in range(0, len(text), 7)):
            self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  (http.server's names)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """Silence: the tests read `FakeApi.requests`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests do."""


@contextlib.contextmanager
def serving(api: FakeApi, directory: Path, *, port: int = 0) -> Iterator[tuple[str, Path]]:
    """Serve it on a loopback port: (URL, CA file)."""
    ca, bundle = make_certificate(directory)
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"api": api}))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", ca
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """(certificate to trust, certificate with key to serve); made once per directory."""
    ca, bundle = directory / "ca.pem", directory / "server.pem"
    if bundle.exists():
        return ca, bundle
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake appliance")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    bundle.write_bytes(private + ca.read_bytes())
    return ca, bundle
