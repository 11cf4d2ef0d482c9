"""What the clients' own tests expect to find: ordinary users in projects of their own, an image, clouds by these names.

devstack               demo, a member of the project demo
devstack-alt           alt_demo, a member of the project alt_demo
devstack-admin         the admin in the default project
devstack-system-admin  the admin for the whole system
"""

import json
from pathlib import Path
from typing import Any

from tests.fakes.serving import boot_sector
from tests.interop.clients import Terminal

USERS = {"devstack": "demo", "devstack-alt": "alt_demo"}
PASSWORD = "Demo-password-of-the-tests-7"
IMAGE = "cirros-interop-uec"
# A test of images uploads this file of its authors' source tree, which their wheel does not carry.
UPLOADED = "CONTRIBUTING.rst"


def make(typed: Terminal, *, clouds: Path, home: Path) -> Path:
    """Make them with the stock commands, and their clouds.yaml in `home`; gives `home`."""
    ours: dict[str, Any] = read(clouds)["clouds"]
    theirs = {"devstack-admin": ours["rackwright"], "devstack-system-admin": ours["rackwright-system"]}
    for cloud, name in USERS.items():
        for line in (
            f"openstack project create --domain default {name}",
            f"openstack user create --domain default --project {name} --password {PASSWORD} {name}",
            f"openstack role add --project {name} --user {name} member",
        ):
            typed.does(line)
        auth = {**ours["rackwright"]["auth"], "username": name, "password": PASSWORD, "project_name": name}
        theirs[cloud] = {**ours["rackwright"], "auth": auth}
    disk = home / "disk.img"
    disk.write_bytes(boot_sector() + bytes(4096))
    typed.does(f"openstack image create --disk-format raw --container-format bare --public --file {disk} {IMAGE}")
    (home / UPLOADED).write_text("How to take part.\n" * 40)
    (home / "clouds.yaml").write_text(json.dumps({"clouds": {**ours, **theirs}}, indent=1))
    return home


def read(clouds: Path) -> dict[str, Any]:
    """Our clouds.yaml is JSON below one line of comment."""
    parsed: dict[str, Any] = json.loads(clouds.read_text().partition("\n")[2])
    return parsed
