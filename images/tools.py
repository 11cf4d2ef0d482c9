"""The only place in this package that starts an external program: argv lists, never a shell, always a time limit."""

import subprocess  # noqa: TID251  (this is the wrapper that the rule asks for)
from collections.abc import Mapping, Sequence
from pathlib import Path


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
) -> str:
    """Standard output of a program, as text. Raises ToolFailed (with the end of standard error) or ToolMissing."""
    try:
        done = subprocess.run(  # noqa: S603  (argv list, no shell)
            list(argv), cwd=cwd, env=env, input=stdin, capture_output=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as cause:
        raise ToolMissing(argv[0]) from cause
    except subprocess.TimeoutExpired as cause:
        raise ToolFailed(argv, None, (cause.stderr or b"").decode(errors="replace")) from cause
    if done.returncode != 0:
        raise ToolFailed(argv, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")
