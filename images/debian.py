"""Build the Debian image that Rackwright ships a recipe for: small, boots BIOS and UEFI, and quick at its first boot.

Needs root (mmdebstrap in root mode) and, on the building machine, the packages listed in README under `make setup`. A
second build from the same recipe and the same package lists is taken from the cache.
"""

import hashlib
import inspect
import json
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from images import apt_sources, bootdisk, debian_recipe, tools
from images.debian_recipe import Kernel

log = logging.getLogger(__name__)

SCHEMA = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
SLACK_MIB = 256  # room to work before growpart has run, and for ext4's journal and tables


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """path: raw, sparse. used_bytes: what the root tree holds. schema: the image's own JSON schema for cloud-config."""

    path: Path
    schema: Path
    size_bytes: int
    used_bytes: int
    sha256: str
    kernel: str
    is_from_cache: bool


def build(
    out: Path,
    cache_dir: Path,
    *,
    release: str = "debian-12",
    kernel: Kernel = Kernel.CLOUD,
    report: Callable[[str], None],
) -> BuiltImage:
    """Write the raw disk image to `out`, and beside it `<out>.schema.json` and `<out>.json` (facts).

    report: told one short sentence per stage. Raises NoSource, tools.ToolFailed, tools.ToolMissing.
    """
    codename = debian_recipe.CODENAMES[release]
    sources = apt_sources.for_release(codename)
    key = _key(codename, kernel, sources)
    cached = cache_dir / f"{release}-{kernel.value}-{key}.raw"
    is_from_cache = _facts_path(cached).is_file() and cached.is_file()
    if is_from_cache:
        report(f"{release}: taken from the cache")
    else:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix="build-") as work:
            report("installing packages into a new tree")
            root_uuid = str(uuid.uuid4())
            tree = _tree(Path(work), codename, kernel, sources, root_uuid)
            _build(cached, Path(work), tree, root_uuid, report)
    return _deliver(cached, out, is_from_cache=is_from_cache)


def _key(codename: str, kernel: Kernel, sources: list[apt_sources.Source]) -> str:
    """What the image depends on: the recipe, the code that puts it together, and where the packages come from."""
    text = [codename, kernel.value, *(source.stanza() for source in sources)]
    text += [inspect.getsource(module) for module in (debian_recipe, bootdisk)]
    text.append(inspect.getsource(_tree) + inspect.getsource(_finish_tree))
    return hashlib.sha256("\0".join(text).encode()).hexdigest()[:16]


def _build(cached: Path, work: Path, tree: Path, root_uuid: str, report: Callable[[str], None]) -> None:
    boot = _boot_files(tree, work)
    version = _finish_tree(tree)
    report("writing the disk")
    used = _used_bytes(tree)
    disk = work / "disk.raw"
    bootdisk.assemble(
        tree,
        disk,
        work=work,
        size_mib=bootdisk.ROOT_START_MIB + used // bootdisk.MIB + SLACK_MIB,
        root_uuid=root_uuid,
        boot=boot,
        config=bootdisk.grub_config(root_uuid, debian_recipe.COMMAND_LINE),
    )
    report("taking the checksum")
    facts = {"used_bytes": used, "sha256": _sha256(disk), "kernel": version}
    _schema_path(cached).write_bytes((tree / SCHEMA).read_bytes())
    disk.replace(cached)
    _facts_path(cached).write_text(json.dumps(facts, indent=1))  # last: its presence says that the rest is whole


def _tree(work: Path, codename: str, kernel: Kernel, sources: list[apt_sources.Source], root_uuid: str) -> Path:
    """Root tree with all packages configured, and the boot loader's packages in its /boot-debs, not installed."""
    tree, early, listing = work / "tree", work / "early", work / "image.sources"
    for name, content in debian_recipe.EARLY_FILES.items():
        file = early / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.replace("@ROOT@", root_uuid))
        file.chmod(0o755 if content.startswith("#!") else 0o644)
    listing.write_text("\n".join(source.stanza() for source in sources))
    work.chmod(0o755)  # apt's unprivileged user reads below it
    excluded = [*debian_recipe.EXCLUDED]
    excluded += [f"/lib/modules/*/kernel/{part}/*" for part in debian_recipe.EXCLUDED_MODULES]
    options = [f"--dpkgopt=path-exclude={path}" for path in excluded]
    options += [f"--dpkgopt=path-include={path}" for path in debian_recipe.INCLUDED]
    # Outside of the tree, whose resolv.conf is already that of systemd-resolved.
    download = (
        'mkdir "$1/boot-debs" && cd "$1/boot-debs" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download {}'
    )
    tools.run(
        [
            "mmdebstrap", "--mode=root", "--variant=apt", "--architectures=amd64", "--format=directory",
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", '--aptopt=APT::Install-Recommends "false"', *options,
            f"--include={','.join((*debian_recipe.PACKAGES, debian_recipe.KERNEL_PACKAGES[kernel]))}",
            f"--essential-hook=sync-in {early} /",
            '--customize-hook=chroot "$1" netplan info >"$1/usr/local/share/netplan-info"',
            f"--customize-hook={download.format(' '.join(debian_recipe.BOOT_PACKAGES))}",
            codename, str(tree), str(listing),
        ],
        env=os.environ | {"TMPDIR": str(work), "LC_ALL": "C.UTF-8"},
        timeout_s=1800,
    )  # fmt: skip
    return tree


def _boot_files(tree: Path, work: Path) -> bootdisk.BootFiles:
    """Take the loader's packages out of the tree and unpack them beside it."""
    unpacked = work / "boot"
    for package in sorted((tree / "boot-debs").glob("*.deb")):
        tools.run(["dpkg-deb", "-x", str(package), str(unpacked)], timeout_s=60)
    shutil.rmtree(tree / "boot-debs")
    return bootdisk.BootFiles(
        shim=unpacked / "usr/lib/shim/shimx64.efi.signed",
        grub_efi=unpacked / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        grub_pc=unpacked / "usr/lib/grub/i386-pc",
    )


def _finish_tree(tree: Path) -> str:
    """Our own files, units and an identity that each machine makes for itself. Answers with the kernel's version."""
    for name, content in debian_recipe.FILES.items():
        (tree / name).write_text(content)
    for name, content in debian_recipe.PROGRAMS.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
        (tree / name).chmod(0o755)
    # Newer than /usr: else the first boot makes accounts, caches and links anew that are there already.
    for name in ("etc/.updated", "var/.updated"):
        (tree / name).write_text("")
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for unit in debian_recipe.MASKED_UNITS:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    resolv = tree / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    for rubbish in ("var/cache/apt", "var/lib/apt/lists", "var/log", "var/cache/debconf"):
        for file in (tree / rubbish).rglob("*"):
            if file.is_file():
                file.unlink()
    (tree / "vmlinuz.old").unlink(missing_ok=True)
    (tree / "initrd.img.old").unlink(missing_ok=True)
    return re.sub(r"^.*vmlinuz-", "", str((tree / "vmlinuz").readlink()))


def _used_bytes(tree: Path) -> int:
    """Space that the tree takes, hard links counted once, in whole blocks of 4 KiB."""
    seen: dict[tuple[int, int], int] = {}
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            status = (Path(folder) / name).lstat()
            seen[status.st_dev, status.st_ino] = -(-status.st_size // 4096) * 4096
    return sum(seen.values())


def _deliver(cached: Path, out: Path, *, is_from_cache: bool) -> BuiltImage:
    tools.run(["cp", "--sparse=always", "--reflink=auto", str(cached), str(out)], timeout_s=600)
    shutil.copyfile(_schema_path(cached), _schema_path(out))
    facts = json.loads(_facts_path(cached).read_text())
    image = BuiltImage(
        path=out,
        schema=_schema_path(out),
        size_bytes=out.stat().st_size,
        used_bytes=int(facts["used_bytes"]),
        sha256=str(facts["sha256"]),
        kernel=str(facts["kernel"]),
        is_from_cache=is_from_cache,
    )
    described = asdict(image) | {"path": out.name, "schema": _schema_path(out).name}
    _facts_path(out).write_text(json.dumps(described, indent=1))
    log.info("image built path=%s used_bytes=%d cached=%s", out, image.used_bytes, is_from_cache)
    return image


def _facts_path(image: Path) -> Path:
    return image.with_name(image.name + ".json")


def _schema_path(image: Path) -> Path:
    return image.with_name(image.name + ".schema.json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
