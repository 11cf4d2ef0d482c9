"""The only place in this package that starts an external program: argv lists, never a shell, always a time limit."""

import subprocess  # noqa: TID251  (this is the wrapper that the rule asks for)
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

WATCH_S = 1.0


class ToolFailed(Exception):
    """A program that builds or reads images ended with an error."""

    def __init__(self, argv: Sequence[str], code: int | None, tail: str) -> None:
        what = "ran out of time" if code is None else f"ended with {code}"
        super().__init__(f"{argv[0]} {what}: {tail.strip()[-500:]}")
        self.argv = list(argv)
        self.code = code


class ToolMissing(Exception):
    """A program that is needed is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not installed; `make setup` installs it")
        self.name = name


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    watch: Callable[[], None] | None = None,
) -> str:
    """Standard output of a program, as text. Raises ToolFailed (with the end of standard error) or ToolMissing.

    watch: called each second; what it raises ends the program.
    """
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(  # noqa: S603  (argv list, no shell)
            list(argv), cwd=cwd, env=env, stdin=None if stdin is None else pipe, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError as cause:
        raise ToolMissing(argv[0]) from cause
    with child:
        try:
            out, said = _ended(child, stdin, timeout_s, watch)
        except subprocess.TimeoutExpired as cause:
            child.kill()
            raise ToolFailed(argv, None, (cause.stderr or b"").decode(errors="replace")) from cause
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise ToolFailed(argv, child.returncode, said.decode(errors="replace"))
    return out.decode(errors="replace")


def _ended(
    child: "subprocess.Popen[bytes]", stdin: bytes | None, timeout_s: float, watch: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    if watch is None:
        return child.communicate(stdin, timeout_s)
    ends = time.monotonic() + timeout_s
    while True:
        try:
            return child.communicate(stdin, WATCH_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() >= ends:
                raise
            watch()
            stdin = None  # the rest of it is on its way already
