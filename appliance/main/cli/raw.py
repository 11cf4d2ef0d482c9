"""`api`, `open`, `explain`, `completion`, `help`: the way around the other commands, and about them."""

import json
import sys
from pathlib import Path

import click

from appliance.main.cli.columns import Column, Kind
from appliance.main.cli.exits import MEANINGS, Exit, Failure, usage
from appliance.main.cli.frame import verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.output import write_json
from appliance.main.cli.targets import fetch, node_arguments
from appliance.main.cli.text import inert

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SHELLS = ("bash", "zsh", "fish")
TOPICS = ("exit-codes", "environment", "states", "errors", "node-file", "filters")

_MEANING = Kind(
    name="meaning",
    plural="meanings",
    identity=("name",),
    columns=(
        Column(name="name", source="name", drop=0),
        Column(name="meaning", source="meaning", drop=0),
        Column(name="next", source="next", drop=2),
    ),
)


@verb("rackwright api POST /v1/nodes/n1/manage --data '{}'")
@click.argument("method", metavar="METHOD")
@click.argument("path", metavar="PATH")
@click.option("--data", metavar="JSON|@FILE", help="The body; @- is standard input.")
def api(inv: Invocation, *, method: str, path: str, data: str | None) -> None:
    """Call the API and print the answer as it came. Everything the other commands do can be done with this."""
    verb_name = method.upper()
    if verb_name not in METHODS:
        raise usage(f"{method!r} is not a method", next_step=f"one of {', '.join(METHODS)}")
    if not path.startswith("/") or path.startswith("//") or any(ch <= " " for ch in path):
        raise usage(f"{path!r} is not a path", next_step="write /v1/nodes")
    body = None if data is None else _body(data)
    reply = inv.client().call(verb_name, path, body=body)
    if isinstance(reply.body, str):
        sys.stdout.write(inert(reply.body, keep_lines=True))
    elif reply.body is not None:
        write_json(reply.body)


def _body(data: str) -> object:
    try:
        if data.startswith("@"):
            data = sys.stdin.read() if data == "@-" else Path(data[1:]).read_text(encoding="utf-8")
        return json.loads(data)
    except OSError as cause:
        raise usage(f"{data[1:]} cannot be read", why=str(cause.strerror or cause)) from cause
    except ValueError as cause:
        raise usage("--data is not JSON", why=str(cause)) from cause


@verb("rackwright open n1")
@node_arguments(many=False)
@click.option("--browser", is_flag=True, help="Open it in this machine's browser, too.")
def open_(inv: Invocation, *, node: str, browser: bool) -> None:
    """Print the address of the node's page in the web console."""
    from appliance.main.client import part

    found = fetch(inv, node)
    url = f"{inv.place().url}/nodes/{part(str(found.get('name') or found['uuid']))}"
    print(inert(url))
    if browser:
        import webbrowser

        if not webbrowser.open(url):
            raise Failure("no browser could be started", next_step=f"open {url} yourself")


@verb("rackwright explain 'clean failed'", reach="none")
@click.argument("words", nargs=-1, required=True, metavar="STATE|ERROR|EXIT-CODE")
def explain(_inv: Invocation, *, words: tuple[str, ...]) -> None:
    """Say what a state, an error code or an exit code means, and what to do next."""
    from appliance.main.cli.explain import ERRORS, STATES

    asked = " ".join(words).strip().lower()
    if asked.isdigit() and int(asked) in MEANINGS:
        print(f"exit code {asked}: {MEANINGS[Exit(int(asked))]}")
        return
    for table, kind in ((STATES, "state"), (ERRORS, "error")):
        for key in (
            asked,
            asked.removeprefix("bmc-"),
            asked.replace("_", " "),
            asked.replace("-", " "),
            asked.replace(" ", "-").replace("_", "-"),
        ):
            if key in table:
                meaning, then = table[key]
                print(f"{kind} {key}: {meaning}")
                print(f"next: {then}")
                return
    from difflib import get_close_matches

    near = get_close_matches(asked, [*STATES, *ERRORS], n=3, cutoff=0.5)
    raise Failure(
        f"{asked!r} is neither a state nor an error code", exit_code=Exit.NOT_FOUND, kind="not-found",
        next_step=f"did you mean {' or '.join(repr(word) for word in near)}?" if near else "rackwright help states",
    )  # fmt: skip


@verb("rackwright completion bash > /etc/bash_completion.d/rackwright", reach="none")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(_inv: Invocation, *, shell: str) -> None:
    """Print the script that teaches a shell our commands and the names of nodes, images and subnets.

    bash: eval "$(rackwright completion bash)"; zsh: the same with zsh; fish: rackwright completion fish | source
    """
    from click.shell_completion import get_completion_class

    from appliance.main.cli.root import root

    maker = get_completion_class(shell)
    if maker is None:
        raise usage(f"there is no completion for {shell}")
    made = maker(root, {}, "rackwright", "_RACKWRIGHT_COMPLETE")
    # click's own `source()` starts a bash to learn its version; every bash since 2014 is new enough.
    print(made.source_template % made.source_vars())


@verb("rackwright help exit-codes", data=True, reach="none")
@click.argument("topic", required=False, metavar="[TOPIC]")
def help_(inv: Invocation, *, topic: str | None) -> None:
    """Help on exit-codes, environment, states, errors, node-file or filters. For a command: --help after it."""
    from appliance.main.cli import explain, nodefile, targets

    rows: dict[str, list[tuple[object, str, str | None]]] = {
        "exit-codes": [(int(code), text, None) for code, text in MEANINGS.items()],
        "environment": [(name, text, None) for name, text in explain.ENVIRONMENT.items()],
        "states": [(name, *texts) for name, texts in explain.STATES.items()],
        "errors": [(name, *texts) for name, texts in explain.ERRORS.items()],
        "node-file": [(name, text, None) for name, text in nodefile.COLUMNS.items()],
        "filters": [(name, f"rackwright node list -l {name}:VALUE", None) for name in targets.FILTERS],
    }
    if topic is None or topic not in rows:
        from difflib import get_close_matches

        near = get_close_matches(topic or "", TOPICS, n=1, cutoff=0.5)
        raise usage(
            f"there is no help on {topic!r}" if topic else "no topic is named",
            next_step=f"did you mean {near[0]!r}?"
            if near
            else f"topics: {', '.join(TOPICS)}; commands: rackwright --help",
        )
    inv.show(_MEANING, ({"name": name, "meaning": text, "next": then} for name, text, then in rows[topic]))
