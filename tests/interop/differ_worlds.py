"""Two servers that are asked the same: a real Ironic, and the appliance. Each keeps what its own answers named.

What is asked is data (tests.interop.differ_asks): an Ask, a Force (a node is put into a state, behind the server's
back: some states last too short to be met otherwise) or a Settle (wait for a node to come to rest). `<name>` in a
path, a body or a header stands for the uuid of what an earlier answer made, in each world its own.
"""

import http.client
import json
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.bench import bench_api_ironic, ironic_server
from tests.fakes import serving

VERSION = "X-OpenStack-Ironic-API-Version"
_SAFE = "/?&=%,:~{}+"
_NAME = re.compile(r"<([a-z][a-z0-9_]*)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """keep: the name under which the answer's uuid (or name) is known afterwards. raw: a body that is no JSON."""

    method: str
    path: str
    body: Any = None
    version: str | None = "1.110"
    keep: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def __str__(self) -> str:
        said = "" if self.body is None else f" {json.dumps(self.body)}"
        if self.raw is not None:
            said = f" {self.raw!r}"
        more = "".join(f" {name}={value}" for name, value in self.headers.items())
        return f"{self.method} {self.path} @{self.version}{more}{said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    node: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    node: str
    states: tuple[str, ...]
    within_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def value(self) -> Any:
        try:
            return json.loads(self.raw)
        except ValueError:
            return None


class World:
    """origin: what links begin with. database: a file of SQLite; table: where the nodes are in there."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        database: Path,
        table: str,
        headers: Mapping[str, str] | None = None,
        ca: str | None = None,
    ) -> None:
        where = urlsplit(url)
        self.name, self.origin = name, url
        self.kept: dict[str, str] = {}
        self._host, self._port, self._base = where.hostname or "", where.port, where.path
        self._headers, self._database, self._table = dict(headers or {}), database, table
        self._tls = ssl.create_default_context(cafile=ca) if where.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, one: Ask) -> Answer:
        headers = {"Accept": "application/json", **self._headers}
        headers |= {name: self._said(value) for name, value in one.headers.items()}
        if one.version is not None:
            headers[VERSION] = one.version
        data = one.raw
        if data is None and one.body is not None:
            data = self._said(json.dumps(one.body)).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        answer = self._call(one.method, self._base + quote(self._said(one.path), safe=_SAFE), data, headers)
        made = answer.value
        if one.keep and answer.status < 300 and isinstance(made, dict):
            self.kept[one.keep] = str(made.get("uuid") or made.get("name"))
        return answer

    def _said(self, text: str) -> str:
        return _NAME.sub(lambda found: self.kept.get(found[1], found[0].strip("<>")), text)

    def force(self, one: Force) -> None:
        with sqlite3.connect(self._database, timeout=30) as connection:
            connection.execute(
                f"UPDATE {self._table} SET provision_state = ? WHERE uuid = ?", (one.state, self.kept.get(one.node))
            )
        connection.close()

    def settle(self, one: Settle) -> str:
        ends = time.monotonic() + one.within_s
        while True:
            shown = self.ask(Ask(method="GET", path=f"/v1/nodes/<{one.node}>")).value or {}
            state = str(shown.get("provision_state"))
            if (state in one.states and not shown.get("reservation")) or time.monotonic() > ends:
                return state
            time.sleep(0.05)

    def _call(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        for is_last in (False, True):  # a server may close a kept connection at any time
            if self._connection is None:
                self._connection = self._connect()
            try:
                self._connection.request(method, path, data, dict(headers))
                answer = self._connection.getresponse()
                raw = answer.read()
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if is_last:
                    raise
                continue
            shown = {name.lower(): value for name, value in answer.getheaders()}
            if answer.will_close:
                self.close()
            return Answer(status=answer.status, headers=shown, raw=raw)
        raise AssertionError

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=120)
        return http.client.HTTPSConnection(self._host, self._port, timeout=120, context=self._tls)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def ironic(folder: Path) -> Iterator[World]:
    """Ironic as the speed is measured against it: fake hardware, no authentication."""
    with ironic_server.running(bench_api_ironic.BUILDS, folder) as it:
        scope = {"OpenStack-System-Scope": "all", "X-Roles": "admin"}  # without: a project's, who may own little
        world = World(
            "ironic", it.target.url, database=folder / "ironic" / "ironic.sqlite", table="nodes", headers=scope
        )
        try:
            yield world
        finally:
            world.close()


@contextmanager
def ours(folder: Path) -> Iterator[World]:
    """`rackwright serve`, asked by an administrator of the system."""
    with serving.appliance(folder, settings={"log": {"level": "warning"}}) as it:
        headers = {"X-Auth-Token": bench_api_ironic.token(it)}
        file = folder / "state" / "rackwright.db"
        world = World("ours", f"{it.url}/baremetal", database=file, table="node", headers=headers, ca=str(it.ca))
        try:
            yield world
        finally:
            world.close()
