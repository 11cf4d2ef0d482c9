"""Where the appliance is and as whom we ask: options, then environment, then `--state DIR`, then the saved profile.

A profile is a table of `~/.config/rackwright/config.toml`, written by `rackwright login`. It holds a token, so a file
that others can read, or a symbolic link, is refused. A token is sent to no other URL than the one it was got from.
"""

import contextlib
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.main.cli.exits import Exit, Failure, usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One appliance that we are logged in to."""

    url: str
    ca: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The result: url, the CA file to trust, the token if any. source: which of the ways gave the URL."""

    url: str
    ca: Path | None
    token: str | None = field(repr=False)
    source: str


@dataclass(slots=True, kw_only=True)
class Asked:
    """What the options said; None is "not said"."""

    url: str | None = None
    ca: str | None = None
    token: str | None = field(default=None, repr=False)
    state: str | None = None
    profile: str | None = None


def config_path(environment: Mapping[str, str]) -> Path:
    """The profile file. RACKWRIGHT_CONFIG names another one."""
    if named := environment.get("RACKWRIGHT_CONFIG"):
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
    return Path(home) / "rackwright" / "config.toml"


def resolve(asked: Asked, environment: Mapping[str, str]) -> Place:
    """Find the appliance, or say how to name it."""
    name = asked.profile or environment.get("RACKWRIGHT_PROFILE") or "default"
    saved = read_profiles(config_path(environment))
    if asked.profile and asked.profile not in saved:
        raise usage(f"there is no profile {asked.profile!r}", next_step=f"rackwright login --profile {asked.profile}")
    url, ca, source = _where(asked, environment, saved.get(name))
    token = asked.token or environment.get("RACKWRIGHT_TOKEN") or _saved_token(saved, name, url)
    return Place(url=url, ca=Path(ca) if ca else None, token=token, source=source)


def _where(asked: Asked, environment: Mapping[str, str], profile: Profile | None) -> tuple[str, str | None, str]:
    ca = asked.ca or environment.get("RACKWRIGHT_CA")
    state = asked.state or environment.get("RACKWRIGHT_STATE")
    if asked.url:
        return _tidy(asked.url), ca or _ca_of(asked.url, profile), "--url"
    if asked.state:
        url, own_ca = local_place(Path(asked.state))
        return url, ca or own_ca, "--state"
    if named := environment.get("RACKWRIGHT_URL"):
        return _tidy(named), ca or _ca_of(named, profile), "RACKWRIGHT_URL"
    if state and not asked.profile:
        url, own_ca = local_place(Path(state))
        return url, ca or own_ca, "RACKWRIGHT_STATE"
    if profile:
        return profile.url, ca or profile.ca, "profile"
    raise usage(
        "no appliance is named",
        why="neither --url, --state, RACKWRIGHT_URL nor a saved login says where it is",
        next_step="rackwright login --url https://HOST:8443 --ca CA.PEM   |   rackwright login --state DIR",
    )


def _tidy(url: str) -> str:
    return url.rstrip("/")


def _ca_of(url: str, profile: Profile | None) -> str | None:
    return profile.ca if profile and profile.url == _tidy(url) else None


def _saved_token(saved: Mapping[str, Profile], name: str, url: str) -> str | None:
    preferred = saved.get(name)
    for profile in ([preferred] if preferred else []) + list(saved.values()):
        if profile.url == url and profile.token:
            return profile.token
    return None


def local_place(state: Path) -> tuple[str, str | None]:
    """URL and CA of the appliance whose state directory this is, from the cli.json that `init` left there."""
    file = state / "cli.json"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        url, ca = known["url"], known.get("ca")
    except FileNotFoundError as cause:
        raise usage(
            f"{state} is not the state directory of an appliance",
            why=f"there is no {file}",
            next_step=f"rackwright init --state {state}",
        ) from cause
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as cause:
        raise Failure(f"{file} cannot be read", why=str(cause), next_step="run as the user who owns it") from cause
    # `init` may have written paths relative to the state directory, so that the directory can be moved.
    return _tidy(str(url)), str(state / str(ca)) if ca else None


def read_profiles(file: Path) -> dict[str, Profile]:
    """The saved logins; none when the file is absent. Refuses a link, and a file that others can read."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as cause:
        why = "it is a symbolic link" if file.is_symlink() else str(cause)
        raise _unsafe(file, why, "put the file itself there, or log in again") from cause
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise _unsafe(file, "it is not a file", f"remove {file} and log in again")
        if facts.st_uid not in {os.geteuid(), 0}:
            raise _unsafe(file, "it belongs to another user", f"remove {file} and log in again")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise _unsafe(
                file,
                f"its mode is {stat.S_IMODE(facts.st_mode):04o}; others can use the token in it",
                f"chmod 600 {file}",
            )
        try:
            document = tomllib.load(stream)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
            raise _unsafe(file, f"it is not TOML: {cause}", f"remove {file} and log in again") from cause
    return _profiles(document)


def write_profiles(file: Path, profiles: Mapping[str, Profile]) -> None:
    """Replace the file in one step; it is 0600 from its first byte."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.is_symlink():
        raise _unsafe(file, "it is a symbolic link", "put the file itself there")
    lines = ["# Written by `rackwright login`. Holds tokens: keep it 0600.\n"]
    for name, profile in sorted(profiles.items()):
        lines.append(f"\n[profiles.{_quote(name)}]\n")
        lines += [f"{key} = {_quote(text)}\n" for key in FIELDS if (text := getattr(profile, key))]
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".config-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except OSError as cause:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise Failure(f"{file} cannot be written", why=str(cause)) from cause


FIELDS = ("url", "ca", "token", "username", "expires_at")


def _profiles(document: Mapping[str, object]) -> dict[str, Profile]:
    tables = document.get("profiles")
    found: dict[str, Profile] = {}
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and isinstance(table.get("url"), str):
            found[name] = Profile(**{key: str(table[key]) for key in FIELDS if key in table})
    return found


def _quote(text: str) -> str:
    # A JSON string is a TOML basic string, save for DEL (TOML 1.0, "String").
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _unsafe(file: Path, why: str, next_step: str) -> Failure:
    return Failure(f"{file} is not used", exit_code=Exit.DENIED, kind="unsafe-config", why=why, next_step=next_step)
