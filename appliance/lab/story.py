"""The main job, told over the public API only: from the power button to a login, for every machine of the rack at once.

power button → DHCP → iPXE → agent → enrolled (BMC found in-band) → manage → inspect → provide → deploy → active →
SSH → and, when asked, undeploy → available. Each machine is one thread; it stops at its
first failure, and the others go on.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from appliance.domain.clock import Clock, system_clock
from appliance.lab import guest, phases, ssh
from appliance.lab.client import ApiFailed, Client, Json
from appliance.lab.errors import LabFailed, StoryFailed
from appliance.lab.phases import MachineReport, Phase, Report, Step
from appliance.lab.progress import Progress
from appliance.lab.rack import Rack
from appliance.lab.spec import NodeSpec
from images import tools

_T = TypeVar("_T")
_MARK_FILE = "/etc/rackwright-story"
# Generous: two emulated machines on two busy cores. A wait that reaches its limit is a failure with a name.
LIMITS_S: Mapping[str, float] = {
    "enroll": 420.0,
    "manage": 180.0,
    "inspect": 240.0,
    "provide": 420.0,
    "deploy": 1200.0,
    "ssh": 240.0,
    "undeploy": 600.0,
}
_TARGETS = {"manage": "manageable", "inspect": "manageable", "provide": "available", "deploy": "active"}
CONSOLE_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to deploy, and whether to take it away again. keys: further public keys beside the story's own."""

    key: ssh.Key
    image: str = "debian-12"
    keys: Sequence[str] = ()
    has_undeploy: bool = False
    boot: str = "auto"


@dataclass(slots=True)
class Story:
    rack: Rack
    client: Client
    wish: Wish
    progress: Progress
    clock: Clock = system_clock
    limits_s: Mapping[str, float] = field(default_factory=lambda: LIMITS_S)
    poll_s: float = 0.5
    steps: list[Step] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begin_s: float = field(default_factory=time.monotonic)

    def run(self) -> Report:
        """Never raises for a machine's failure: the report says it."""
        begin = self.clock()
        self._begin_s = time.monotonic()
        chapters = [Chapter(self, node, begin) for node in self.rack.spec.nodes]
        with ThreadPoolExecutor(max_workers=len(chapters)) as pool:
            machines = list(pool.map(Chapter.tell, chapters))
        return Report(machines=machines, steps=list(self.steps))

    def now_s(self) -> float:
        return time.monotonic() - self._begin_s

    @contextmanager
    def step(self, name: str, machine: str) -> Iterator[list[str]]:
        """Record how it ended; what is put into the list becomes the step's detail."""
        start, detail = self.now_s(), [""]
        try:
            yield detail
        except (StoryFailed, ApiFailed, LabFailed, tools.ToolFailed) as fault:
            self._keep(
                Step(name=name, machine=machine, is_ok=False, start_s=start, end_s=self.now_s(), detail=str(fault))
            )
            raise
        self._keep(Step(name=name, machine=machine, is_ok=True, start_s=start, end_s=self.now_s(), detail=detail[-1]))

    def _keep(self, step: Step) -> None:
        with self._lock:
            self.steps.append(step)


class Chapter:
    """One machine's part."""

    def __init__(self, story: Story, node: NodeSpec, begin: datetime) -> None:
        self._story = story
        self._spec = node
        self._begin = begin
        self._ref = ""
        self._mark = f"mark-{secrets.token_hex(8)}"  # bare digits would be a number to YAML
        self._report = MachineReport(name=node.name, firmware=node.firmware)

    def tell(self) -> MachineReport:
        try:
            self._boot()
            for verb in ("manage", "inspect", "provide", "deploy"):
                self._verb(verb, _TARGETS[verb], self._deployment() if verb == "deploy" else None)
            self._login()
            if self._story.wish.has_undeploy:
                self._verb("undeploy", "available", None)
        except (StoryFailed, ApiFailed, LabFailed, tools.ToolFailed, tools.ToolMissing) as fault:
            self._explain(fault)
        console = self._story.rack.console_text(self._spec.name)
        timed = phases.spans(self._events_or_none(), begin=self._begin)
        self._report.spans = [*timed, *guest.first_boot(console, begin=self._begin)]
        return self._report

    def _boot(self) -> None:
        """From the button to a node in `enroll` whose BMC is known."""
        story = self._story
        power_s = story.now_s()
        with story.step("power on", self._spec.name):
            story.rack.press_button(self._spec.name)
        with story.step("enroll", self._spec.name) as detail:
            node = self._wait("enroll", self._enrolled)
            detail.append(f"{node['name']}, BMC {node['bmc']['address']}")
        self._ref = self._report.node = str(node["uuid"])
        # The appliance made a name of the MAC address; people look for the one that they see on the screen.
        story.client.patch(f"/v1/nodes/{self._ref}", {"name": self._spec.name})
        cut = phases.boot_phases(self._events(), power_s=power_s, enrolled_s=story.now_s(), begin=self._begin)
        for phase in cut:
            self._ended(phase)

    def _enrolled(self) -> Json | None:
        node = self._story.client.node_of_mac(self._spec.mac)
        if node is None:
            self._note(f"network boot: {_last_words(self._story.rack.console_tail(self._spec.name, 1))}")
            return None
        bmc = node.get("bmc") or {}
        self._note("enroll: the agent is up" + ("" if bmc.get("address") else "; its BMC is not known yet"))
        return node if bmc.get("address") and bmc.get("username") else None

    def _verb(self, verb: str, target: str, body: Json | None) -> None:
        story = self._story
        start = story.now_s()
        with story.step(verb, self._spec.name):
            story.client.post(f"/v1/nodes/{self._ref}/{verb}", body)
            self._wait(verb, lambda: self._arrived(verb, target))
        self._ended(Phase(name=verb, start_s=start, end_s=story.now_s()))

    def _arrived(self, verb: str, target: str) -> Json | None:
        """The node once it rests in the target state. `inspect` starts where it ends, so the flow must be over, too."""
        node = self._story.client.node(self._ref)
        state = str(node["provision_state"])
        if has_failed(node):
            failure = node.get("failure") or {}
            raise StoryFailed(
                f"{verb} ended in {state!r}", why=str(failure.get("reason") or node.get("last_error") or "")
            )
        self._note(f"{verb}: {what_now(node)}")
        return node if state == target and node.get("target_provision_state") in (None, target) else None

    def _deployment(self) -> Json:
        wish = self._story.wish
        return {
            "image": wish.image,
            "hostname": self._spec.name,
            "ssh_keys": [wish.key.public, *wish.keys],
            "user_data": f"#cloud-config\nwrite_files:\n  - path: {_MARK_FILE}\n    content: {self._mark}\n",
            "boot": wish.boot,
        }

    def _login(self) -> None:
        story = self._story
        start = story.now_s()
        with story.step("ssh", self._spec.name) as detail:
            node = story.client.node(self._ref)
            address = str((node.get("instance") or {}).get("address") or "")
            if not address:
                raise StoryFailed("the instance has no address", why="the node is active without one")
            self._report.address = address
            port = story.rack.forward(address, 22)
            seen = self._wait("ssh", lambda: self._try_login(port))
            if self._mark not in seen:
                raise StoryFailed("the login works, but the user-data did not arrive", why=f"{_MARK_FILE} is not ours")
            self._report.has_ssh = True
            detail.append(seen.strip().replace("\n", ", "))
        self._ended(Phase(name="ssh", start_s=start, end_s=story.now_s()))

    def _try_login(self, port: int) -> str | None:
        command = f"hostname; uname -r; cat {_MARK_FILE}; true"
        try:
            return ssh.run(port, self._story.wish.key, command)
        except tools.ToolFailed as fault:
            self._note(f"ssh: {str(fault)[-60:]}")
            return None

    def _wait(self, what: str, probe: Callable[[], _T | None]) -> _T:
        limit_s = self._story.limits_s[what]
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                found = probe()
            except ApiFailed as fault:
                # The appliance may be restarted in the middle of anything; the machine goes on, and so do we.
                if not fault.is_passing:
                    raise
                self._note(f"{what}: the appliance does not answer")
                found = None
            if found is not None:
                return found
            time.sleep(self._story.poll_s)
        raise StoryFailed(f"{what} was not over after {limit_s:.0f} s", why=self._state_words())

    def _state_words(self) -> str:
        if not self._ref:
            return "the appliance does not know the machine"
        try:
            return what_now(self._story.client.node(self._ref))
        except ApiFailed as fault:
            return str(fault)

    def _events(self) -> list[Json]:
        """Of this machine since the story began, also what its MAC did before it was a node."""
        events = self._story.client.timeline(self._ref) if self._ref else []
        return [e for e in events if (phases.seconds_since(self._begin, e) or -1.0) > -phases.CLOCK_SLACK_S]

    def _events_or_none(self) -> list[Json]:
        try:
            return self._events()
        except ApiFailed:
            return []

    def _ended(self, phase: Phase) -> None:
        self._report.phases.append(phase)
        self._story.progress.ended(self._spec.name, phase)

    def _note(self, text: str) -> None:
        self._story.progress.note(self._spec.name, text)

    def _explain(self, fault: Exception) -> None:
        """Everything that helps to find the cause, into the report."""
        name, rack = self._spec.name, self._story.rack
        self._report.error = {
            "message": str(fault),
            "why": str(getattr(fault, "why", "")),
            "next": str(getattr(fault, "next_step", "")),
            "appliance_says": self._story.client.why(self._ref) if self._ref else "",
            "console": rack.console_tail(name, CONSOLE_LINES),
            "logs": [str(rack.directory(name)), str(rack.run_dir / "serve.log")],
        }
        self._story.progress.failed(name, f"{fault} {getattr(fault, 'why', '')}".strip())


def has_failed(node: Json) -> bool:
    """Ironic's names: `… failed`, `error`; a refused `manage` falls back to `enroll` with the reason beside it."""
    state = str(node["provision_state"])
    return state.endswith("failed") or state == "error" or (state == "enroll" and bool(node.get("failure")))


def _awaited(signal: str) -> str:
    if signal.startswith("agent.command:"):
        return "the agent to finish"
    return {"agent.alive": "the agent to call", "call-home": "the system to call home"}.get(signal, signal)


def what_now(node: Json) -> str:
    """One line: state, what it waits for, how far it is."""
    text = str(node["provision_state"])
    waiting, progress = node.get("waiting"), node.get("progress")
    if progress:
        done, total = progress.get("done"), progress.get("total")
        share = f" {100 * done // total} %" if isinstance(done, int) and isinstance(total, int) and total > 0 else ""
        text += f", {progress.get('message') or progress.get('phase')}{share}"
    elif waiting:
        text += f", waiting for {_awaited(str(waiting.get('for')))}"
    return text


def _last_words(lines: Sequence[str]) -> str:
    return lines[-1][-60:] if lines else "the console is silent"
