"""Lifecycle verbs: one request per node, then, with --wait, their end. Every node gets a row in the result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from appliance.main.cli.columns import RESULT
from appliance.main.cli.exits import Exit, combined, from_client, tell, usage
from appliance.main.cli.frame import DEFAULT_WAIT, file_option, seconds, verb
from appliance.main.cli.instance import instance_body, instance_options, steps_of
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.targets import filter_option, missing, node_arguments, pick, yes_option
from appliance.main.cli.waiting import Target, wait_for
from appliance.main.client_errors import ApiError

Json = dict[str, Any]
Request = tuple[str, str, Json]
"""Method, path and body of one request."""


def ask(
    inv: Invocation,
    refs: Sequence[str],
    request: Callable[[str], Request],
    *,
    goal: str | None,
    wait: str | None,
    detach: bool,
) -> int:
    """Ask each node, wait if told to, show the results. request: ref -> (method, path, body)."""
    if wait is not None and detach:
        raise usage("--wait and --detach exclude each other")
    limit_s = None if wait is None else seconds(wait)
    targets = [_request(inv, ref, request, goal=goal, is_only=len(refs) == 1) for ref in refs]
    accepted = [target for target in targets if target.exit_code is Exit.OK]
    if limit_s is not None and accepted:
        wait_for(inv, accepted, limit_s)
    inv.show(RESULT, (target.row() for target in targets))
    if inv.style.chosen is None:
        _say_where(inv, accepted)
    if limit_s is None and accepted and inv.style.chosen is None:
        inv.note(f"follow: rackwright node wait {' '.join(target.name for target in accepted[:10])}")
    return int(combined([target.exit_code for target in targets]))


def _say_where(inv: Invocation, targets: Sequence[Target]) -> None:
    """How to log in to what was just brought up; of a few, since `node list` shows all."""
    for target in targets[:10]:
        address = (target.node.get("instance") or {}).get("address")
        if target.goal == "active" and target.result == "done" and address:
            inv.note(f"{target.name} is up: ssh USER@{address}   (debian in our images)")


def _request(
    inv: Invocation, ref: str, request: Callable[[str], Request], *, goal: str | None, is_only: bool
) -> Target:
    target = Target(ref=ref, name=ref, goal=goal)
    method, path, body = request(ref)
    try:
        answer = inv.client().call(method, path, body=body).body
    except ApiError as error:
        failure = missing(inv, ref, error) if error.status == 404 else from_client(error)
        if is_only or failure.exit_code is Exit.DENIED:
            raise failure from error
        tell(failure, as_json=inv.style.is_json)
        target.result, target.exit_code, target.reason = "refused", failure.exit_code, failure.message
        return target
    if isinstance(answer, dict):
        node = answer["node"] if isinstance(answer.get("node"), dict) else answer
        flow = answer.get("flow")
        target.node = node
        target.flow = flow.get("uuid") if isinstance(flow, dict) else None
        target.name = str(node.get("name") or node.get("uuid") or ref)
        # A node may be renamed while we wait, and a MAC may move; its UUID stays.
        target.ref = str(node.get("uuid") or ref)
    return target


def path_of(ref: str, tail: str) -> str:
    from appliance.main.client import part

    return f"/v1/nodes/{part(ref)}/{tail}"


def simple(name: str, goal: str | None, help_text: str) -> Any:
    """A verb without a body."""

    @verb(f"rackwright node {name} n1 n2 --wait", data=True, waits=True)
    @node_arguments(required=False)
    @filter_option
    def command(
        inv: Invocation, *, nodes: tuple[str, ...], filters: tuple[str, ...], wait: str | None, detach: bool
    ) -> int:
        refs = pick(inv, nodes, filters)
        return ask(inv, refs, lambda ref: ("POST", path_of(ref, name), {}), goal=goal, wait=wait, detach=detach)

    command.help = help_text
    return command


manage = simple(
    "manage", "manageable", "Log in to the BMC, and take the node under management: `enroll` becomes `manageable`."
)
inspect = simple("inspect", "manageable", "Boot the agent on the node and take stock of its hardware.")
provide = simple("provide", "available", "Clean the node's disks and make it `available` for a deployment.")
adopt = simple("adopt", "active", "Take over a machine that already runs its system, without touching its disks.")
abort = simple("abort", None, "Stop what the node is doing. It comes to rest in a state that says what was stopped.")


def _destructive(name: str, goal: str, harm: str, help_text: str) -> Any:
    """A verb that loses what is on the disks."""

    @verb(f"rackwright node {name} n1 --yes --wait", data=True, waits=True)
    @node_arguments(required=False)
    @filter_option
    @yes_option
    def command(
        inv: Invocation,
        *,
        nodes: tuple[str, ...],
        filters: tuple[str, ...],
        yes: bool,
        most: int,
        wait: str | None,
        detach: bool,
    ) -> int:
        refs = pick(inv, nodes, filters, most=most)
        sure(inv, name, refs, harm, yes=yes)
        return ask(inv, refs, lambda ref: ("POST", path_of(ref, name), {}), goal=goal, wait=wait, detach=detach)

    command.help = help_text
    return command


def sure(inv: Invocation, name: str, refs: Sequence[str], harm: str, *, yes: bool) -> None:
    """Ask before damage, naming what is meant."""
    if refs:
        shown = ", ".join(refs[:10]) + (f" and {len(refs) - 10} more" if len(refs) > 10 else "")
        inv.confirm(f"{name} {shown}: {harm}", yes=yes)


undeploy = _destructive(
    "undeploy", "available", "the instance is lost and the disks are cleaned",
    "Take the instance away and clean the disks; the node becomes `available` again.",
)  # fmt: skip


@verb("rackwright node clean n1 --method metadata --yes --wait", data=True, waits=True)
@node_arguments(required=False)
@click.option("--method", type=click.Choice(["metadata", "shred"]),
              help="metadata: partition tables and file system labels (unless said); shred: every byte.")  # fmt: skip
@file_option("--steps", help_text="JSON list of the steps to run, in place of --method.")
@click.option("--no-ramdisk", is_flag=True, help="Do not boot the agent: for steps that need none.")
@filter_option
@yes_option
def clean(
    inv: Invocation,
    *,
    nodes: tuple[str, ...],
    method: str | None,
    steps: Path | None,
    no_ramdisk: bool,
    filters: tuple[str, ...],
    yes: bool,
    most: int,
    wait: str | None,
    detach: bool,
) -> int:
    """Clean the disks of a manageable node now. It stays `manageable`."""
    if steps is not None and method is not None:
        raise usage("--steps and --method exclude each other")
    if no_ramdisk and steps is None:
        raise usage("--no-ramdisk needs --steps", why="the disks are erased by the agent")
    refs = pick(inv, nodes, filters, most=most)
    body: Json = {"method": method or "metadata"}
    if steps is not None:
        body = {"clean_steps": steps_of(steps), "disable_ramdisk": no_ramdisk}
    how = "by steps" if steps is not None else body["method"]
    sure(inv, "clean", refs, f"what is on the disks is lost ({how})", yes=yes)
    return ask(
        inv, refs, lambda ref: ("POST", path_of(ref, "clean"), body), goal="manageable", wait=wait, detach=detach
    )


@verb("rackwright node deploy n1 --image debian-12 --ssh-key ~/.ssh/id_ed25519.pub --wait", data=True, waits=True)
@node_arguments(required=False)
@instance_options(image_required=True)
@filter_option
def deploy(
    inv: Invocation,
    *,
    nodes: tuple[str, ...],
    filters: tuple[str, ...],
    wait: str | None,
    detach: bool,
    **wishes: Any,
) -> int:
    """Write an image to the node's disk, add the configuration for cloud-init and start it."""
    refs = pick(inv, nodes, filters)
    body = instance_body(refs, wishes)
    return ask(inv, refs, lambda ref: ("POST", path_of(ref, "deploy"), body), goal="active", wait=wait, detach=detach)


@verb("rackwright node rebuild n1 --image debian-12 --yes --wait", data=True, waits=True)
@node_arguments(required=False)
@instance_options(image_required=False)
@filter_option
@yes_option
def rebuild(
    inv: Invocation,
    *,
    nodes: tuple[str, ...],
    filters: tuple[str, ...],
    yes: bool,
    most: int,
    wait: str | None,
    detach: bool,
    **wishes: Any,
) -> int:
    """Write the disk of an active node anew: the same image, keys and user-data, or those that are named."""
    refs = pick(inv, nodes, filters, most=most)
    body = instance_body(refs, wishes)
    sure(inv, "rebuild", refs, "what is on the disk is lost", yes=yes)
    return ask(inv, refs, lambda ref: ("POST", path_of(ref, "rebuild"), body), goal="active", wait=wait, detach=detach)


@verb("rackwright node wait n1 n2 --for active", data=True)
@node_arguments(required=False)
@click.option("--for", "goal", metavar="STATE", help="The state that is success; any state of rest unless said.")
@click.option("--timeout", default=DEFAULT_WAIT, show_default=True, metavar="DURATION", help="At most so long.")
@filter_option
def wait(inv: Invocation, *, nodes: tuple[str, ...], goal: str | None, timeout: str, filters: tuple[str, ...]) -> int:
    """Wait until nodes come to rest. Also the way back to a wait that Ctrl-C ended."""
    limit_s = seconds(timeout)
    targets = [Target(ref=ref, name=ref, goal=goal) for ref in pick(inv, nodes, filters)]
    if targets:
        wait_for(inv, targets, limit_s)
    inv.show(RESULT, (target.row() for target in targets))
    return int(combined([target.exit_code for target in targets]))


@verb('rackwright node maintenance on n1 --reason "bad DIMM"', data=True)
@click.argument("switch", type=click.Choice(["on", "off"]), metavar="on|off")
@node_arguments()
@click.option("--reason", metavar="TEXT", help="Shown to everybody who looks at the node.")
def maintenance(inv: Invocation, *, switch: str, nodes: tuple[str, ...], reason: str | None) -> int:
    """Set nodes aside, so that nothing is done to them by itself; or take them back."""
    if reason and switch == "off":
        raise usage("--reason goes with `on` only")
    method = "PUT" if switch == "on" else "DELETE"
    body: Json = {"reason": reason} if reason else {}
    targets = [
        _request(inv, ref, lambda ref: (method, path_of(ref, "maintenance"), body), goal=None, is_only=len(nodes) == 1)
        for ref in dict.fromkeys(nodes)
    ]
    for target in targets:
        if target.exit_code is Exit.OK:
            target.result = f"maintenance {switch}"
    inv.show(RESULT, (target.row() for target in targets))
    return int(combined([target.exit_code for target in targets]))
