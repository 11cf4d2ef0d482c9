"""The CSV of machines for `node enroll --file`: bytes in, machines and problems out. Pure.

Every bad line is reported, with its number and a reason; the good ones are kept. Reasons never repeat what a cell holds
(save for names): in a row that slipped by one column, any cell may be a password.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.main.cli.exits import usage

Json = dict[str, Any]

LARGEST = 16 << 20
MOST_CELLS = 64

COLUMNS = {
    "name": "host name of the node (required)",
    "driver": "ipmi, redfish, manual or fake; the --driver option unless said",
    "bmc_address": "IP address or host name of the BMC",
    "bmc_udp_port": "its port; 623 unless said",
    "bmc_username": "who logs in to the BMC; the --username option unless said",
    "bmc_password": "their password; that of --password-file unless said",
    "macs": "MAC addresses of the network ports, with spaces between",
    "boot_mode": "bios or uefi",
    "resource_class": "what kind of machine it is",
    "rack": "name of its rack",
    "rack_unit": "its lowest unit, counted from the bottom",
}
ALIASES = {
    "bmc": "bmc_address", "bmc_ip": "bmc_address", "ipmi_address": "bmc_address", "port": "bmc_udp_port",
    "bmc_port": "bmc_udp_port", "username": "bmc_username", "user": "bmc_username", "bmc_user": "bmc_username",
    "password": "bmc_password", "mac": "macs", "mac_address": "macs", "mac_addresses": "macs", "unit": "rack_unit",
    "u": "rack_unit", "hostname": "name", "node": "name", "class": "resource_class",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A good line. body: what the API is sent; its password keeps it out of repr."""

    line: int
    name: str
    body: Json = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A bad line. name: as far as it could be told."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """What the file holds. encoding, delimiter: as found."""

    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...]
    encoding: str
    delimiter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the command line says for lines that do not."""

    driver: str = "ipmi"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def read(data: bytes, defaults: Defaults) -> NodeFile:
    """Raises Failure when there is no usable header; everything else is a problem of one line."""
    text, encoding = decode(data)
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter)
    header = _header(rows, delimiter)
    machines: list[Machine] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for line, cells, broken in rows:
        if broken:
            problems.append(Problem(line=line, name="", reason=broken))
            continue
        name, found = _machine(cells, header, defaults)
        if not found.reasons:
            found.reasons += _twice(found.body, line, seen)
        if found.reasons:
            problems.append(Problem(line=line, name=name, reason="; ".join(found.reasons)))
        else:
            machines.append(Machine(line=line, name=name, body=found.body))
    return NodeFile(machines=tuple(machines), problems=tuple(problems), encoding=encoding, delimiter=delimiter)


def decode(data: bytes) -> tuple[str, str]:
    """Text and the encoding found: a byte order mark decides, else UTF-8, else what spreadsheets on Windows write."""
    if len(data) > LARGEST:
        raise usage(f"the file is larger than {LARGEST >> 20} MiB", next_step="split it")
    marks = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError as cause:
        if encoding != "utf-8":
            raise usage(f"the file starts like {encoding} and then is not", why=str(cause.reason)) from cause
    return data.decode("cp1252", "replace"), "cp1252"


def _delimiter(text: str) -> str:
    """The one that the header holds most of."""
    first = next((line for line in text.splitlines() if _says_something(line)), "")
    return max((",", ";", "\t", "|"), key=first.count)


def _says_something(line: str) -> bool:
    bare = line.strip()
    return bool(bare.strip(",;\t|\"' ")) and not bare.startswith("#") and not re.match(r"sep=.\Z", bare)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """(line number of the row's first line, cells, what is wrong with it as CSV)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            yield line, [], f"not CSV: {cause}"
            continue
        if reader.line_num > line and len(cells) > 0 and reader.line_num - line > 1:
            yield line, [], "a quotation mark is opened and closed only lines later"
        elif len(cells) > MOST_CELLS:
            yield line, [], f"{len(cells)} cells"
        elif _says_something(delimiter.join(cells)):
            yield line, [cell.strip() for cell in cells], ""


def _header(rows: Iterator[tuple[int, list[str], str]], delimiter: str) -> list[str]:
    line, cells, broken = next(rows, (1, [], ""))
    if broken or not cells:
        raise usage(
            "the file has no header row", why=broken or "it is empty", next_step=f"first line: {','.join(COLUMNS)}"
        )
    header = [_column(cell, line) for cell in cells]
    while header and header[-1] == "":
        header.pop()
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise usage(f"line {line}: the column {twice[0]} is there twice")
    if "name" not in header:
        raise usage(
            f"line {line}: no column is called name",
            why=f"the first row names the columns, with {delimiter!r} between",
            next_step=f"columns: {', '.join(COLUMNS)}",
        )
    return header


def _column(cell: str, line: int) -> str:
    plain = re.sub(r"[\s\-.]+", "_", cell.strip().lower())
    known = ALIASES.get(plain, plain)
    if known and known not in COLUMNS:
        from difflib import get_close_matches

        near = get_close_matches(plain, [*COLUMNS, *ALIASES], n=1, cutoff=0.6)
        hint = f"did you mean {ALIASES.get(near[0], near[0])!r}?" if near else f"columns: {', '.join(COLUMNS)}"
        raise usage(f"line {line}: there is no column {cell[:40]!r}", next_step=hint)
    return known


@dataclass(slots=True)
class _Found:
    body: Json = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


def _machine(cells: Sequence[str], header: Sequence[str], defaults: Defaults) -> tuple[str, _Found]:
    found = _Found()
    extra = [cell for cell in cells[len(header) :] if cell]
    if extra:
        # The cells may have slipped: none of them is looked at, or shown.
        found.reasons.append(f"{len(cells)} cells, but the header has {len(header)}")
        return "", found
    row = {name: cell for name, cell in zip(header, cells, strict=False) if name and cell}
    name = _checked(found, "name", row.get("name", ""), names.hostname, "a host name") if row.get("name") else None
    if not row.get("name"):
        found.reasons.append("name is missing")
    driver = row.get("driver") or defaults.driver
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", driver):
        found.reasons.append("driver is not the name of a driver")
    found.body = {"name": name, "driver": driver}
    _bmc(found, row, driver, defaults)
    _place(found, row)
    return str(name or row.get("name", ""))[:63], found


def _bmc(found: _Found, row: Mapping[str, str], driver: str, defaults: Defaults) -> None:
    address = row.get("bmc_address")
    if address is None:
        if driver in {"ipmi", "redfish"}:
            found.reasons.append(f"bmc_address is missing; the driver {driver} needs it")
        return
    bmc: Json = {"address": _checked(found, "bmc_address", address, bmc_address, "an IP address or host name")}
    if "bmc_udp_port" in row:
        bmc["udp_port"] = _checked(found, "bmc_udp_port", row["bmc_udp_port"], _number(1, 65535), "a port, 1 to 65535")
    username = row.get("bmc_username") or defaults.username
    password = row.get("bmc_password") or defaults.password
    if username:
        bmc["username"] = username
    if password:
        bmc["password"] = password
    found.body["bmc"] = bmc


def _place(found: _Found, row: Mapping[str, str]) -> None:
    if "macs" in row:
        macs = [
            _checked(found, "macs", mac, names.mac, "a MAC address")
            for mac in re.split(r"[\s,;|]+", row["macs"])
            if mac
        ]
        if len(set(macs)) != len(macs) and None not in macs:
            found.reasons.append("macs names one address twice")
        found.body["macs"] = macs
    if "boot_mode" in row:
        found.body["boot_mode"] = _checked(found, "boot_mode", row["boot_mode"].lower(), _boot_mode, "bios or uefi")
    for key in ("resource_class", "rack"):
        if key in row:
            found.body[key] = row[key]
    if "rack_unit" in row:
        found.body["rack_unit"] = _checked(
            found, "rack_unit", row["rack_unit"], _number(1, 100), "a number from 1 to 100"
        )


def _checked(found: _Found, column: str, text: str, parse: Callable[[str], Any], what: str) -> Any:
    """The parsed value; or None, with a reason that does not repeat the text."""
    try:
        return parse(text)
    except (Invalid, ValueError):
        found.reasons.append(f"{column} is not {what}")
        return None


def bmc_address(text: str) -> str:
    """An IP address, or a host name of one or more labels."""
    try:
        return names.ip_address(text)
    except Invalid:
        if len(text) > 253 or re.fullmatch(r"[\d.:]+", text):
            raise
        return ".".join(names.hostname(label) for label in text.rstrip(".").split("."))


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else -1
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return parse


def _boot_mode(text: str) -> str:
    if text not in {"bios", "uefi"}:
        raise ValueError(text)
    return text


def _twice(body: Json, line: int, seen: dict[tuple[str, str], int]) -> list[str]:
    """Reasons when an earlier good line has the same name, MAC or BMC; else its own are remembered."""
    bmc = body.get("bmc") or {}
    own = [("name", str(body["name"])), *(("MAC address", str(mac)) for mac in body.get("macs") or [])]
    if bmc:
        own.append(("BMC", f"{bmc['address']} {bmc.get('udp_port', 623)}"))
    reasons = [f"the same {what} as on line {seen[what, value]}" for what, value in own if (what, value) in seen]
    if not reasons:
        seen.update(dict.fromkeys(own, line))
    return reasons
