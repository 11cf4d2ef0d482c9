"""The whole configuration as frozen dataclasses: read once from STATE/rackwright.toml, handed out piece by piece.

Here too: where things lie below the state directory (`Places`) and the one look at the environment. A key that is not
declared below is refused with the nearest one that is; every error names file and line. Durations are texts such as
"90s", "15m", "12h", "2d", or whole seconds. Not here: writing a first configuration (appliance.services.setup).
"""

# ruff: noqa: RUF009  (`_key` wraps dataclasses.field and nothing else)
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from appliance.domain.errors import RackwrightError
from appliance.domain.fake_hardware import NO_DELAY, Range
from appliance.domain.values import (
    BadValue,
    Endpoint,
    Network,
    Reader,
    Secret,
    boolean,
    choice,
    database_url,
    delays,
    domain_name,
    duration,
    endpoint,
    host_names,
    networks,
    regular_expression,
    short_text,
    whole_number,
)

MAX_FILE_BYTES = 256 * 1024
DAY = 86400

S = TypeVar("S")


class BadConfiguration(RackwrightError):
    """The configuration cannot be used."""

    code: ClassVar[str] = "configuration"


def _key(read: Reader, default: Any, name: str = "") -> Any:
    """A field with its reader. name: the key in the file, when the attribute carries a unit."""
    return field(default=default, metadata={"read": read, "key": name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The operators' door. names: further host names and addresses for its certificate."""

    listen: Endpoint = _key(endpoint, Endpoint("127.0.0.1", 8443))
    names: tuple[str, ...] = _key(host_names, ())
    threads: int = _key(whole_number(2, 1024), 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The agents' door, on the provisioning networks. threads: each waiting agent holds one."""

    listen: Endpoint = _key(endpoint, Endpoint("0.0.0.0", 8444))
    threads: int = _key(whole_number(2, 4096), 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAt:
    """url: None stands for STATE/rackwright.db; `Config.database_url` gives the answer."""

    url: Secret | None = _key(database_url, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Netboot:
    """discovery: what becomes of an unknown machine that boots: nothing, a record, or a node."""

    http_port: int = _key(whole_number(1, 65535), 8080)
    tftp_port: int = _key(whole_number(1, 65535), 69)
    dns_port: int = _key(whole_number(1, 65535), 53)
    dhcp_port: int = _key(whole_number(1, 65535), 67)
    discovery: str = _key(choice("off", "record", "enroll"), "record")
    domain: str = _key(domain_name, "rack.internal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bmc:
    """deadline_s: of one reading of a power state by the sweep.

    in_band_setup: the agent may make our user on the BMC of a machine that it enrols.
    """

    deadline_s: int = _key(duration(1, 300), 20, "deadline")
    sweep_interval_s: int = _key(duration(5, DAY), 60, "sweep_interval")
    concurrency: int = _key(whole_number(1, 1024), 64)
    in_band_setup: bool = _key(boolean, default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """How long each wait may last, and what cleaning does. A wait that runs out ends in a named state."""

    power_change_s: int = _key(duration(5, 3600), 60, "power_change")
    agent_boot_s: int = _key(duration(30, DAY), 900, "agent_boot")
    agent_lost_s: int = _key(duration(15, DAY), 180, "agent_lost")
    inspect_s: int = _key(duration(30, DAY), 600, "inspect")
    clean_s: int = _key(duration(30, 7 * DAY), 7200, "clean")
    fetch_image_s: int = _key(duration(30, DAY), 3600, "fetch_image")
    write_image_s: int = _key(duration(30, DAY), 3600, "write_image")
    kexec_home_s: int = _key(duration(10, DAY), 300, "kexec_home")
    call_home_s: int = _key(duration(30, DAY), 1200, "call_home")
    hoped_home_s: int = _key(duration(0, DAY), 300, "hoped_home")
    image_writes_at_once: int = _key(whole_number(1, 10_000), 50)
    automated_clean: str = _key(choice("metadata", "shred", "none"), "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """How long things take on hardware that is not there; a node's own driver_options come first."""

    power: Range = _key(delays, NO_DELAY, "power_delay")
    deploy: Range = _key(delays, NO_DELAY, "deploy_delay")
    inspect: Range = _key(delays, NO_DELAY, "inspect_delay")
    raid: Range = _key(delays, NO_DELAY, "raid_delay")
    bios: Range = _key(delays, NO_DELAY, "bios_delay")
    rescue: Range = _key(delays, NO_DELAY, "rescue_delay")
    firmware: Range = _key(delays, NO_DELAY, "firmware_delay")
    clean: Range = _key(delays, NO_DELAY, "clean_delay")
    service: Range = _key(delays, NO_DELAY, "service_delay")

    @property
    def delays(self) -> dict[str, Range]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """add_ports: which interfaces that an inspection finds become ports: none, the one that booted, those with an
    address, all. keep_ports: which ports stay: all, those still present, those that would be added.
    """

    add_ports: str = _key(choice("disabled", "pxe", "active", "all"), "pxe")
    keep_ports: str = _key(choice("all", "present", "added"), "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """lockout: after so many failures in a row, an account rests for so long.

    token_lifetime: of tokens for OpenStack clients; session_lifetime: of the native API's, the CLI's and the console's.
    key_rotation: the key that seals tokens is replaced when it is so old.
    password_expires: 0 for never. password_history: how many passwords, with the present one, are not taken again.
    """

    token_lifetime_s: int = _key(duration(60, 30 * DAY), 3600, "token_lifetime")
    session_lifetime_s: int = _key(duration(60, 30 * DAY), 12 * 3600, "session_lifetime")
    key_rotation_s: int = _key(duration(3600, 3650 * DAY), 30 * DAY, "key_rotation")
    lockout_failures: int = _key(whole_number(1, 1000), 5)
    lockout_s: int = _key(duration(1, 30 * DAY), 1800, "lockout")
    password_regex: str = _key(regular_expression, "^.{8,}$")
    password_regex_description: str = _key(short_text, "at least 8 characters")
    password_expires_s: int = _key(duration(0, 3650 * DAY), 90 * DAY, "password_expires")
    password_history: int = _key(whole_number(1, 24), 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """trusted_networks: image URLs may point into these too, and not to public addresses alone."""

    trusted_networks: tuple[Network, ...] = _key(networks, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """max_mib and keep: a file is set aside at that size, and so many are kept, for each process."""

    level: str = _key(choice("debug", "info", "warning", "error"), "info")
    format: str = _key(choice("text", "json"), "text")
    max_mib: int = _key(whole_number(1, 1024), 16)
    keep: int = _key(whole_number(1, 100), 4)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie below the state directory."""

    state: Path

    @property
    def config(self) -> Path:
        return self.state / "rackwright.toml"

    @property
    def database(self) -> Path:
        return self.state / "rackwright.db"

    @property
    def master_key(self) -> Path:
        return self.state / "master.key"

    @property
    def tls(self) -> Path:
        return self.state / "tls"

    @property
    def ca(self) -> Path:
        return self.state / "tls" / "ca.pem"

    @property
    def clouds(self) -> Path:
        return self.state / "clouds.yaml"

    @property
    def cli(self) -> Path:
        return self.state / "cli.json"

    @property
    def images(self) -> Path:
        return self.state / "images"

    @property
    def boot(self) -> Path:
        return self.state / "boot"

    @property
    def netboot(self) -> Path:
        return self.state / "netboot"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def backup(self) -> Path:
        return self.state / "backup"

    @property
    def lock(self) -> Path:
        return self.state / "run" / "lock"

    @property
    def control_socket(self) -> Path:
        return self.state / "run" / "control.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    state: Path
    api: Api = Api()
    agent: Agent = Agent()
    database: DatabaseAt = DatabaseAt()
    netboot: Netboot = Netboot()
    bmc: Bmc = Bmc()
    lifecycle: Lifecycle = Lifecycle()
    inspection: Inspection = Inspection()
    fake: Fake = Fake()
    identity: Identity = Identity()
    images: Images = Images()
    log: Log = Log()

    @property
    def places(self) -> Places:
        return Places(self.state)

    @property
    def database_url(self) -> str:
        """What SQLAlchemy is given. May hold a password: not for display."""
        return self.database.url.reveal() if self.database.url else f"sqlite:///{self.places.database}"

    @classmethod
    def load(cls, state: Path) -> Self:
        """Read and check STATE/rackwright.toml. Raises BadConfiguration with the file, the line and the remedy."""
        state = state.absolute()
        path = Places(state).config
        return cls.parse(state, _read_text(path), path)

    @classmethod
    def parse(cls, state: Path, text: str, path: Path) -> Self:
        """The same from text; path is only for messages."""
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as cause:
            raise BadConfiguration(
                f"{path}: {cause}", why="the file is not TOML", next_step=f"correct {path}"
            ) from cause
        lines = _Lines(path, text)
        sections = {f.name: f.type for f in fields(cls) if f.name != "state"}
        lines.refuse_unknown(tables, sections, "", "section")
        made = {name: _section(kind, tables.get(name, {}), name, lines) for name, kind in sections.items()}
        return cls(state=state, **made)


def _section(kind: Any, table: Any, name: str, lines: "_Lines") -> Any:
    if not isinstance(table, dict):
        raise lines.error(name, "", f"{name!r} is a section: write [{name}] on a line of its own")
    declared = {f.metadata["key"] or f.name: f for f in fields(kind)}
    lines.refuse_unknown(table, declared, name, "key")
    values = {}
    for key, value in table.items():
        try:
            values[declared[key].name] = declared[key].metadata["read"](value)
        except BadValue as cause:
            raise lines.error(name, key, f"{name}.{key}: {cause}") from cause
    return kind(**values)


class _Lines:
    """Finds the line of a key again, for messages: tomllib keeps no positions."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def error(self, section: str, key: str, message: str, next_step: str = "") -> BadConfiguration:
        return BadConfiguration(
            f"{self._path}, line {self._find(section, key)}: {message}",
            next_step=next_step or f"correct {self._path} and start again",
        )

    def refuse_unknown(self, given: Mapping[str, Any], known: Mapping[str, Any], section: str, what: str) -> None:
        for key in given:
            if key not in known:
                near = get_close_matches(key[:80], known, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                place = f" in [{section}]" if section else ""
                where = (section, key) if section else (key, "")
                raise self.error(*where, f"unknown {what} {key[:80]!r}{place}; {hint}")

    def _find(self, section: str, key: str) -> int:
        current, best = "", 1
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[+\s*\"?([\w.-]+)", line):
                current = header[1]
                if current == section:
                    best = number
                    if not key:
                        return number
            elif (word := re.match(r"\s*[\"']?([^\"'=\s.]+)[\"'.]?[^=]*=", line)) and (
                word[1] == (key if current else section) and current in {"", section}
            ):
                return number
        return best


def _read_text(path: Path) -> str:
    """The text of a configuration file; anything but a readable file of sensible size is refused."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise BadConfiguration(f"{path} is not a file", next_step=f"replace {path} by a configuration file")
        if facts.st_size > MAX_FILE_BYTES:
            raise BadConfiguration(
                f"{path} is {facts.st_size} bytes long; a configuration has at most {MAX_FILE_BYTES}"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as cause:
        raise BadConfiguration(
            f"{path} does not exist",
            why="the state directory was never initialised, or is another one",
            next_step=f"run `rackwright init --state {path.parent}`",
        ) from cause
    except UnicodeDecodeError as cause:
        raise BadConfiguration(f"{path} is not UTF-8 text (byte {cause.start})") from cause
    except OSError as cause:
        raise BadConfiguration(
            f"{path} cannot be read: {cause.strerror}", next_step="run as the user who owns the state directory"
        ) from cause


def refuse_debug(environ: Mapping[str, str] = os.environ) -> None:
    """A debugger in a served process runs code for whoever finds it; there is no such mode here."""
    for name in ("FLASK_DEBUG", "WERKZEUG_DEBUG_PIN"):
        if environ.get(name, "").lower() not in {"", "0", "false", "no"}:
            raise BadConfiguration(
                f"{name} is set in the environment",
                why="the debugger would give a shell to anybody who reaches the port",
                next_step=f"unset {name}",
            )
