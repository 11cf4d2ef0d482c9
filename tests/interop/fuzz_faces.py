"""Ask the OpenStack faces what no client would ask: `make fuzz-faces`.

    python -m tests.interop.fuzz_faces [--seconds 600] [--seed N] [--database postgresql]

A throw-away appliance is made. First each value of each good body (fuzz_examples.py) is replaced by each odd one, and
left out; then routes, things, queries, versions and bodies are drawn at random until the time is over, as an
administrator and as a member of a project. No answer may be a 5xx or hold a traceback, each refusal has its face's
shape, and the log stays free of tracebacks. The exit code is 1 when something was found; each finding is printed with
its request.
"""

import argparse
import contextlib
import copy
import http.client
import itertools
import json
import random
import ssl
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.fakes import postgres_server
from tests.fakes import served as fake
from tests.fakes.served import Served
from tests.interop.fuzz_api import furnish
from tests.interop.fuzz_examples import BODIES, ODD, PATCHED, PATHS, QUERIES, RAW, VERBS, VERSIONS

ABSENT = object()
"""Instead of an odd value: none at all."""
LEFT_OUT = {("POST", "/identity/v3/auth/tokens")}
"""Wrong passwords lock the account and cost time by design; asked by its values alone."""
MEMBER = {"name": "fuzz-member", "password": "Member-password-1"}

Route = tuple[str, str]
"""Method and path."""


class Face:
    """One connection, tokens of two people, and what was found."""

    def __init__(self, appliance: Served, chance: random.Random) -> None:
        self.appliance, self.chance = appliance, chance
        self.tls = ssl.create_default_context(cafile=str(appliance.state / "tls" / "ca.pem"))
        self.tokens = [str(appliance.token)]
        self.things: dict[str, list[str]] = defaultdict(list)
        self.numbers = itertools.count()
        self.counts: Counter[int] = Counter()
        self.findings: dict[tuple[str, str, str], str] = {}
        self.connection: http.client.HTTPSConnection | None = None

    def send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes, str]:
        if self.connection is None:
            port = self.appliance.ports.api
            self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.tls, timeout=60)
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, body, answer.headers.get_content_type()

    def send_patiently(self, *request: Any) -> tuple[int, bytes, str]:
        """Once more, when a connection broke: who is refused with a large body under way may be cut off."""
        try:
            return self.send(*request)
        except (OSError, http.client.HTTPException):
            self.close()
        return self.send(*request)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def ask(self, route: Route, path: str, body: Any = None, *, raw: bytes | None = None, member: bool = False) -> None:
        """Ask, look at the answer, and remember what was made."""
        headers = {
            "Accept": "application/json", "Content-Type": _content_type(route),
            "X-Auth-Token": self.tokens[-1 if member else 0],
            "X-OpenStack-Ironic-API-Version": "1.112" if raw is None and self.chance.random() < 0.8
            else self.chance.choice(VERSIONS),
        }  # fmt: skip
        data = raw if raw is not None or body is None else json.dumps(body).encode("utf-8", "surrogatepass")
        try:
            status, said, kind = self.send_patiently(route[0], path, data, headers)
        except (OSError, http.client.HTTPException) as cause:
            self.close()
            status, said, kind = 0, repr(cause).encode(), ""
        self.counts[status] += 1
        fault = _fault(route, status, said, kind)
        if fault:
            known = (*route, fault)
            if known not in self.findings:
                shown = (data or b"")[:600].decode(errors="replace")
                self.findings[known] = f"{route[0]} {path[:300]}\n  body {shown}\n  answer {status} {said[:400]!r}"
        elif route[0] == "POST" and status in (200, 201):
            self._remember(route[1].rpartition("/")[2], said)

    def _remember(self, word: str, said: bytes) -> None:
        """What was made is the answer itself, or is in it below a word, alone or as one of several."""
        made = json.loads(said)
        if not self._is_known_by(word, made):
            for value in made.values():
                for item in value if isinstance(value, list) else [value]:
                    self._is_known_by(word, item)

    def _is_known_by(self, word: str, made: Any) -> bool:
        names = [made.get(key) for key in ("uuid", "id", "namespace", "name")] if isinstance(made, dict) else []
        found = [name for name in names if isinstance(name, str)][:1]
        self.things[word] += found
        return bool(found)

    def thing(self, word: str) -> str:
        return self.chance.choice(self.things.get(word) or ["nobody"])

    def filled(self, text: str) -> str:
        """The JSON of a body, with things where it names words."""
        number = next(self.numbers)
        text = text.replace("{n}", str(number)).replace("{m}", f"{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:"
                            f"{number & 255:02x}:{number >> 24 & 255:02x}")  # fmt: skip
        for word in ("nodes", "ports", "portgroups", "chassis", "projects", "services", "regions", "runbooks"):
            if "{" + word + "}" in text:
                text = text.replace("{" + word + "}", json.dumps(self.thing(word))[1:-1])
        return text

    def good(self, route: Route) -> Any:
        """The route's good body; of a patch a random one; None when it takes none."""
        if route in BODIES:
            return json.loads(self.filled(json.dumps(BODIES[route])))
        if route[0] == "PATCH" and route[1] in PATCHED:
            ways = [(self.chance.choice(("add", "replace", "remove", "test", "move", "x")),
                     self.chance.choice(PATCHED[route[1]])) for _ in range(self.chance.randint(1, 3))]  # fmt: skip
            return [{"op": way, "path": path, "value": self.chance.choice(ODD)} for way, path in ways]
        return None

    def path(self, route: Route, *, is_odd: float = 0.0) -> str:
        """The route's path, with things that were made before where it has parameters."""
        parts, before = [], ""
        for part in route[1].split("/"):
            if not part.startswith("{"):
                parts.append(part)
                before = part
                continue
            text = self.chance.choice(PATHS) if self.chance.random() < is_odd else self._named(part, before)
            parts.append(_quoted(text))
        return "/".join(parts)

    def _named(self, part: str, before: str) -> str:
        if part in ("{trait}", "{tag}", "{value}", "{vif}", "{member}", "{light}", "{setting}"):
            return {"{trait}": "CUSTOM_A", "{light}": "led@chassis"}.get(part, "a")
        return self.thing("roles" if part in ("{prior_id}", "{implied_id}") else before)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _content_type(route: Route) -> str:
    if route[1].endswith(("/file", "/stage")):
        return "application/octet-stream"
    is_image = route[0] == "PATCH" and route[1].startswith("/image")
    return "application/openstack-images-v2.1-json-patch" if is_image else "application/json"


def _fault(route: Route, status: int, said: bytes, kind: str) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if status == 0 or status >= 500:
        return f"status {status}"
    if b"Traceback" in said:
        return "a traceback in the answer"
    try:
        if kind == "application/json" and said:
            json.loads(said)
        if status >= 400 and route[0] != "HEAD" and status != HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            _look_at_refusal(route[1], status, kind, json.loads(said))
    except (AssertionError, KeyError, TypeError, ValueError):
        return f"an answer ({status}) in another shape"
    return ""


def _look_at_refusal(path: str, status: int, kind: str, body: Any) -> None:
    """Raises what `_fault` takes for another shape. A head that is too large is for no face yet, so not here."""
    assert kind == "application/json"
    if path.startswith("/image"):
        assert body["code"].startswith(f"{status} ")
        assert isinstance(body["message"], str)
    elif path.startswith("/identity"):
        assert body["error"]["code"] == status
        assert isinstance(body["error"]["message"], str)
    elif status != HTTPStatus.UNAUTHORIZED:  # said by the middleware of identity, not by this face
        assert isinstance(json.loads(body["error_message"]), dict)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a value of JSON has values in it, itself left out."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


def altered(body: Any, at: tuple[str | int, ...], odd: Any) -> Any:
    """The body with another value at a place, or with none. Raises LookupError when there is no such place."""
    body = copy.deepcopy(body)
    inner = body
    for key in at[:-1]:
        inner = inner[key]
    if odd is ABSENT:
        del inner[at[-1]]
    else:
        inner[at[-1]] = odd
    return body


def value_by_value(face: Face, routes: list[Route], ends_at: float) -> None:
    """Each value of each good body is each odd one, in random order."""
    wanted = [(route, at, odd) for route in routes if route in BODIES
              for at in places(BODIES[route]) for odd in (*ODD, ABSENT)]  # fmt: skip
    face.chance.shuffle(wanted)
    for route, at, odd in wanted:
        if time.monotonic() > ends_at:
            return
        face.ask(route, face.path(route), altered(face.good(route), at, odd))


def at_random(face: Face, routes: list[Route], ends_at: float) -> None:
    chance = face.chance
    while time.monotonic() < ends_at:
        route = chance.choice(routes)
        if route in LEFT_OUT or (route[0] == "DELETE" and chance.random() < 0.7):
            continue
        path = face.path(route, is_odd=0.1)
        if chance.random() < 0.3:
            query = chance.choice(QUERIES).replace("{any}", _quoted(face.thing(chance.choice(sorted(face.things)))))
            path += "?" + (query if chance.random() < 0.8 else _quoted(str(chance.choice(ODD))))
        body, raw = face.good(route), None
        for at in chance.sample(spots := list(places(body)), k=min(len(spots), chance.choice((0, 0, 1, 2)))):
            with contextlib.suppress(LookupError, TypeError):
                body = altered(body, at, ABSENT if chance.random() < 0.2 else chance.choice(ODD))
        if isinstance(body, dict) and route[1].endswith("/provision") and chance.random() < 0.7:
            body = {"target": chance.choice(VERBS)}
        if route[0] in ("POST", "PUT", "PATCH") and (chance.random() < 0.03 or route[1].endswith(("/file", "/stage"))):
            raw = chance.choice(RAW)
        face.ask(route, path, body, raw=raw, member=chance.random() < 0.2)


def begin(face: Face) -> list[Route]:
    """The second person, some things of each kind; the routes of the faces."""
    made = face.appliance
    known = {"nodes": furnish(made)["nodes"], "drivers": ["fake-hardware", "ipmi"], "images": []}
    face.things.update(known)
    listed = made.get("/v1/routes")["faces"]
    routes = [(one["method"], one["path"]) for each in listed if each["face"] != "v1" for one in each["routes"]]
    for route in sorted(route for route in BODIES if route[0] == "POST" and "{" not in route[1]):
        if route not in LEFT_OUT:
            face.ask(route, route[1], face.good(route))
    _add_member(face)
    return sorted(routes)


def _add_member(face: Face) -> None:
    def call(method: str, path: str, body: Any) -> Any:
        token = {"X-Auth-Token": face.tokens[0], "Content-Type": "application/json"}
        status, said, _ = face.send(method, f"/identity/v3{path}", json.dumps(body).encode(), token)
        assert status < 300, said
        return json.loads(said) if said else None

    user = call("POST", "/users", {"user": {**MEMBER, "domain_id": "default"}})["user"]["id"]
    project = call("POST", "/projects", {"project": {"name": "fuzz", "domain_id": "default"}})["project"]["id"]
    roles = json.loads(face.send("GET", "/identity/v3/roles?name=member", None, {"X-Auth-Token": face.tokens[0]})[1])
    call("PUT", f"/projects/{project}/users/{user}/roles/{roles['roles'][0]['id']}", {})
    proof = {"methods": ["password"], "password": {"user": {"id": user, "password": MEMBER["password"]}}}
    wish = json.dumps({"auth": {"identity": proof, "scope": {"project": {"id": project}}}})
    connection = http.client.HTTPSConnection("127.0.0.1", face.appliance.ports.api, context=face.tls, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/identity/v3/auth/tokens", wish, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 201, said
        face.tokens.append(str(answer.headers["X-Subject-Token"]))


def run(appliance: Served, *, seconds: float, seed: int) -> int:
    """How many findings there are. The first half of the time, at most, goes value by value."""
    face = Face(appliance, random.Random(seed))
    with contextlib.closing(face):
        routes = begin(face)
        start = time.monotonic()
        value_by_value(face, routes, start + seconds / 2)
        at_random(face, routes, start + seconds)
    assert appliance.status().get("is_ready"), "the appliance did not outlive it"
    assert face.counts[200], "nothing was ever allowed"
    assert face.counts[201], "nothing was ever made"
    if "Traceback" in (log := appliance.log()):
        face.findings["", "", "log"] = log[log.index("Traceback") :][:3000]
    for finding in face.findings.values():
        print(finding)
    print(f"seed {seed}: {sum(face.counts.values())} requests on {len(routes)} routes, {len(face.findings)} findings")
    print("answers: " + ", ".join(f"{status}: {count}" for status, count in sorted(face.counts.items())))
    return len(face.findings)


@contextlib.contextmanager
def served(folder: Path, database: str) -> Iterator[Served]:
    """An appliance of its own, over `sqlite` or a `postgresql` of its own."""
    with contextlib.ExitStack() as stack:
        url = None
        if database == "postgresql":
            home = stack.enter_context(postgres_server.server(is_durable=False))
            postgres_server.execute(home, "CREATE DATABASE fuzz")
            url = postgres_server.url(home, "fuzz")
        yield stack.enter_context(fake.served(fake.make_state(folder / "state", database_url=url)))


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--seconds", type=float, default=600)
    given.add_argument("--seed", type=int, default=random.randrange(10**6))
    given.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    asked = given.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="rackwright-fuzz-") as name,
        served(Path(name), asked.database) as appliance,
    ):
        return min(1, run(appliance, seconds=asked.seconds, seed=asked.seed))


if __name__ == "__main__":
    sys.exit(main())
