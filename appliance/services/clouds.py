"""STATE/clouds.yaml: how OpenStack clients find the appliance and log in. It holds a password, so 0600.

JSON is YAML, and quotes whatever a password may hold.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.config import Places
from appliance.domain.errors import RackwrightError
from appliance.models.identity import DEFAULT_DOMAIN, User
from appliance.services.files import write_durably

log = logging.getLogger(__name__)

_HEAD = "# For OpenStack clients: export OS_CLIENT_CONFIG_FILE=<this file> OS_CLOUD=rackwright\n"


def write(state: Path, url: str, name: str, password: str) -> None:
    """`rackwright` for the project `admin`, `rackwright-system` for the whole system. url: without a path."""
    places = Places(state)
    auth = {"auth_url": f"{url}/identity/v3", "username": name, "password": password, "user_domain_name": "Default"}
    common = {
        "auth_type": "password", "verify": True, "cacert": str(places.ca), "region_name": "RegionOne",
        "interface": "public", "identity_api_version": 3,
    }  # fmt: skip
    project = {"project_name": "admin", "project_domain_name": "Default"}
    _keep(
        state,
        {
            "rackwright": {**common, "auth": {**auth, **project}},
            "rackwright-system": {**common, "auth": {**auth, "system_scope": "all"}},
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A name of domain Default and the password that the file holds for it."""

    name: str
    password: str = field(repr=False)


def logins(state: Path) -> set[Login]:
    """What the file logs in with; nothing when there is none, or when somebody rewrote it."""
    return {
        Login(name=auth["username"], password=auth["password"])
        for auth in (cloud["auth"] for cloud in _read(state).values())
        if auth.get("user_domain_name") == "Default"
    }


def renew(state: Path, name: str, *, is_old: Callable[[str], bool], new: str) -> bool:
    """Put the new password where this user's old one is. False when in the end it is nowhere."""
    clouds = _read(state)
    mine = [cloud["auth"] for cloud in clouds.values() if cloud["auth"]["username"] == name]
    old = {given for given in {auth["password"] for auth in mine} if given != new and is_old(given)}
    for auth in mine:
        if auth["password"] in old:
            auth["password"] = new
    if old:
        _keep(state, clouds)
    return any(auth["password"] == new for auth in mine)


def keep_right(state: Path | None, user: User, new: str, *, is_old: Callable[[str], bool]) -> None:
    """After a change of the user's password. That the file cannot be written must not undo the change."""
    if state is None or user.domain_id != DEFAULT_DOMAIN:
        return
    try:
        renew(state, user.name, is_old=is_old, new=new)
    except (OSError, RackwrightError) as cause:
        log.warning("clouds.yaml still holds the old password of %s: %s", user.name, cause)


def _read(state: Path) -> dict[str, Any]:
    """The clouds that log in by name and password. Of a file that somebody rewrote, nothing."""
    path = Places(state).clouds
    try:
        if path.stat().st_size > 1 << 20:
            return {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        clouds: dict[str, Any] = json.loads("\n".join(line for line in lines if not line.startswith("#")))["clouds"]
        texts = [cloud["auth"][key] for cloud in clouds.values() for key in ("username", "password")]
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return clouds if all(isinstance(text, str) for text in texts) else {}


def _keep(state: Path, clouds: dict[str, Any]) -> None:
    text = _HEAD + json.dumps({"clouds": clouds}, indent=2) + "\n"
    write_durably(Places(state).clouds, text.encode(), mode=0o600)
