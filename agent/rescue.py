"""The command rescue: let somebody in. An account with the password that was asked for, and an SSH server for it.

password_hash (secret): as crypt(3) reads it. The server runs only from here on, with a host key made now; whoever logs
in compares its fingerprint with the one that the answer names. Repeating the command replaces the password and keeps
the server and its key. The account is root under another name: its holder is to mend a machine that is theirs.
"""

import os
import re
from pathlib import Path
from typing import Any

from agent.errors import ProgramFailed, Refused
from agent.host import RUN, Host

USER = "rescue"
TCP_PORT = 22
_KEY = "etc/dropbear/dropbear_ed25519_host_key"
_PID = f"{RUN}/sshd.pid"
_HASH = re.compile(r"\$6\$[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}\Z")
_KEY_S = 60.0
_START_S = 20.0


def open_door(host: Host, password_hash: object) -> dict[str, Any]:
    """-> {"user", "port", "fingerprint"}. Raises Refused, ProgramFailed."""
    if not isinstance(password_hash, str) or not _HASH.match(password_hash):
        raise Refused("the parameter password_hash is missing")
    _account(host, password_hash)
    fingerprint = _host_key(host)
    if not _runs(host):
        _terminals(host)
        pid_file = str(host.path(f"/{_PID}"))
        host.run(
            ["dropbear", "-r", str(host.path(f"/{_KEY}")), "-p", str(TCP_PORT), "-P", pid_file, "-j", "-k"],
            timeout_s=_START_S,
        )
    return {"user": USER, "port": TCP_PORT, "fingerprint": fingerprint}


def _account(host: Host, password_hash: str) -> None:
    """The one account with a password; root has none, so nobody else gets in."""
    _write(host, "etc/shadow", f"root:*:19000:0:99999:7:::\n{USER}:{password_hash}:19000:0:99999:7:::\n", 0o600)
    _write(host, "etc/passwd", f"root:x:0:0::/root:/bin/sh\n{USER}:x:0:0::/root:/bin/sh\n", 0o644)


def _write(host: Host, name: str, text: str, mode: int) -> None:
    path = host.path(f"/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
        out.write(text)
    partial.replace(path)


def _host_key(host: Host) -> str:
    """Made once per boot. Returns its fingerprint, as ssh shows it."""
    path = host.path(f"/{_KEY}")
    if path.exists():
        said = host.run(["dropbearkey", "-y", "-f", str(path)], timeout_s=_KEY_S)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        said = host.run(["dropbearkey", "-t", "ed25519", "-f", str(path)], timeout_s=_KEY_S)
    found = re.search(r"Fingerprint: (\S+)", said)
    if found is None:
        raise ProgramFailed("dropbearkey", 0, "it named no fingerprint")
    return found[1]


def _runs(host: Host) -> bool:
    """Whether the server of an earlier run of this command is there."""
    try:
        number = int(host.path(f"/{_PID}").read_text())
        return Path(f"/proc/{number}/comm").read_text().strip() == "dropbear"
    except (OSError, ValueError):
        return False


def _terminals(host: Host) -> None:
    """Log-ins need pseudo-terminals."""
    if host.is_real and not host.path("/dev/pts/ptmx").exists():
        host.run(["mount", "-t", "devpts", "devpts", "/dev/pts"], timeout_s=_START_S)
