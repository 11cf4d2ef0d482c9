"""Build the agent's ramdisk: a kernel and an initrd, from Debian packages, as three archives one after the other.

1. modules, each compressed alone, in an archive that the kernel only copies;
2. everything else that comes from Debian, as one zstd archive;
3. the agent and the start script, as a small zstd archive, so that a change there costs a second and not a minute.

Each part is kept in cache_dir under a hash of its inputs; equal inputs give equal bytes.
Not here: the tables (ramdisk_recipe), choosing files (ramdisk_tree), apt (ramdisk_apt).
"""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from images import ramdisk_apt, ramdisk_recipe, ramdisk_tree, tools
from images.ramdisk_cpio import Entry, archive, file, padded

Report = Callable[[str], None]

_HERE = Path(__file__).parent
_DATA = _HERE / "ramdisk"
_AGENT = _HERE.parent / "agent"
_SOURCES = ("ramdisk_apt.py", "ramdisk_cpio.py", "ramdisk_elf.py", "ramdisk_recipe.py", "ramdisk_tree.py", "ramdisk.py")
_PYTHON_S = 120
_ZSTD_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class RamdiskInfo:
    """size_bytes: kernel and initrd together, which is what a machine loads at each boot."""

    vmlinuz: Path
    initrd: Path
    kernel_version: str
    size_bytes: int
    sha256: dict[str, str]


def build(out_dir: Path, cache_dir: Path, *, report: Report, agent_dir: Path = _AGENT) -> RamdiskInfo:
    """Write `vmlinuz` and `initrd` to out_dir, each replaced in one step, doing only what changed since last time.

    Needs root's apt lists and the programs apt-get, dpkg-deb, depmod and zstd.
    Raises ToolMissing, ToolFailed, RecipeBroken.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    names = ramdisk_apt.resolve(ramdisk_recipe.PACKAGES, cache_dir)
    imports = sorted({*ramdisk_tree.imported_modules(agent_dir), *ramdisk_recipe.PYTHON_EXTRA})
    key = _hash([*names, *imports, *_texts(_HERE / name for name in _SOURCES), *_texts([_DATA / "freeze.py"])])
    base = cache_dir / f"base-{key}"
    root = ramdisk_apt.unpack(ramdisk_recipe.PACKAGES, names, cache_dir, report)
    if not base.is_dir():
        _build_base(root, imports, base, cache_dir, report)
    agent = _agent_archive(root, agent_dir, cache_dir, report)
    version = ramdisk_tree.kernel_version(root)
    initrd = (base / "modules").read_bytes() + (base / "system").read_bytes() + agent.read_bytes()
    _replace(out_dir / "initrd", initrd)
    _replace(out_dir / "vmlinuz", (root / f"boot/vmlinuz-{version}").read_bytes())
    paths = {name: out_dir / name for name in ("vmlinuz", "initrd")}
    return RamdiskInfo(
        vmlinuz=paths["vmlinuz"],
        initrd=paths["initrd"],
        kernel_version=version,
        size_bytes=sum(path.stat().st_size for path in paths.values()),
        sha256={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()},
    )


def _build_base(root: Path, imports: list[str], base: Path, cache_dir: Path, report: Report) -> None:
    for old in cache_dir.glob("base-*"):
        shutil.rmtree(old)
    work = cache_dir / "base-work"
    work.mkdir()
    report("packing the kernel modules")
    (work / "modules").write_bytes(archive(ramdisk_tree.modules(root, cache_dir / "stage")))
    report("compiling the Python library")
    _python(root, "library", str(work / "python"), *imports)
    python = _python_program(root)
    entries = ramdisk_tree.skeleton() + ramdisk_tree.programs(root, python) + _frozen(work / "python/lib", python.name)
    entries += ramdisk_tree.libraries(root, entries)
    report("compressing the system")
    _compress(archive(entries), work / "system", level=19)
    shutil.rmtree(work / "python")
    work.rename(base)


def _agent_archive(root: Path, agent_dir: Path, cache_dir: Path, report: Report) -> Path:
    """The third archive, made again when a source of the agent or a start script changed."""
    scripts = [_DATA / "init", _DATA / "udhcpc"]
    key = _hash([root.name, *_texts(scripts), *_texts([*sorted(agent_dir.rglob("*.py")), _DATA / "freeze.py"])])
    kept = cache_dir / f"agent-{key}"
    if kept.exists():
        return kept
    report("packing the agent")
    for old in cache_dir.glob("agent-*"):
        old.unlink() if old.is_file() else shutil.rmtree(old)
    compiled = cache_dir / "agent-work"
    _python(root, "agent", str(agent_dir), str(compiled))
    entries = [
        file("agent.pyz", zip_application(compiled)),
        file("init", scripts[0].read_bytes(), executable=True),
        file("etc/udhcpc", scripts[1].read_bytes(), executable=True),
    ]
    _compress(archive(entries), kept, level=12)
    shutil.rmtree(compiled)
    return kept


def zip_application(tree: Path) -> bytes:
    """A zip that Python runs: the package `agent` below tree, and a `__main__` that starts it. No times, not compressed.

    tree holds `agent/…` as byte code or as sources.
    """
    start = b"from agent.__main__ import main\nraise SystemExit(main())\n"
    content = {"__main__.py": start}
    content |= {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*.py*") if path.is_file()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(content):
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content[name])
    return out.getvalue()


def _frozen(folder: Path, python: str) -> list[Entry]:
    return [
        file(f"usr/lib/{python}/{path.relative_to(folder)}", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _python_program(root: Path) -> Path:
    found = [path for path in (root / "usr/bin").glob("python3.*") if path.name.removeprefix("python3.").isdigit()]
    if len(found) != 1:
        raise ramdisk_tree.RecipeBroken(f"expected one Python, found {found}")
    return found[0]


def _python(root: Path, *arguments: str) -> None:
    """Run freeze.py with the Python of the packages, through its own loader and libraries: no chroot needed."""
    loader = root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    folders = f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"
    program = str(_python_program(root))
    script = str(_DATA / "freeze.py")
    argv = [str(loader), "--library-path", folders, program, "-I", "-S", "-B", script, *arguments]
    tools.run(argv, timeout_s=_PYTHON_S)


def _compress(data: bytes, target: Path, *, level: int) -> None:
    plain = target.with_name(f"{target.name}.cpio")
    plain.write_bytes(data)
    packed = target.with_name(f"{target.name}.zst")
    tools.run(["zstd", "-q", "-f", "-T1", f"-{level}", "--rm", str(plain), "-o", str(packed)], timeout_s=_ZSTD_S)
    target.write_bytes(padded(packed.read_bytes()))
    packed.unlink()


def _replace(target: Path, data: bytes) -> None:
    if target.exists() and target.stat().st_size == len(data) and target.read_bytes() == data:
        return
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(data)
    partial.replace(target)


def _texts(paths: Iterable[Path]) -> list[str]:
    return [f"{path.name}\n{path.read_text()}" for path in paths]


def _hash(parts: list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]
