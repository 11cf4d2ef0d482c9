"""Debian packages of the ramdisk: fetched and verified by apt from the sources that this machine is set up with.

apt is given an empty list of installed packages, so it answers with the whole closure whatever is installed here.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from images import tools

_DOWNLOAD_S = 1800
_SMALL_S = 120


def resolve(packages: Sequence[str], cache_dir: Path) -> list[str]:
    """File names with versions of the packages and all they depend on; needs apt's lists, no network."""
    # An empty archive folder, because apt does not name what it need not fetch.
    options = _options(cache_dir, "none")
    text = tools.run(["apt-get", *options, "--print-uris", "install", *packages], timeout_s=_SMALL_S)
    # 'http://…/zstd_1.5.4_amd64.deb' zstd_1.5.4_amd64.deb 700656 SHA256:…
    return sorted(line.split()[1] for line in text.splitlines() if line.startswith("'"))


def unpack(packages: Sequence[str], names: Sequence[str], cache_dir: Path, report: Callable[[str], None]) -> Path:
    """A folder with the files of all packages; kept, and made again only when a version changed."""
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    root = cache_dir / f"root-{key}"
    if root.is_dir():
        return root
    archives = cache_dir / "debs"
    missing = [name for name in names if not (archives / name).exists()]
    if missing:
        report(f"fetching {len(missing)} Debian packages")
        options = _options(cache_dir, "debs")
        tools.run(["apt-get", *options, "--download-only", "install", *packages], timeout_s=_DOWNLOAD_S)
    for old in cache_dir.glob("root-*"):
        shutil.rmtree(old)
    report(f"unpacking {len(names)} Debian packages")
    partial = cache_dir / f"root-{key}.partial"
    partial.mkdir()
    for name in names:
        tools.run(["dpkg-deb", "-x", str(archives / name), str(partial)], timeout_s=_SMALL_S)
    for archive in archives.glob("*.deb"):
        if archive.name not in names:
            archive.unlink()
    partial.rename(root)
    return root


def _options(cache_dir: Path, archives: str) -> list[str]:
    (cache_dir / archives / "partial").mkdir(parents=True, exist_ok=True)
    status = cache_dir / "no-packages"
    status.touch()
    return [
        "-qq",
        "-y",
        f"-oDir::State::status={status}",
        f"-oDir::Cache::archives={cache_dir / archives}/",
        "-oAPT::Install-Recommends=false",
        "-oDebug::NoLocking=1",
        "-oAPT::Sandbox::User=root",
    ]
