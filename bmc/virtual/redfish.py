"""A Redfish service on an HTTPS socket, in front of a `Machine`: sessions, power, boot order, media, readings, lights.

It keeps to DSP0266 where drivers stumble: a session token or Basic on each request, ETags that must match, errors with
extended information. `Weather` spoils answers on demand; `Manners` make it answer as other makers' services do.
"""

import base64
import binascii
import hmac
import json
import secrets
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from bmc.virtual import redfish_resources as resources
from bmc.virtual import redfish_state as acts
from bmc.virtual.needs import Machine
from bmc.virtual.redfish_state import (
    RESET,
    ROOT,
    SECURE_BOOT,
    SESSION_SERVICE,
    SESSIONS,
    SYSTEM,
    Json,
    Manners,
    Refusal,
    State,
    Weather,
)

TASKS = f"{ROOT}/TaskService/TaskMonitors"
Reply = tuple[int, Json, dict[str, str]]


class VirtualRedfish:
    """`start` binds address:tcp_port (0 = any free one, then read `tcp_port`)."""

    def __init__(
        self, machine: Machine, *, address: str, tcp_port: int = 0, users: Mapping[str, str], tls: ssl.SSLContext,
        manners: Manners | None = None,
    ) -> None:  # fmt: skip
        self.address, self.tcp_port = address, tcp_port
        self.weather = Weather()
        self.manners = manners or Manners()
        self.state = State(machine=machine, users=users, weather=self.weather, manners=self.manners)
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, path) of everything asked so far."""
        return self.state.requests

    def drop_sessions(self) -> None:
        """As if the BMC had restarted."""
        self.state.tokens.clear()

    @property
    def open_sessions(self) -> int:
        return len(self.state.tokens)

    def start(self) -> None:
        state, ends = self.state, threading.Event()

        class Bound(_Handler):
            service, over = state, ends

        self._over = ends

        self._server = ThreadingHTTPServer((self.address, self.tcp_port), Bound)
        self._server.daemon_threads = True
        self._server.socket = self._tls.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.tcp_port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._over.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    """over: set when the service stops; who sleeps for the weather's sake wakes then."""

    service: State
    over: threading.Event
    protocol_version = "HTTP/1.1"
    timeout = 120
    wbufsize = 65536  # one packet per answer, not one for the head that then waits to be acknowledged

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (the name is http.server's)
        """Tests read `requests` instead."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # a client that hangs up or whose TLS does not trust us
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        given = self.rfile.read(length)
        url = urlsplit(self.path)
        path = url.path.rstrip("/")
        weather = self.service.weather
        self.over.wait(weather.delay_s)
        with self.service.lock:
            self.service.requests.append((method, path))
            try:
                status, answer, headers = self._answer(method, path, _body(given))
            except Refusal as failure:
                about = {"MessageArgs": [failure.about], "RelatedProperties": [f"#/{failure.about}"]}
                told = {"MessageId": failure.message_id, "Message": str(failure), **(about if failure.about else {})}
                error = {"code": failure.message_id, "message": str(failure), "@Message.ExtendedInfo": [told]}
                status, answer, headers = failure.status, {"error": error}, {}
        raw = weather.raw if weather.raw is not None else b"" if status == 204 else json.dumps(answer).encode()
        self._reply(status, raw, headers)

    def _reply(self, status: int, raw: bytes, headers: Mapping[str, str]) -> None:
        weather = self.service.weather
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if weather.location is not None:
            self.send_header("Location", weather.location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if not weather.drip_s:
            self.wfile.write(raw)
            return
        for number in range(len(raw)):
            self.wfile.write(raw[number : number + 1])
            self.wfile.flush()
            if self.over.wait(weather.drip_s):
                return

    def _answer(self, method: str, path: str, body: Json) -> Reply:
        state = self.service
        if state.weather.status is not None:
            raise Refusal(state.weather.status)
        if state.manners.slash and not urlsplit(self.path).path.endswith("/"):
            return 308, {}, {"Location": f"{path}/"}
        if path == SESSIONS and method == "POST":
            return self._log_in(body)
        if method == "GET" and path in (ROOT, SESSION_SERVICE):
            return 200, resources.show(state, path), {}
        self._demand_login()
        if method == "GET":
            return self._show(path)
        return {"PATCH": self._change, "POST": self._act, "DELETE": self._log_out}[method](path, body)

    def _log_out(self, path: str, _body: Json) -> Reply:
        tokens = self.service.tokens
        for token in [token for token, place in tokens.items() if place == path]:
            del tokens[token]
        return 204, {}, {}

    def _show(self, path: str) -> Reply:
        state = self.service
        if path.startswith(f"{TASKS}/"):
            return self._task(path)
        if path.startswith(f"{ROOT}/Systems/") and path.split("/")[4] != "1":
            raise Refusal(404, "This system is a neighbour's.")
        skip = parse_qs(urlsplit(self.path).query).get("$skip", ["0"])[0]
        shown = resources.show(state, path, int(skip) if skip.isdecimal() else 0)
        mark = {"strong": f'"{state.version}"', "weak": f'W/"{state.version}"', "refused": '"x"'}
        tag = mark.get(state.manners.etag)
        allowed = {"Allow": "GET, PATCH" if self._is_changed(path) else "GET"}
        return 200, shown, {"ETag": tag, **allowed} if tag else allowed

    def _is_changed(self, path: str) -> bool:
        """Whether a PATCH makes sense here; clients read it from `Allow`."""
        manners, media = self.service.manners, acts.media_root(self.service)
        is_drive = path.startswith(f"{media}/") and manners.media_by == "change"
        return is_drive or path in (SYSTEM, f"{SYSTEM}/Settings", SECURE_BOOT)

    def _task(self, path: str) -> Reply:
        """Running for so many looks; then its end once, and it is forgotten."""
        state = self.service
        if path not in state.tasks:
            raise Refusal(404, "There is no such task.")
        state.tasks[path] -= 1
        if state.tasks[path] > 0:
            return 202, {"TaskState": "Running"}, {"Location": path, "Retry-After": "1"}
        del state.tasks[path]
        return 200, {"TaskState": state.manners.task_state}, {}

    def _log_in(self, body: Json) -> Reply:
        state = self.service
        if not state.weather.has_sessions:
            raise Refusal(401 if state.manners.guarded else 404, "There is no session service.")
        self._demand_password(str(body.get("UserName")), str(body.get("Password")))
        if len(state.tokens) >= state.manners.sessions:
            raise Refusal(400, "No session is free.", message_id="Base.1.18.SessionLimitExceeded")
        token, place = secrets.token_hex(16), f"{SESSIONS}/{secrets.token_hex(4)}"
        state.tokens[token] = place
        return 201, {"@odata.id": place, "Id": "1", "Name": "session"}, {"X-Auth-Token": token, "Location": place}

    def _demand_login(self) -> None:
        if self.headers.get("X-Auth-Token", "") in self.service.tokens:
            return
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            raise Refusal(401, "Log in first.")
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refusal(401, "Log in first.") from error
        self._demand_password(name, password)

    def _demand_password(self, name: str, password: str) -> None:
        wanted = self.service.users.get(name)
        if wanted is None or not hmac.compare_digest(wanted.encode(), password.encode()):
            raise Refusal(401, "The user name or password is wrong.")

    def _act(self, path: str, body: Json) -> Reply:
        state = self.service
        drive, _, action = path.removeprefix(f"{acts.media_root(state)}/").partition("/Actions/")
        if path == RESET:
            acts.reset(state, body)
        elif path.startswith(acts.media_root(state)) and action:
            acts.media_act(state, drive, action, body)
        else:
            raise Refusal(405, "The method is not allowed here.")
        return self._done()

    def _change(self, path: str, body: Json) -> Reply:
        state = self.service
        drive = path.removeprefix(f"{acts.media_root(state)}/")
        self._demand_etag()
        if not self._is_changed(path):
            raise Refusal(405, "The method is not allowed here.")
        if path != drive:
            acts.media_change(state, drive, body)
        else:
            acts.change(state, path, body)
        return self._done()

    def _demand_etag(self) -> None:
        """A weak ETag never matches strongly, as RFC 9110 §13.1.1 has it."""
        given, manner = self.headers.get("If-Match"), self.service.manners.etag
        if manner in ("none", "refused"):
            is_fine = (given == "*") if manner == "none" else given is None
        else:
            is_fine = given == f'"{self.service.version}"'
        if not is_fine:
            missing = given is None and manner == "none"
            raise Refusal(428 if missing else 412, "The resource has changed since it was read.")

    def _done(self) -> Reply:
        state = self.service
        state.version += 1
        if not state.manners.tasks:
            return 204, {}, {}
        place = f"{TASKS}/{secrets.token_hex(4)}"
        state.tasks[place] = state.manners.tasks
        return 202, {"@odata.id": place, "TaskState": "New"}, {"Location": place}


def _body(given: bytes) -> Json:
    try:
        found = json.loads(given) if given else {}
    except ValueError as error:
        raise Refusal(400, "The body is not JSON.", message_id="Base.1.18.MalformedJSON") from error
    if not isinstance(found, dict):
        raise Refusal(400, "The body is not an object.")
    return found
