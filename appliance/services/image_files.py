"""Where the files of images lie: STATE/images/UUID/ has `upload` (the file as it came), `stream/` (what agents fetch)
and perhaps the schema of its cloud-config. A token lets one machine fetch one image for a while.
"""

import base64
import binascii
import contextlib
import shutil
from pathlib import Path
from typing import Any

import orjson

from appliance.domain.clock import Clock
from appliance.domain.errors import RackwrightError
from appliance.services.vault import Vault

SCHEMA = "cloud-config.json"
_TOKEN = "image-token"  # noqa: S105  (a vault context, not a secret)


class ImageFiles:
    def __init__(self, root: Path, *, vault: Vault, clock: Clock) -> None:
        self._root, self._vault, self._clock = root, vault, clock

    def folder(self, uuid: str) -> Path:
        return self._root / uuid

    def original(self, uuid: str) -> Path:
        """The file as it came, byte for byte; there once all of it is there."""
        return self.folder(uuid) / "upload"

    def forget(self, uuid: str) -> None:
        shutil.rmtree(self.folder(uuid), ignore_errors=True)

    def drop_bytes(self, uuid: str) -> None:
        """What came in, and what was made of it; not the schema."""
        folder = self.folder(uuid)
        shutil.rmtree(folder / "stream", ignore_errors=True)
        for file in (folder / "upload", folder / "upload.part", *folder.glob("coming-*")):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()

    def keep_schema(self, uuid: str, schema: dict[str, Any]) -> None:
        """Keep the JSON schema of the cloud-config that this image understands."""
        folder = self.folder(uuid)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / "cloud-config.part"
        part.write_bytes(orjson.dumps(schema))
        part.replace(folder / SCHEMA)

    def schema(self, uuid: str) -> dict[str, Any] | None:
        """The image's own schema of cloud-config; None when nobody gave one."""
        try:
            found: dict[str, Any] = orjson.loads((self.folder(uuid) / SCHEMA).read_bytes())
        except FileNotFoundError:
            return None
        return found

    def token(self, uuid: str, *, until: float) -> str:
        """A ticket for the files of one image, good until a moment (seconds since 1970)."""
        sealed = self._vault.seal(f"{uuid} {until:.0f}".encode(), _TOKEN)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def served_file(self, path: str, token: str) -> Path | None:
        """The file behind /image/UUID/NAME, when the token allows it; None otherwise, without a reason."""
        parts = path.split("/")
        if len(parts) != 4 or parts[:2] != ["", "image"] or len(token) > 400:
            return None
        try:
            sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            uuid, _, until = self._vault.open(sealed, _TOKEN).decode().partition(" ")
        except (RackwrightError, binascii.Error, ValueError):
            return None
        file = self.folder(uuid) / "stream" / parts[3]
        if uuid != parts[2] or parts[3] in ("", ".", "..") or float(until) < self._clock().timestamp():
            return None
        return file if file.is_file() else None
