"""STATE/clouds.yaml: how OpenStack clients find the appliance and log in. It holds a password, so 0600.

JSON is YAML, and quotes whatever a password may hold.
"""

import json
from pathlib import Path
from typing import Any

from appliance.config import Places
from appliance.services.files import write_durably

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


def renew(state: Path, name: str, *, old: str, new: str) -> bool:
    """Put the new password where this user's old one is; False when it is nowhere, or somebody rewrote the file."""
    path = Places(state).clouds
    if not path.is_file() or path.stat().st_size > 1 << 20:
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        clouds = json.loads("\n".join(line for line in lines if not line.startswith("#")))["clouds"]
        found = [cloud["auth"] for cloud in clouds.values()]
        mine = [auth for auth in found if (auth.get("username"), auth.get("password")) == (name, old)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    for auth in mine:
        auth["password"] = new
    if mine:
        _keep(state, clouds)
    return bool(mine)


def _keep(state: Path, clouds: dict[str, Any]) -> None:
    text = _HEAD + json.dumps({"clouds": clouds}, indent=2) + "\n"
    write_durably(Places(state).clouds, text.encode(), mode=0o600)
