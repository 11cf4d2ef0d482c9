"""Programs of others, each set in a virtual environment of its own, made from a lock with hashes at the first need.

They are kept below .build/, named by the lock's hash; one of an older lock is removed.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".build"
INSTALL_S = 600


def made(name: str, *locks: Path, finish: Callable[[Path], None] | None = None) -> Path:
    """The environment's directory. finish: what is done to it after the first lock is installed."""
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:12]
    home = KEPT / f"{name}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            for old in KEPT.glob(f"{name}-*"):
                shutil.rmtree(old)
            subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=120)
            pip(home, "install", "-r", locks[0])
            if finish is not None:
                finish(home)
            (home / "complete").touch()
    return home


def pip(home: Path, command: str, *words: str | Path) -> None:
    """Run the environment's pip, which takes only what has the hash that the lock says."""
    argv = [home / "bin" / "pip", command, "-q", "--disable-pip-version-check", "--require-hashes", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert done.returncode == 0, f"{home.name} could not be made:\n{done.stderr[-3000:]}"
