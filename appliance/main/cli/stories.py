"""What happened to a node: `node timeline`, `node why`, `node console`."""

import codecs
import re
import sys
from typing import Any

import click

from appliance.domain.clock import system_clock
from appliance.main.cli.columns import EVENT, PLAIN
from appliance.main.cli.frame import seconds, verb
from appliance.main.cli.hardware import read_part
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.output import show_list
from appliance.main.cli.targets import fetch, missing, node_arguments
from appliance.main.cli.text import inert
from appliance.main.client_errors import ApiError

Json = dict[str, Any]

# ECMA-48 §5.4 control sequences, and operating system commands up to their end: how consoles colour and move.
_SEQUENCE = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)|\x1b[()][0-9A-B]|\x1b[=>78]"
)
_UNFINISHED = re.compile("\x1b(?:\\[[0-?]*[ -/]*|\\][^\x07\x1b]{0,4096}\x1b?|[()])?\\Z")
HELD_BACK = 4200
"""Characters of an unfinished sequence that we wait for; a longer one is shown as it is, escaped."""


@verb("rackwright node timeline n1 --follow", data=True)
@node_arguments(many=False)
@click.option("--follow", is_flag=True, help="Then go on with each event as it happens.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Events at most.")
def timeline(inv: Invocation, *, node: str, follow: bool, limit: int) -> None:
    """Show the phases of a node as bars on one scale, then its events. In a pipe: the events, tab-separated.

    -o json gives the appliance's whole document.
    """
    from appliance.main.client import part

    try:
        document = inv.client().get(f"/v1/nodes/{part(node)}/timeline", limit=limit)
    except ApiError as error:
        raise missing(inv, node, error) from error
    form = inv.style.format
    if form in {"json", "yaml"} and not follow:
        inv.show_one(PLAIN, {"format": "rackwright.timeline/1", **document})
        return
    if form in {"table", "wide"}:
        _draw(document)
        print()
    events = [event for event in document.get("items") or [] if isinstance(event, dict)]
    inv.show(EVENT, events)
    if follow:
        sys.stdout.flush()
        _go_on(inv, node, document, events)


def _draw(document: Json) -> None:
    from appliance.main.cli.progress import clock
    from appliance.main.cli.table import terminal_width
    from appliance.main.cli.timeline import phases_of, picture, runs

    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    for number, (rest_s, phases) in enumerate(runs(phases_of(document, system_clock()))):
        if number:
            print(f"-- nothing for {clock(rest_s)} --")
        for line in picture(phases, width=terminal_width(), ascii_only=ascii_only):
            print(line)


def _go_on(inv: Invocation, node: str, document: Json, events: list[Json]) -> None:
    from dataclasses import replace

    from appliance.main.cli.stream import follow, latest

    cursor = document.get("next") or (events[-1].get("id") if events else None) or latest(inv)
    form = "jsonl" if inv.style.is_json or inv.style.format == "yaml" else "plain"
    style = replace(inv.style, chosen=form, headers=False)
    for event in follow(inv, cursor, node=node):
        show_list(style, EVENT, [event])
        sys.stdout.flush()


@verb("rackwright node why n1", data=True)
@node_arguments(many=False)
def why(inv: Invocation, *, node: str) -> None:
    """Say what a node waits for, since when and until when; or where it failed, why, and what to do next."""
    answer = read_part(inv, node, "why")
    if inv.style.chosen is not None:
        inv.show_one(PLAIN, answer)
        return
    shown = [f"{key}: {inert(str(answer[key]))}" for key in ("why", "next") if answer.get(key)]
    lead = next((answer[key] for key in ("sentence", "message") if answer.get(key)), None)
    if lead:
        print(inert(str(lead)))
        for line in shown:
            print(line)
    else:
        inv.show_one(PLAIN, answer)


@verb("rackwright node console n1")
@node_arguments(many=False)
@click.option("--raw", is_flag=True, help="Pass control sequences to the terminal. Only for machines you trust.")
@click.option("--for", "duration", metavar="DURATION", help="End after so long.")
def console(inv: Invocation, *, node: str, raw: bool, duration: str | None) -> None:
    """Stream the serial console (serial over LAN), reading only. Ctrl-C ends it.

    Colours and cursor movements are left out and other control characters made visible, since the text comes from a
    machine; --raw passes all of it on.
    """
    from appliance.main.client import part

    if sys.stderr.isatty():
        found = fetch(inv, node)
        inv.note(
            f"console of {found.get('name') or node} ({found.get('power_state') or 'power unknown'}); Ctrl-C ends it"
        )
    limit_s = None if duration is None else max(1, int(seconds(duration)))
    cleaner = Cleaner()
    try:
        for piece in inv.client().stream(f"/v1/nodes/{part(node)}/console", follow=1, seconds=limit_s):
            if raw:
                sys.stdout.buffer.write(piece)
            else:
                sys.stdout.write(cleaner.feed(piece))
            sys.stdout.flush()
        if not raw:
            sys.stdout.write(cleaner.end())
    except ApiError as error:
        raise missing(inv, node, error) from error


class Cleaner:
    """Console bytes, in any pieces, as text that cannot act on a terminal."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = ""

    def feed(self, piece: bytes) -> str:
        """The text so far; an unfinished control sequence or line end waits for more."""
        text = self._kept + self._decoder.decode(piece)
        unfinished = _UNFINISHED.search(text)
        cut = unfinished.start() if unfinished and len(text) - unfinished.start() < HELD_BACK else len(text)
        if text[:cut].endswith("\r"):
            cut -= 1
        self._kept = text[cut:]
        return self._clean(text[:cut])

    def end(self) -> str:
        """What was still waiting."""
        text = self._kept + self._decoder.decode(b"", final=True)
        self._kept = ""
        return self._clean(text)

    @staticmethod
    def _clean(text: str) -> str:
        plain = _SEQUENCE.sub("", text)
        # A serial console ends lines with CR LF, sometimes CR CR LF; a lone CR rewrites a line: show that as a new one.
        plain = re.sub("\r+\n|\r+", "\n", plain)
        return inert(plain, keep_lines=True)
