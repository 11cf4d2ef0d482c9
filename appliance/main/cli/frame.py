"""The frame of every command: lazily loaded groups, shared options, help that opens with an example.

A group knows its commands from the literal table in `registry`: names and summaries. A command's module is imported
when that command is called or asked for its own help, so `--help` of a group costs no import.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import click

from appliance.main.cli.exits import usage
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.output import FORMATS
from appliance.main.cli.registry import Entry

Reach = Literal["api", "state", "none"]
"""What a command works on: the appliance over its API, the state directory of this machine, or neither."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)\Z")
_FACTOR = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
DEFAULT_WAIT = "30m"


def seconds(text: str) -> float:
    """`90`, `90s`, `15m`, `2h` as seconds. At most a week: no wait is for ever."""
    match = _DURATION.match(text.strip().lower())
    value = float(match[1]) * _FACTOR[match[2]] if match else -1.0
    if not 0 <= value <= 7 * 86400:
        raise usage(f"{text!r} is not a duration", next_step="write 90s, 15m or 2h; at most a week")
    return value


class Verb(click.Command):
    """A command. example: the first line of its help."""

    def __init__(
        self,
        *args: Any,
        example: str = "",
        data: bool = False,
        reach: Reach = "api",
        waits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.groups: dict[str, list[click.Parameter]] = {"Options": list(self.params)}
        if waits:
            self.groups["Waiting"] = wait_options()
        if data:
            self.groups["Output"] = output_options()
        self.groups["Connection" if reach == "api" else "General"] = {
            "api": place_options,
            "state": lambda: [_state_option(), *general_options()],
            "none": general_options,
        }[reach]()
        self.params = [param for group in self.groups.values() for param in group]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--wait` has an optional value, which click would take from the next word: say it with `=` for it."""
        spoken: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "--":
                spoken += [word, *rest]
                break
            if word == "--wait" and "Waiting" in self.groups:
                has_value = bool(rest) and re.fullmatch(r"\d+(\.\d+)?(ms|s|m|h)", rest[0]) is not None
                word = f"--wait={rest.pop(0) if has_value else DEFAULT_WAIT}"
            spoken.append(word)
        return super().parse_args(ctx, spoken)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Example, usage, text, options by group."""
        if self.example:
            formatter.write(f"{self.example}\n\n")
        super().format_help(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section per group of options."""
        for title, params in self.groups.items():
            options = [param for param in params if isinstance(param, click.Option)]
            records = [record for param in options if (record := param.get_help_record(ctx)) is not None]
            if title == "Options" and (own := self.get_help_option(ctx)) is not None:
                records += [record for record in [own.get_help_record(ctx)] if record is not None]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Noun(click.Group):
    """A group whose commands are looked up in a table and imported on use."""

    def __init__(self, *args: Any, table: Mapping[str, Entry], example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.example = example

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click's signature)
        """Import the command's module."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        if entry.table is not None:
            return Noun(name=cmd_name, table=entry.table, example=entry.example, help=entry.summary, **GROUP)
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(f"appliance.main.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is not a command")
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a word that is no command."""
        if args and not args[0].startswith("-") and args[0] not in self.table:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.table, n=3, cutoff=0.5)
            raise usage(
                f"there is no command '{ctx.command_path} {args[0]}'",
                next_step=f"did you mean {' or '.join(repr(word) for word in near)}?"
                if near
                else f"{ctx.command_path} --help",
            )
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Example first."""
        if self.example:
            formatter.write(f"{self.example}\n\n")
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        """Sections of the table; nothing is imported."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.table.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


GROUP: dict[str, Any] = {"context_settings": {"help_option_names": ["-h", "--help"]}, "no_args_is_help": True}


def verb(example: str, *, data: bool = False, reach: Reach = "api", waits: bool = False) -> Callable[[Any], Verb]:
    """Make a function a command. data: has -o and its kin. waits: has --wait. reach: which options say where."""

    def make(function: Any) -> Verb:
        return click.command(
            cls=Verb, example=example, data=data, reach=reach, waits=waits, context_settings=GROUP["context_settings"]
        )(click.pass_obj(function))

    return make


def _put(holder: str, name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        invocation = ctx.find_object(Invocation)
        if invocation is not None and value is not None:
            target = getattr(invocation, holder) if holder else invocation
            setattr(target, name, value)

    return store


def _shared(*words: str, holder: str, store: str, **kwargs: Any) -> click.Option:
    return click.Option(words, expose_value=False, callback=_put(holder, store), **kwargs)


def place_options() -> list[click.Parameter]:
    """Where the appliance is; understood before and after the command."""
    path = {"metavar": "FILE", "type": click.Path(dir_okay=False)}
    return [
        _shared("--url", holder="asked", store="url", metavar="URL", help="The appliance, https://HOST:8443."),
        _shared("--ca", holder="asked", store="ca", help="PEM file of the CA to trust.", **path),
        _shared(
            "--token", holder="asked", store="token", metavar="TOKEN",
            help="Better: RACKWRIGHT_TOKEN or login; argv is public.",
        ),
        _state_option(),
        _shared("--profile", holder="asked", store="profile", metavar="NAME", help="A login saved under that name."),
        *general_options(),
    ]  # fmt: skip


def _state_option() -> click.Option:
    text = "The state directory, on the appliance itself."
    return _shared("--state", holder="asked", store="state", metavar="DIR", help=text)


def general_options() -> list[click.Parameter]:
    """For every command."""
    return [_shared("--no-input", holder="", store="no_input", is_flag=True, default=None, help="Never ask; fail.")]


def output_options() -> list[click.Parameter]:
    """How data is written."""
    return [
        _shared(
            "-o", "--output", holder="style", store="chosen", type=click.Choice(FORMATS), metavar="FORMAT",
            help="table, wide, json, jsonl, yaml, csv, name, plain.",
        ),
        _shared(
            "--json", holder="style", store="chosen", is_flag=True, flag_value="json", default=None,
            help="The same as -o json.",
        ),
        _shared("--fields", holder="style", store="fields", metavar="A,B.C", help="Only these fields, in this order."),
        _shared("--sort", holder="style", store="sort", metavar="[-]FIELD", help="Sort; - turns it round."),
        _shared(
            "--no-headers", holder="style", store="headers", is_flag=True, flag_value=False, default=None,
            help="No line of column names.",
        ),
    ]  # fmt: skip


class _Wait(click.Option):
    """`--wait`, whose value is optional (see Verb.parse_args)."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  (click's signature)
        return "--wait[=DURATION]", self.help or ""


def wait_options() -> list[click.Parameter]:
    """`--wait[=DURATION]` and its opposite."""
    return [
        _Wait(("--wait",), help=f"Wait for the end of it; at most {DEFAULT_WAIT} unless said."),
        click.Option(("--detach",), is_flag=True, help="Do not wait (the default)."),
    ]


def file_option(*words: str, help_text: str) -> Callable[[Any], Any]:
    """An option that names a file to read; `-` is standard input."""
    return click.option(*words, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=help_text)
