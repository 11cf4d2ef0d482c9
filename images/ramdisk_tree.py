"""Choose the files of the ramdisk out of a folder of unpacked packages, as cpio entries. Runs nothing but depmod."""

import ast
import shutil
from collections.abc import Iterable
from pathlib import Path

from images import ramdisk_recipe as recipe
from images import tools
from images.ramdisk_cpio import Entry, character_device, directory, file, symlink
from images.ramdisk_elf import NotElf, needed

_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")
_LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")
_DEPMOD_S = 120
_TABLES = (
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.order",
    "modules.softdep",
    "modules.symbols.bin",
)


class RecipeBroken(Exception):
    """The recipe of the ramdisk names something that its packages do not contain."""


def kernel_version(root: Path) -> str:
    versions = sorted(path.name for path in (root / "lib/modules").iterdir())
    if len(versions) != 1:
        raise RecipeBroken(f"expected one kernel, found {versions}")
    return versions[0]


def skeleton() -> list[Entry]:
    """Folders, /usr merge, device nodes that exist before devtmpfs, and the account of root."""
    entries = [directory(path) for path in ("dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr/bin")]
    entries += [symlink(name, f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")]
    entries += [directory("usr/sbin"), directory("usr/lib"), directory("usr/lib64")]
    entries += [character_device("dev/console", 5, 1), character_device("dev/null", 1, 3)]
    entries.append(file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"))
    # "files" only: a DNS look-up through systemd or the like must never be waited for.
    entries.append(file("etc/nsswitch.conf", b"hosts: files dns\n"))
    entries.append(file("etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n"))
    return entries


def programs(root: Path, python: Path) -> list[Entry]:
    """Programs, their names and every shared library they need. Raises RecipeBroken naming what is missing."""
    entries = [symlink(f"usr/bin/{name}", "busybox") for name in recipe.BUSYBOX_NAMES]
    entries += [symlink(f"usr/sbin/{name}", "../bin/kmod") for name in recipe.KMOD_NAMES]
    entries += [symlink("usr/bin/python3", python.name)]
    wanted = [_program(root, name) for name in ("busybox", *recipe.PROGRAMS)] + [python]
    for path in wanted:
        folder = "bin" if path.parent.name == "bin" else "sbin"
        entries.append(file(f"usr/{folder}/{path.name}", path.read_bytes(), executable=True))
        if path.is_symlink():
            entries[-1] = symlink(f"usr/{folder}/{path.name}", path.resolve().name)
            entries.append(file(f"usr/{folder}/{path.resolve().name}", path.read_bytes(), executable=True))
    return entries


def libraries(root: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Shared libraries that the recipe names or the given entries need, transitively."""
    found: dict[str, Entry] = {}
    queue = [*recipe.LIBRARIES]
    queue += [name for entry in entries for name in _needed(entry.data)]
    while queue:
        soname = queue.pop().rpartition("/")[2]
        if soname in found:
            continue
        data = _library(root, soname).read_bytes()
        folder = "usr/lib64" if soname.startswith("ld-linux") else "usr/lib/x86_64-linux-gnu"
        found[soname] = file(f"{folder}/{soname}", data, executable=True)
        queue += _needed(data)
    return list(found.values())


def modules(root: Path, stage: Path) -> list[Entry]:
    """Kernel modules, each compressed by itself, with the tables of depmod.

    They go into an archive that is not compressed as a whole: the kernel then only copies them at boot, and kmod
    decompresses the few that the machine really needs.
    """
    version = kernel_version(root)
    source = root / "lib/modules" / version
    tools.run(["depmod", "-b", str(root), version], timeout_s=_DEPMOD_S)
    shutil.rmtree(stage, ignore_errors=True)
    target = stage / "lib/modules" / version
    chosen = _closure(source)
    for name in chosen:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copyfile(source / name, target / name)
    tools.run(["zstd", "-q", "-19", "--rm", "-T1", *(str(target / name) for name in chosen)], timeout_s=600)
    tools.run(["depmod", "-b", str(stage), version], timeout_s=_DEPMOD_S)
    kept = [f"{name}.zst" for name in chosen] + [name for name in _TABLES if (target / name).exists()]
    return [file(f"usr/lib/modules/{version}/{name}", (target / name).read_bytes()) for name in kept]


def imported_modules(package: Path) -> list[str]:
    """Absolute names that the sources of a package import, except its own."""
    names: set[str] = set()
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes(), filename=path.name)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(name for name in names if name.partition(".")[0] != package.name)


def _closure(source: Path) -> list[str]:
    """File names below modules/VERSION: those of the recipe and what they depend on."""
    depends: dict[str, list[str]] = {}
    for line in (source / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        depends[name] = rest.split()
    by_name = {Path(name).stem.replace("-", "_"): name for name in depends}
    soft: dict[str, list[str]] = {}
    for line in (source / "modules.softdep").read_text().splitlines():
        words = line.split()
        if words[:1] == ["softdep"]:
            soft[words[1].replace("-", "_")] = [word for word in words[2:] if not word.endswith(":")]
    queue: list[str] = []
    for item in recipe.MODULES:
        below = [name for name in depends if name == f"kernel/{item}" or name.startswith(f"kernel/{item}/")]
        if not below:
            raise RecipeBroken(f"the kernel has no module {item}")
        queue += below
    chosen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in chosen:
            continue
        chosen.add(name)
        queue += depends[name]
        wishes = soft.get(Path(name).stem.replace("-", "_"), [])
        queue += [by_name[wish.replace("-", "_")] for wish in wishes if wish.replace("-", "_") in by_name]
    return sorted(chosen)


def _program(root: Path, name: str) -> Path:
    for folder in _PROGRAM_FOLDERS:
        if (root / folder / name).exists():
            return root / folder / name
    raise RecipeBroken(f"no package has the program {name}")


def _library(root: Path, soname: str) -> Path:
    for folder in _LIBRARY_FOLDERS:
        path = root / folder / soname
        if path.exists():
            return path
    raise RecipeBroken(f"no package has the library {soname}")


def _needed(data: bytes) -> list[str]:
    try:
        return needed(data)
    except NotElf:
        return []
