"""Verbs that work on a machine without taking its instance away: rescue, unrescue, service; and unhold."""

from pathlib import Path
from typing import Any

import click

from appliance.main.cli.frame import file_option, verb
from appliance.main.cli.instance import steps_of
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.moves import ask, path_of, simple, sure
from appliance.main.cli.targets import filter_option, node_arguments, pick, yes_option

Json = dict[str, Any]

HOLD: Json = {"interface": "power", "step": "hold", "args": {}}

unrescue = simple("unrescue", "active", "End the rescue and start the machine from its own disk again.")
unhold = simple("unhold", None, "Go on with work that holds: the step after `hold` is next.")


@verb("rackwright node rescue n1 --wait", data=True, waits=True)
@node_arguments(required=False)
@file_option("--password-file", help_text="The password to log in with; first line of FILE, - for standard input.")
@filter_option
@yes_option
def rescue(
    inv: Invocation,
    *,
    nodes: tuple[str, ...],
    password_file: Path | None,
    filters: tuple[str, ...],
    yes: bool,
    most: int,
    wait: str | None,
    detach: bool,
) -> int:
    """Boot a rescue system beside the node's disk, and let in whoever knows the password: ssh rescue@ADDRESS."""
    refs = pick(inv, nodes, filters, most=most)
    sure(inv, "rescue", refs, "the instance is switched off until the rescue ends", yes=yes)
    body = {"rescue_password": inv.password("Rescue password", password_file, option="--password-file", again=True)}
    return ask(inv, refs, lambda ref: ("POST", path_of(ref, "rescue"), body), goal="rescue", wait=wait, detach=detach)


@verb("rackwright node service n1 --steps steps.json --yes --wait", data=True, waits=True)
@node_arguments(required=False)
@file_option("--steps", help_text="JSON list of steps; without it the agent's system waits for `unhold`.")
@click.option("--no-ramdisk", is_flag=True, help="Do not boot the agent: for steps that need none.")
@filter_option
@yes_option
def service(
    inv: Invocation,
    *,
    nodes: tuple[str, ...],
    steps: Path | None,
    no_ramdisk: bool,
    filters: tuple[str, ...],
    yes: bool,
    most: int,
    wait: str | None,
    detach: bool,
) -> int:
    """Work on an active node: boot the agent, run steps, and start its own disk again."""
    refs = pick(inv, nodes, filters, most=most)
    sure(inv, "service", refs, "the instance is interrupted", yes=yes)
    body: Json = {"service_steps": [HOLD] if steps is None else steps_of(steps), "disable_ramdisk": no_ramdisk}
    return ask(inv, refs, lambda ref: ("POST", path_of(ref, "service"), body), goal=None, wait=wait, detach=detach)
