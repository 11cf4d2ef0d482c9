"""Logging in to a machine that was deployed: a fresh key, and one command at a time."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from images import tools

USER = "debian"
_CONNECT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """private: file with mode 0600. public: the line for authorized_keys."""

    private: Path
    public: str


def make_key(directory: Path) -> Key:
    """An ed25519 key, made once per directory."""
    private, public = directory / "id_ed25519", directory / "id_ed25519.pub"
    if not (private.exists() and public.exists()):
        directory.mkdir(parents=True, exist_ok=True)
        fresh = ed25519.Ed25519PrivateKey.generate()
        text = fresh.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        public.write_bytes(text + b" rackwright-lab\n")
        secret = fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        private.unlink(missing_ok=True)
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(secret)
    return Key(private=private, public=public.read_text().strip())


def words(port: int, key: Key) -> list[str]:
    """Argv for a person's terminal. The machine's host key is new at every deploy, so it is not kept."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    return ["ssh", "-i", str(key.private), "-p", str(port), *(f"-o{o}" for o in options), f"{USER}@127.0.0.1"]


def run(port: int, key: Key, command: str, *, limit_s: float = 60.0) -> str:
    """What the command printed there. Raises tools.ToolFailed, also when the login is refused."""
    ssh, *rest = words(port, key)
    quiet = ["-F", "none", "-oBatchMode=yes", "-oIdentitiesOnly=yes", f"-oConnectTimeout={_CONNECT_S}"]
    return tools.run([ssh, *quiet, *rest, command], timeout_s=limit_s)
