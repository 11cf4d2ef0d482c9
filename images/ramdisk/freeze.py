"""Run by the ramdisk's own Python at build time: compile what the agent can import, and nothing else.

freeze.py OUT MODULE... : OUT/lib receives sourceless byte code and extension modules. Byte code must come from the
interpreter that will run it, so this is not done by the Python that builds the ramdisk.
"""

import importlib
import py_compile
import shutil
import sys
import sysconfig
from pathlib import Path


def main(out: Path, names: list[str]) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            # `from package import name` may name a function; the package itself must be there.
            importlib.import_module(name.rpartition(".")[0] or name)
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if source is None or not Path(source).is_relative_to(library):
            continue
        target = out / "lib" / Path(source).relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".py":
            py_compile.compile(
                source,
                cfile=str(target.with_suffix(".pyc")),
                dfile=str(Path(source).relative_to(library)),
                doraise=True,
                optimize=2,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        else:
            shutil.copyfile(source, target)


def compile_agent(source: Path, out: Path) -> None:
    """The agent keeps its assertions and docstrings: it is small, and a message from the field must be readable."""
    for path in sorted(source.rglob("*.py")):
        target = out / "agent" / path.relative_to(source).with_suffix(".pyc")
        target.parent.mkdir(parents=True, exist_ok=True)
        py_compile.compile(
            str(path),
            cfile=str(target),
            dfile=f"agent/{path.relative_to(source)}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    if sys.argv[1] == "agent":
        compile_agent(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[2]), sys.argv[3:])
