"""The `rackwright` command. Says to the API what people type; decides nothing and reads no database.

`main` is the composition: it runs the command tree of `frame` and `registry` and turns every ending into an exit code.
Start-up is a budget (`--version` 150 ms, `--help` 250 ms), so modules are imported where they are used.
"""

import os
import sys
from collections.abc import Sequence

__all__ = ["main", "version"]


def version() -> str:
    """The installed distribution's version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("rackwright")
    except PackageNotFoundError:
        return "unknown (not installed)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args in (["--version"], ["-V"]):
        print(f"rackwright {version()}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = 1
    try:
        code = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`| head`). Python flushes stdout once more at exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(args: list[str]) -> int:
    import click

    from appliance.domain.errors import RackwrightError
    from appliance.main.cli.exits import Exit, Failure, from_client, from_here, from_system, tell, usage
    from appliance.main.cli.root import root
    from appliance.main.client_errors import ClientError

    try:
        result = root.main(args=args, prog_name="rackwright", standalone_mode=False)
        return int(result) if isinstance(result, int) else 0
    except Failure as caught:
        failure = caught
    except ClientError as error:
        failure = from_client(error)
    except RackwrightError as error:
        failure = from_here(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        failure = from_system(error)
    except click.UsageError as error:
        where = f"{error.ctx.command_path} --help" if error.ctx else "rackwright --help"
        failure = usage(error.format_message(), next_step=where)
    except click.ClickException as error:
        failure = usage(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        # No error: this is how a stream is ended. What goes on elsewhere was said by who waited for it.
        print("\ninterrupted", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    tell(failure, as_json=_wants_json(args))
    return int(failure.exit_code)


def _wants_json(args: Sequence[str]) -> bool:
    """Whether errors should be JSON; asked of the words, because a failed parse has left nothing else."""
    words = " ".join(args)
    return "--json" in args or any(f"{flag}{gap}json" in words for flag in ("-o", "--output") for gap in (" ", "=", ""))
