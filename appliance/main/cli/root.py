"""The command tree's root: the shared options and the table of commands."""

from collections.abc import Sequence
from typing import Any

import click

from appliance.main.cli.frame import GROUP, Noun, output_options, place_options
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.registry import COMMANDS


def _print_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        from appliance.main.cli import version

        print(f"rackwright {version()}")
        ctx.exit()


def _hidden(options: Sequence[click.Parameter]) -> Sequence[click.Parameter]:
    """Understood before the command too, and told of in the help of the commands that they matter to."""
    for option in options:
        if isinstance(option, click.Option):
            option.hidden = True
    return options


class Root(Noun):
    """Makes the Invocation that every command is handed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A context that carries an Invocation from the first option on."""
        extra.setdefault("obj", Invocation())
        return super().make_context(info_name, args, parent, **extra)


root = Root(
    name="rackwright",
    table=COMMANDS,
    example="rackwright node list -o wide",
    help="Turns bare servers into running instances.",
    params=[
        *place_options(),
        *_hidden(output_options()),
        click.Option(
            ("--version", "-V"), is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
            help="Print the version.",
        ),
    ],
    **GROUP,
)  # fmt: skip
