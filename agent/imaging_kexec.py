"""Load the kernel of the installed system, so that the machine can go there without its firmware's minutes.

The partitions are mounted read-only, without a journal's replay and with nothing executable; the boot loader's files
are read (agent.imaging_grub), and the kernel loads its successor by kexec_file_load(2), which checks signatures where
Secure Boot demands it. The jump itself is agent.host's. Whatever is unusual is Refused: the caller lets the disk boot.
"""

import contextlib
import ctypes
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agent import imaging_grub, imaging_table
from agent.errors import Refused
from agent.host import RUN
from agent.imaging_disk import partition_name
from agent.imaging_grub import Entry
from agent.inventory import disks
from agent.wire import Progress

log = logging.getLogger(__name__)

MOUNTS = "run/rackwright/installed"
NODE_WAIT_S = 5.0
MIN_PARTITION = 8 * 1024 * 1024
MAX_PARTITIONS = 16
MAX_LINKS = 16
_READ_ONLY, _NO_SUID, _NO_DEV, _NO_EXEC = 1, 2, 4, 8
_KEXEC_FILE_LOAD = 320  # x86-64
_KEXEC_FILE_NO_INITRAMFS = 4
GRUB_FILES = ("boot/grub/grub.cfg", "grub/grub.cfg", "boot/grub2/grub.cfg", "grub2/grub.cfg")
LOADER_FOLDERS = ("loader/entries", "boot/loader/entries")


class FileSystem(NamedTuple):
    """Where its magic number is, and the options with which looking at it changes nothing."""

    name: str
    offset: int
    magic: bytes
    options: str


FILE_SYSTEMS = (
    FileSystem("ext4", 1024 + 56, b"\x53\xef", "noload"),
    FileSystem("xfs", 0, b"XFSB", "norecovery"),
    FileSystem("btrfs", 65536 + 64, b"_BHRfS_M", ""),
)


def remember(root: Path, disk: str) -> None:
    """Keep the name of the disk that was written last, for as long as this ramdisk runs."""
    folder = root / RUN
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "written-disk").write_text(disk)


def load_kexec(
    params: dict[str, Any],
    report: Callable[[Progress], None],
    is_cancelled: Callable[[], bool],
    *,
    root: Path = Path("/"),
) -> dict[str, Any]:
    """-> {"disk", "kernel", "command_line"}; the kernel is loaded. params may name the `disk`. Raises Refused."""
    del report, is_cancelled  # two seconds at most
    disk = _disk(params, root)
    partitions = _partitions(root, disk)
    with contextlib.ExitStack() as stack:
        folders = [folder for part in partitions for folder in [stack.enter_context(_mounted(root, part))] if folder]
        for folder in folders:
            entry = find_entry(folder)
            if entry is not None:
                kernel, initrds = _files(entry, folder, folders)
                _load(kernel, initrds, entry.command_line)
                log.info("kernel loaded disk=%s kernel=%s", disk, entry.kernel)
                return {"disk": disk, "kernel": entry.kernel, "command_line": entry.command_line}
    raise Refused("no boot loader's file that can be understood was found on the disk")


def _disk(params: dict[str, Any], root: Path) -> str:
    known = [disk["name"] for disk in disks.collect(root)]
    named = params.get("disk")
    if named is None:
        with contextlib.suppress(OSError):
            named = (root / RUN / "written-disk").read_text()
    if named is None:
        named = next((name for name in known if _has_drive(root, name)), None)
    if named not in known:
        raise Refused("it is not known which disk the installed system is on")
    return str(named)


def _has_drive(root: Path, disk: str) -> bool:
    try:
        return any(part.name == imaging_table.CONFIG_NAME for part in imaging_table.read(_head(root, disk)))
    except (Refused, OSError):
        return False


def _head(root: Path, disk: str) -> bytes:
    with (root / disk.lstrip("/")).open("rb") as source:
        return source.read(imaging_table.MIB)


def _partitions(root: Path, disk: str) -> list[Path]:
    found = [part for part in imaging_table.read(_head(root, disk)) if part.length >= MIN_PARTITION]
    largest = sorted(found, key=lambda part: -part.length)[:MAX_PARTITIONS]
    return [root / partition_name(disk, part.number).lstrip("/") for part in largest]


@contextlib.contextmanager
def _mounted(root: Path, device: Path) -> Iterator[Path | None]:
    """The folder where the partition is mounted; None if it holds no file system that we know."""
    system = _file_system(device)
    if system is None:
        yield None
        return
    folder = root / MOUNTS / device.name
    folder.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _READ_ONLY | _NO_SUID | _NO_DEV | _NO_EXEC
    names = (os.fsencode(device), os.fsencode(folder), system.name.encode())
    if libc.mount(*names, ctypes.c_ulong(flags), system.options.encode()):
        log.info("not mounted device=%s: %s", device.name, os.strerror(ctypes.get_errno()))
        yield None
        return
    try:
        yield folder
    finally:
        libc.umount2(names[1], 2)  # MNT_DETACH


def _file_system(device: Path) -> FileSystem | None:
    deadline = time.monotonic() + NODE_WAIT_S
    while not device.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        with device.open("rb") as source:
            start = source.read(128 * 1024)
    except OSError:
        return None
    return next((item for item in FILE_SYSTEMS if start[item.offset :].startswith(item.magic)), None)


def find_entry(folder: Path) -> Entry | None:
    """What a file system mounted there would have booted."""
    for name in LOADER_FOLDERS:
        entries = inside(folder, name)
        if entries is not None and entries.is_dir():
            # The newest kernel first, as the specification sorts: good enough by name, rescue entries last.
            files = sorted(
                entries.glob("*.conf"), key=lambda path: ("rescue" not in path.name, path.name), reverse=True
            )
            texts = [_text(folder, f"{name}/{file.name}") for file in files[:64]]
            found = [imaging_grub.from_loader_entry(text) for text in texts if text is not None]
            if found and found[0] is not None:
                return found[0]
    for name in GRUB_FILES:
        text = _text(folder, name)
        entry = None if text is None else imaging_grub.from_grub(text)
        if entry is not None:
            return entry
    return None


def _text(folder: Path, name: str) -> str | None:
    path = inside(folder, name)
    try:
        if path is None or path.stat().st_size > imaging_grub.MAX_TEXT:
            return None
        return path.read_text(errors="replace")
    except OSError:
        return None


def _files(entry: Entry, folder: Path, folders: list[Path]) -> tuple[Path, list[Path]]:
    """The files of an entry, in the file system of the loader's file or in another. Raises Refused."""
    for place in [folder, *(item for item in folders if item != folder)]:
        kernel = inside(place, entry.kernel)
        initrds = [inside(place, path) for path in entry.initrds]
        wanted = [kernel, *initrds]
        whole = [path for path in wanted if path is not None and stat.S_ISREG(path.stat().st_mode)]
        if len(whole) == len(wanted):
            return whole[0], whole[1:]
    raise Refused(f"the kernel {entry.kernel} is not on the disk")


def inside(folder: Path, name: str) -> Path | None:
    """A path below a mounted system with its links followed as that system would: none leads out. None if absent."""
    parts = [part for part in reversed(name.split("/")) if part not in ("", ".")]
    path, links = folder, 0
    while parts:
        part = parts.pop()
        if part == "..":
            path = folder if path == folder else path.parent
            continue
        step = path / part
        try:
            mode = step.lstat().st_mode
        except OSError:
            return None
        if not stat.S_ISLNK(mode):
            path = step
            continue
        links += 1
        if links > MAX_LINKS:
            return None
        target = str(step.readlink())
        path = folder if target.startswith("/") else path
        parts += [item for item in reversed(target.split("/")) if item not in ("", ".")]
    return path


def _load(kernel: Path, initrds: list[Path], command_line: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        kernel_file = stack.enter_context(kernel.open("rb"))
        initrd_file = _joined(initrds, stack)
        flags = 0 if initrd_file >= 0 else _KEXEC_FILE_NO_INITRAMFS
        line = command_line.encode() + b"\0"
        numbers = (ctypes.c_long(_KEXEC_FILE_LOAD), kernel_file.fileno(), initrd_file, ctypes.c_ulong(len(line)))
        if libc.syscall(*numbers, ctypes.c_char_p(line), ctypes.c_ulong(flags)):
            raise Refused(f"the kernel refused its successor: {os.strerror(ctypes.get_errno())}")


def _joined(initrds: list[Path], stack: contextlib.ExitStack) -> int:
    """One file with all initrds one after the other, as a loader would place them; -1 for none."""
    if not initrds:
        return -1
    if len(initrds) == 1:
        return stack.enter_context(initrds[0].open("rb")).fileno()
    handle = os.memfd_create("initrd")
    stack.callback(os.close, handle)
    for path in initrds:
        data = path.read_bytes()
        os.write(handle, data + bytes(-len(data) % 4))
    os.lseek(handle, 0, os.SEEK_SET)
    return handle
