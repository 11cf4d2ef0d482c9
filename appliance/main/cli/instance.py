"""What an instance is made of: the options of `deploy` and `rebuild`, and the API's body that they become."""

import base64
import gzip
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from appliance.main.cli.complete import image_names
from appliance.main.cli.exits import usage
from appliance.main.cli.frame import file_option

Json = dict[str, Any]

CALLS: dict[str, bool | str] = {"required": True, "hoped": "hoped", "none": False}
DRIVE_LIMIT = 64 << 20
TEXT_LIMIT = 1 << 20
"""Bytes of a user-data or network-data file; the appliance has its own, smaller limits."""


def instance_options(*, image_required: bool) -> Callable[[Any], Any]:
    """What an instance is made of."""

    def add(function: Any) -> Any:
        for option in reversed(
            (
                click.option(
                    "--image", required=image_required, metavar="IMAGE", shell_complete=image_names,
                    help="Name or UUID of the image, or a URL to fetch it from.",
                ),
                click.option(
                    "--checksum", metavar="sha256:DIGITS|URL", help="Of an image behind a URL; or a file of checksums."
                ),
                click.option("--hostname", metavar="NAME", help="Host name of the instance; else the node's name."),
                click.option("--ssh-key", "ssh_keys", multiple=True, metavar="FILE|KEY", help="Public key, or a file."),
                file_option("--user-data", help_text="cloud-config or script for cloud-init."),
                file_option("--network-data", help_text="OpenStack network_data.json."),
                click.option(
                    "--config-drive", metavar="FILE|URL", help="A config-drive of your own, instead of the four above."
                ),
                file_option("--steps", help_text="JSON list of further steps, each with its priority."),
                click.option(
                    "--call-home", type=click.Choice(list(CALLS)),
                    help="Whether the work waits for the system's call: required (unless said), hoped for, or none.",
                ),
                click.option(
                    "--boot", type=click.Choice(["auto", "kexec", "reboot"]), default="auto", show_default=True,
                    help="How the written system is started.",
                ),
            )
        ):  # fmt: skip
            function = option(function)
        return function

    return add


def instance_body(refs: Sequence[str], wishes: Mapping[str, Any]) -> Json:
    """The API's body for what the options say; nothing is sent for what they leave out."""
    if wishes["hostname"] and len(refs) > 1:
        raise usage("--hostname fits one node only", next_step="leave it out: each instance is named after its node")
    body: Json = {key: wishes[key] for key in ("image", "checksum", "hostname", "boot") if wishes[key]}
    if wishes["ssh_keys"]:
        body["ssh_keys"] = [key for given in wishes["ssh_keys"] for key in public_keys(given)]
    if wishes["user_data"] is not None:
        body["user_data"] = _read(wishes["user_data"])
    if wishes["network_data"] is not None:
        body["network_data"] = _json_of(wishes["network_data"])
    if wishes["config_drive"] is not None:
        body["configdrive"] = _config_drive(wishes["config_drive"])
    if wishes["call_home"] is not None:
        body["call_home"] = CALLS[wishes["call_home"]]
    if wishes["steps"] is not None:
        body["deploy_steps"] = steps_of(wishes["steps"])
    return body


def steps_of(file: Path) -> object:
    """What a file says of steps; the appliance looks at it."""
    return _json_of(file)


def _config_drive(given: str) -> str:
    """A URL as it is; a file system gzipped and in base64, as it travels."""
    if given.startswith(("http://", "https://")):
        return given
    try:
        with Path(given).expanduser().open("rb") as stream:
            raw = stream.read(DRIVE_LIMIT + 1)
    except OSError as cause:
        raise usage(f"{given[:80]} cannot be read", why=str(cause.strerror or cause)) from cause
    if len(raw) > DRIVE_LIMIT:
        raise usage(f"{given[:80]} is larger than {DRIVE_LIMIT} bytes")
    packed = raw if raw.startswith(b"\x1f\x8b") else gzip.compress(raw)
    return base64.b64encode(packed).decode()


def public_keys(given: str) -> list[str]:
    """The keys in a file or on the line. A private key is refused before it goes anywhere."""
    text = given
    if not given.startswith(("ssh-", "ecdsa-", "sk-")):
        text = _read(Path(given).expanduser())
    if "PRIVATE KEY" in text:
        raise usage(f"{given[:80]} is a private key", next_step=f"give the public one: --ssh-key {given[:80]}.pub")
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not keys or not all(len(key.split()) >= 2 and key.startswith(("ssh-", "ecdsa-", "sk-")) for key in keys):
        raise usage(f"{given[:80]} holds no public SSH key", next_step="give a file such as ~/.ssh/id_ed25519.pub")
    return keys


def _read(file: Path) -> str:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(TEXT_LIMIT + 1)
        else:
            with file.open("rb") as stream:
                raw = stream.read(TEXT_LIMIT + 1)
    except OSError as cause:
        raise usage(f"{file} cannot be read", why=str(cause.strerror or cause)) from cause
    if len(raw) > TEXT_LIMIT:
        raise usage(f"{file} is larger than {TEXT_LIMIT} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise usage(f"{file} is not text in UTF-8", why=str(cause)) from cause


def _json_of(file: Path) -> object:
    try:
        return json.loads(_read(file))
    except ValueError as cause:
        raise usage(f"{file} is not JSON", why=str(cause)) from cause
