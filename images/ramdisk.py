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
    root = ramdisk_apt.unpack(ramdisk_recipe.PACKAGES, names, cache_dir, report)
    imports = sorted({*ramdisk_tree.imported_modules(agent_dir), *ramdisk_recipe.PYTHON_EXTRA})
    scripts = [_DATA / "init", _DATA / "udhcpc"]
    agent_sources = _texts([*sorted(agent_dir.rglob("*.py")), _DATA / "freeze.py", *scripts])
    recipe = [*names, *_texts(_HERE / name for name in _SOURCES)]
    initrd = b""
    for name, inputs, make in (
        ("modules", recipe, lambda: _modules(root, cache_dir)),
        ("system", [*recipe, *imports, *_texts([_DATA / "freeze.py"])], lambda: _system(root, imports, cache_dir)),
        ("agent", [root.name, *agent_sources], lambda: _agent(root, agent_dir, scripts, cache_dir)),
    ):
        initrd += _kept(cache_dir, name, inputs, make, report).read_bytes()
    version = ramdisk_tree.kernel_version(root)
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


def _kept(cache_dir: Path, name: str, inputs: list[str], make: Callable[[], bytes], report: Report) -> Path:
    """The archive of these inputs, made now unless it was kept from an earlier build."""
    path = cache_dir / f"{name}-{_hash(inputs)}"
    if not path.exists():
        report(f"packing the {name} archive of the ramdisk")
        data = make()
        for old in cache_dir.glob(f"{name}-*"):
            old.unlink()
        _replace(path, data)
    return path


def _modules(root: Path, cache_dir: Path) -> bytes:
    return archive(ramdisk_tree.modules(root, cache_dir / "stage"))


def _system(root: Path, imports: list[str], cache_dir: Path) -> bytes:
    work = _empty(cache_dir / "work")
    _python(root, "library", str(work), *imports)
    python = _python_program(root)
    entries = ramdisk_tree.skeleton() + ramdisk_tree.programs(root, python) + _frozen(work / "lib", python.name)
    entries += ramdisk_tree.libraries(root, entries)
    return _compressed(archive(entries), work, level=19)


def _agent(root: Path, agent_dir: Path, scripts: list[Path], cache_dir: Path) -> bytes:
    work = _empty(cache_dir / "work")
    _python(root, "agent", str(agent_dir), str(work))
    init, udhcpc = scripts
    entries = [
        file("agent.pyz", zip_application(work)),
        file("init", init.read_bytes(), executable=True),
        file("etc/udhcpc", udhcpc.read_bytes(), executable=True),
    ]
    return _compressed(archive(entries), work, level=12)


def zip_application(tree: Path) -> bytes:
    """A zip that Python runs: the package `agent` below tree, and a `__main__` that starts it. No times,
    no compression.

    tree holds `agent/…` as byte code or as sources.
    """
    start = b"from agent.__main__ import main\nraise SystemExit(main())\n"
    content = {"__main__.py": start}
    for path in (tree / "agent").rglob("*.py*"):
        if path.parent.name != "__pycache__":
            content[str(path.relative_to(tree))] = path.read_bytes()
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


def _compressed(data: bytes, work: Path, *, level: int) -> bytes:
    plain, packed = work / "cpio", work / "cpio.zst"
    plain.write_bytes(data)
    tools.run(["zstd", "-q", "-f", "-T1", f"-{level}", str(plain), "-o", str(packed)], timeout_s=_ZSTD_S)
    return padded(packed.read_bytes())


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


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
