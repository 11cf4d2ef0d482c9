"""A Redfish service on an HTTPS socket, in front of a `Machine`: sessions, power, boot order, readings, log, LED.

It keeps to DSP0266 where drivers stumble: a session token or Basic on each request, ETags that must match, errors with
extended information. `Weather` spoils answers on demand.
"""

import base64
import binascii
import hmac
import json
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from bmc.types import BootDevice
from bmc.virtual.needs import Machine

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
RESETS = {"On": "power_on", "ForceOff": "power_off", "GracefulShutdown": "soft_off", "ForceRestart": "reset",
          "PowerCycle": "reset", "Nmi": "pulse_nmi"}  # fmt: skip
DEVICES = {"None": BootDevice.NONE, "Pxe": BootDevice.PXE, "Hdd": BootDevice.DISK, "Cd": BootDevice.CDROM,
           "BiosSetup": BootDevice.BIOS}  # fmt: skip
Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Weather:
    """What goes wrong. status: every answer; raw: the bytes of every answer; is_deaf: boot orders are not obeyed."""

    status: int | None = None
    raw: bytes | None = None
    delay_s: float = 0.0
    drip_s: float = 0.0
    location: str | None = None
    is_deaf: bool = False
    has_sessions: bool = True


class _Failure(Exception):
    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _State:
    machine: Machine
    users: Mapping[str, str]
    weather: Weather
    lock: threading.Lock = field(default_factory=threading.Lock)
    boot: Json = field(
        default_factory=lambda: {
            "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
        }
    )  # fmt: skip
    is_lit: bool = False
    version: int = 1
    tokens: dict[str, str] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)


class VirtualRedfish:
    """`start` binds address:tcp_port (0 = any free one, then read `tcp_port`)."""

    def __init__(
        self, machine: Machine, *, address: str, tcp_port: int = 0, users: Mapping[str, str], tls: ssl.SSLContext,
    ) -> None:  # fmt: skip
        self.address, self.tcp_port = address, tcp_port
        self.weather = Weather()
        self._state = _State(machine=machine, users=users, weather=self.weather)
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, path) of everything asked so far."""
        return self._state.requests

    def drop_sessions(self) -> None:
        """As if the BMC had restarted."""
        self._state.tokens.clear()

    @property
    def open_sessions(self) -> int:
        return len(self._state.tokens)

    def start(self) -> None:
        state = self._state

        class Bound(_Handler):
            service = state

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
    service: _State
    protocol_version = "HTTP/1.1"
    timeout = 20
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
        body = json.loads(self.rfile.read(length)) if length else {}
        path = self.path.rstrip("/")
        weather = self.service.weather
        time.sleep(weather.delay_s)
        with self.service.lock:
            self.service.requests.append((method, path))
            try:
                status, answer, headers = self._answer(method, path, body)
            except _Failure as failure:
                told = {"@Message.ExtendedInfo": [{"Message": str(failure)}], "message": str(failure)}
                status, answer, headers = failure.status, {"error": told}, {}
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
            time.sleep(weather.drip_s)

    def _answer(self, method: str, path: str, body: Json) -> tuple[int, Json, dict[str, str]]:
        state = self.service
        if state.weather.status is not None:
            raise _Failure(state.weather.status)
        if path == SESSIONS and method == "POST":
            return self._log_in(body)
        if path == ROOT:
            return 200, {"@odata.id": f"{ROOT}/", "RedfishVersion": "1.15.0"}, {}
        self._demand_login()
        if method == "DELETE" and path.startswith(SESSIONS):
            gone = [token for token, place in state.tokens.items() if place == path]
            for token in gone:
                del state.tokens[token]
            return 204, {}, {}
        if method == "GET":
            return 200, self._resource(path), {"ETag": f'"{state.version}"'} if path == SYSTEM else {}
        if method == "PATCH" and path == SYSTEM:
            return self._change(body)
        if method == "POST" and path == f"{SYSTEM}/Actions/ComputerSystem.Reset":
            return self._reset(str(body.get("ResetType")))
        raise _Failure(405, "The method is not allowed here.")

    def _log_in(self, body: Json) -> tuple[int, Json, dict[str, str]]:
        state = self.service
        if not state.weather.has_sessions:
            raise _Failure(404, "There is no session service.")
        self._demand_password(str(body.get("UserName")), str(body.get("Password")))
        token, place = secrets.token_hex(16), f"{SESSIONS}/{secrets.token_hex(4)}"
        state.tokens[token] = place
        return 201, {"@odata.id": place}, {"X-Auth-Token": token, "Location": place}

    def _demand_login(self) -> None:
        if self.headers.get("X-Auth-Token", "") in self.service.tokens:
            return
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            raise _Failure(401, "Log in first.")
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _Failure(401, "Log in first.") from error
        self._demand_password(name, password)

    def _demand_password(self, name: str, password: str) -> None:
        wanted = self.service.users.get(name)
        if wanted is None or not hmac.compare_digest(wanted.encode(), password.encode()):
            raise _Failure(401, "The user name or password is wrong.")

    def _reset(self, kind: str) -> tuple[int, Json, dict[str, str]]:
        state = self.service
        if kind not in RESETS:
            raise _Failure(400, f"The value {kind} for ResetType is not known.")
        was_on = state.machine.is_on()
        getattr(state.machine, RESETS[kind])()
        is_start = state.machine.is_on() and kind != "Nmi" and (not was_on or kind != "On")
        if is_start and state.boot["BootSourceOverrideEnabled"] == "Once":
            state.boot |= {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
        state.version += 1
        words = {"On": "turned on", "ForceOff": "turned off"}.get(kind, kind)
        created = datetime.fromtimestamp(time.time(), UTC).isoformat()
        state.events.append(
            {
                "Id": str(len(state.events) + 1), "Created": created, "EntryType": "SEL",
                "Severity": "OK", "Message": f"Power {words}", "SensorType": "System Power",
            }
        )  # fmt: skip
        return 204, {}, {}

    def _change(self, body: Json) -> tuple[int, Json, dict[str, str]]:
        state = self.service
        if self.headers.get("If-Match") != f'"{state.version}"':
            raise _Failure(412, "The resource has changed since it was read.")
        if "LocationIndicatorActive" in body:
            state.is_lit = bool(body["LocationIndicatorActive"])
        boot = body.get("Boot", {})
        if boot.get("BootSourceOverrideTarget", "None") not in DEVICES:
            raise _Failure(400, "The boot source is not known.")
        if not state.weather.is_deaf:
            state.boot |= boot
        device = DEVICES[state.boot["BootSourceOverrideTarget"]]
        enabled = state.boot["BootSourceOverrideEnabled"]
        state.machine.set_boot_order(
            once=device if enabled == "Once" else None,
            persistent=device if enabled == "Continuous" else BootDevice.NONE,
        )
        state.version += 1
        return 204, {}, {}

    def _resource(self, path: str) -> Json:
        makers = {
            f"{ROOT}/Systems": lambda: _collection(SYSTEM),
            SYSTEM: self._system,
            f"{ROOT}/Managers/1": _manager,
            f"{ROOT}/Managers/1/EthernetInterfaces": lambda: _collection(f"{ROOT}/Managers/1/EthernetInterfaces/1"),
            f"{ROOT}/Managers/1/EthernetInterfaces/1": _interface,
            f"{ROOT}/Managers/1/LogServices": lambda: _collection(f"{ROOT}/Managers/1/LogServices/Sel"),
            f"{ROOT}/Managers/1/LogServices/Sel": lambda: {
                "Entries": {"@odata.id": f"{ROOT}/Managers/1/LogServices/Sel/Entries"}
            },
            f"{ROOT}/Managers/1/LogServices/Sel/Entries": lambda: {"Members": list(self.service.events)},
            f"{ROOT}/Chassis/1": lambda: {
                part: {"@odata.id": f"{ROOT}/Chassis/1/{part}"} for part in ("Thermal", "Power")
            },
            f"{ROOT}/Chassis/1/Thermal": self._thermal,
            f"{ROOT}/Chassis/1/Power": self._power,
        }
        if path not in makers:
            raise _Failure(404, "There is no such resource.")
        return makers[path]()

    def _system(self) -> Json:
        state = self.service
        return {
            "@odata.id": SYSTEM, "Id": "1", "UUID": "12345678-1234-4234-8234-123456789abc",
            "Manufacturer": "Rackwright", "Model": "vnode", "SerialNumber": "SN-0001",
            "PowerState": "On" if state.machine.is_on() else "Off", "Boot": dict(state.boot),
            "LocationIndicatorActive": state.is_lit,
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": f"{SYSTEM}/Actions/ComputerSystem.Reset",
                    "ResetType@Redfish.AllowableValues": list(RESETS),
                }
            },
            "Links": {
                "ManagedBy": [{"@odata.id": f"{ROOT}/Managers/1"}], "Chassis": [{"@odata.id": f"{ROOT}/Chassis/1"}]
            },
        }  # fmt: skip

    def _thermal(self) -> Json:
        is_on, fine = self.service.machine.is_on(), {"State": "Enabled", "Health": "OK"}
        return {
            "Temperatures": [{"Name": "Inlet Temp", "ReadingCelsius": 23.0, "Status": fine}],
            "Fans": [{"Name": "Fan 1", "Reading": 5400 if is_on else 0, "ReadingUnits": "RPM", "Status": fine}],
        }

    def _power(self) -> Json:
        return {"PowerControl": [{"Name": "Chassis", "PowerConsumedWatts": 180 if self.service.machine.is_on() else 7}]}


def _collection(*paths: str) -> Json:
    return {"Members": [{"@odata.id": path} for path in paths], "Members@odata.count": len(paths)}


def _manager() -> Json:
    below = f"{ROOT}/Managers/1"
    return {
        "@odata.id": below, "FirmwareVersion": "1.00",
        "EthernetInterfaces": {"@odata.id": f"{below}/EthernetInterfaces"},
        "LogServices": {"@odata.id": f"{below}/LogServices"},
    }  # fmt: skip


def _interface() -> Json:
    address = {"Address": "10.0.0.5", "SubnetMask": "255.255.255.0", "Gateway": "10.0.0.1", "AddressOrigin": "Static"}
    return {"MACAddress": "52:54:00:12:34:56", "IPv4Addresses": [address]}
