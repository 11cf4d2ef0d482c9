"""`python -m appliance.lab.demo up|down`: what `make demo` and `make demo-down` run.

Standard output gets the timelines and what a person needs to go on; progress goes to standard error.
Exit codes: 0 all went well, 1 a step failed, 77 this computer cannot do it (nothing was begun), 130 interrupted.
"""

import argparse
import contextlib
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.domain.errors import RackwrightError
from appliance.lab import appliance, checks, picture, progress, rack, spec, ssh
from appliance.lab.client import ApiFailed
from appliance.lab.phases import Report, Step
from appliance.lab.setting import Places, Setting, Stage
from appliance.lab.story import Story, Wish
from images import tools

_STATE = Path("/var/lib/rackwright-demo")
_RUN = Path("/var/lib/rackwright-lab")
_CACHE = Path("/var/cache/rackwright")
OK, FAILED, CANNOT, INTERRUPTED = 0, 1, 77, 130


def main(words: Sequence[str]) -> int:
    arguments = _parser().parse_args(words)
    try:
        return _down(arguments) if arguments.what == "down" else _up(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; `make demo-down` takes down what is up\n")
        return INTERRUPTED
    except (RackwrightError, ApiFailed, tools.ToolFailed, tools.ToolMissing) as fault:
        _complain(fault)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m appliance.lab.demo", description="From power-on to SSH, in QEMU.")
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("--once", action="store_true", help="unattended: also undeploy, then take everything down")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result of every step there")
    parser.add_argument("--state", type=Path, default=_STATE, metavar="DIR", help=f"of the appliance ({_STATE})")
    parser.add_argument("--run-dir", type=Path, default=_RUN, metavar="DIR", help=f"disks and logs ({_RUN})")
    parser.add_argument("--cache", type=Path, default=_CACHE, metavar="DIR", help=f"what is built once ({_CACHE})")
    parser.add_argument("--namespace", default="rackwright-lab", metavar="NAME", help="of the rack's network")
    parser.add_argument("--bios", type=int, default=1, metavar="N", help="machines with BIOS (1)")
    parser.add_argument("--uefi", type=int, default=1, metavar="N", help="machines with UEFI (1)")
    parser.add_argument("--ssh-key", type=Path, metavar="FILE", help="a further public key for the machines")
    parser.add_argument("--boot", choices=("auto", "kexec", "reboot"), default="auto", help="how the image is started")
    return parser


def _up(arguments: argparse.Namespace) -> int:
    wanted = spec.rack(["bios"] * arguments.bios + ["uefi"] * arguments.uefi, namespace=arguments.namespace)
    lacks = checks.lacks(machines=len(wanted.nodes))
    if lacks:
        for lack in lacks:
            sys.stderr.write(f"error: {lack.what}\n  why:  {lack.why}\n  next: {lack.next_step}\n")
        return CANNOT
    if rack.find(arguments.run_dir) is not None:
        sys.stderr.write("a rack is up already; next: make demo-down, then again\n")
        return FAILED
    places = Places(
        state=arguments.state.absolute(), run=arguments.run_dir.absolute(), cache=arguments.cache.absolute()
    )
    _fresh_state(places.state)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _tell(arguments, wanted, places)
    finally:
        if arguments.once:
            rack.down(places.run)


def _tell(arguments: argparse.Namespace, wanted: spec.RackSpec, places: Places) -> int:
    key = ssh.make_key(places.run / "ssh")
    keys = [arguments.ssh_key.read_text().strip()] if arguments.ssh_key else []
    wish = Wish(key=key, keys=keys, has_undeploy=arguments.once, boot=arguments.boot)
    report, stage = Report(machines=[], steps=[]), None
    with progress.choose([node.name for node in wanted.nodes]) as shown:
        setting = Setting(places, report=lambda text: shown.note(None, text))
        try:
            stage = setting.raise_stage(wanted)
            report = Story(rack=stage.rack, client=stage.client, wish=wish, progress=shown).run()
        except (RackwrightError, ApiFailed, tools.ToolFailed, tools.ToolMissing) as fault:
            shown.failed(None, str(fault))
            _complain(fault)
        finally:
            _write_json(arguments.json, report, setting.steps)
    _print_report(report)
    if stage is not None and not arguments.once:
        _print_places(stage, key, report)
        stage.client.close()
    return OK if report.is_ok else FAILED


def _down(arguments: argparse.Namespace) -> int:
    rack.down(arguments.run_dir)
    return OK


def _fresh_state(state: Path) -> None:
    """The demo's machines come blank out of the box, so what an earlier appliance knew of them would be wrong.

    Raises RackwrightError when the directory is not one that the lab made.
    """
    if state.exists() and any(state.iterdir()):
        if not appliance.is_ours(state):
            raise RackwrightError(
                f"{state} is not a demo's state directory",
                why="the demo begins with an empty one, and this was not made, or not finished, by a demo",
                next_step="name another one with --state, or remove it",
            )
        shutil.rmtree(state)


def _write_json(file: Path | None, report: Report, setup: Sequence[Step]) -> None:
    if file is None:
        return
    document = report.to_json()
    document["setup"] = [step.to_json() for step in setup]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")


def _print_report(report: Report) -> None:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    width = shutil.get_terminal_size((100, 24)).columns
    for machine in report.machines:
        lines = picture.timeline(machine, width=min(width, 140), is_unicode=is_unicode)
        sys.stdout.write("\n".join(["", *lines]) + "\n")
        if machine.error is None:
            continue
        error = machine.error
        sys.stdout.write(f"\n{machine.name} FAILED: {error['message']}\n")
        for name in ("why", "next", "appliance_says"):
            if error[name]:
                sys.stdout.write(f"  {name}: {error[name]}\n")
        sys.stdout.write("  last lines of its console:\n")
        for line in error["console"]:
            sys.stdout.write(f"    {line}\n")
        sys.stdout.write(f"  logs: {', '.join(error['logs'])}\n")


def _print_places(stage: Stage, key: ssh.Key, report: Report) -> None:
    login = f"{Path(sys.executable).parent / 'rackwright'} login --url {stage.running.url} --ca {stage.running.ca}"
    lines = [
        "",
        f"console and API  {stage.running.url}   (CA: {stage.running.ca})",
        f"log in as        {stage.login.username}, one-time password {stage.login.password}",
        f"command line     {login}",
    ]
    for machine in report.machines:
        if machine.address and machine.has_ssh:
            line = " ".join(ssh.words(stage.rack.forward(machine.address, 22), key))
            lines.append(f"{machine.name:<16} {line}")
    lines += [f"logs             {stage.rack.run_dir}", f"it stays up until: {_way_down(stage.rack.run_dir)}", ""]
    sys.stdout.write("\n".join(lines))


def _way_down(run_dir: Path) -> str:
    return "make demo-down" if run_dir == _RUN else f'make demo-down DEMO_ARGS="--run-dir {run_dir}"'


def _complain(fault: Exception) -> None:
    sys.stderr.write(f"error: {fault}\n")
    for label, text in (("why", getattr(fault, "why", "")), ("next", getattr(fault, "next_step", ""))):
        if text:
            sys.stderr.write(f"  {label}: {text}\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))
