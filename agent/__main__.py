"""Start of the agent: `python3 -I -S agent.pyz [--root DIR]`. Wiring only.

The order is for time: call first, look closer afterwards. What the first call does not need is imported later.
"""

import logging
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import cmdline, logs, transport
from agent.backoff import delay_s
from agent.errors import BadKernelLine, IpmiFailed, NoAnswer, WrongAuthority
from agent.host import Host
from agent.loop import Loop, Outcome, Task
from agent.runner import Runner
from agent.wire import VERSION, Progress

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

log = logging.getLogger(__name__)

_NETWORK_S = 300.0
_COLDPLUG_S = 120.0
_ANSWER_S = 20.0


def main() -> int:
    host = Host(Path(sys.argv[2]) if sys.argv[1:2] == ["--root"] else Path("/"))
    logs.start(logging.StreamHandler())
    try:
        settings = cmdline.parse(host.kernel_line())
    except BadKernelLine as failure:
        log.error("%s", failure)  # noqa: TRY400  (the sentence says it all)
        return 1
    if not host.await_file("network", timeout_s=_NETWORK_S):
        log.error("no network address within %.0f s", _NETWORK_S)
        return 1
    context = _pinned(settings)
    machine = Machine(host, settings.boot_mac)
    loop = Loop(
        boot_secret=settings.boot_secret.reveal(),
        macs=machine.macs(),
        boot_mac=settings.boot_mac,
        agent_version=VERSION,
        random=random.random,
        session=host.read_session(),
    )
    runner = Runner(loop, host, settings.api_url, context, machine.execute)
    lines = logs.Lines(runner.line)
    lines.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(lines)
    threading.Thread(target=machine.describe_to, args=(runner,), name="inventory", daemon=True).start()
    runner.run()
    return 0


def _pinned(settings: cmdline.Settings) -> "ssl.SSLContext":
    """For ever: without the authority there is nobody to talk to."""
    failures = 0
    while True:
        try:
            return transport.pinned_context(settings.http_url, settings.ca_sha256, timeout_s=_ANSWER_S)
        except (NoAnswer, WrongAuthority) as failure:
            failures += 1
            log.info("certificate authority: %s", failure)
            time.sleep(delay_s(failures, random.random()))  # noqa: S311  (jitter)


class Machine:
    """The machine as the commands and the report see it."""

    def __init__(self, host: Host, boot_mac: str | None) -> None:
        self._host = host
        self._boot_mac = boot_mac
        self._neighbours: dict[str, dict[str, str]] = {}
        self._started_s = host.uptime_s()

    def macs(self) -> list[str]:
        """Read from sysfs here and not through the inventory package, which the first call does not need yet."""
        folder = self._host.path("/sys/class/net")
        cards = [path for path in sorted(folder.iterdir()) if (path / "device").exists()]
        return [(path / "address").read_text().strip() for path in cards][:128]

    def execute(self, task: Task, report: "Callable[[Progress], None]", is_cancelled: "Callable[[], bool]") -> Outcome:
        from agent import commands  # noqa: PLC0415

        return commands.execute(task, commands.Context(self._host, report, is_cancelled, self.inventory))

    def inventory(self) -> dict[str, Any]:
        from agent.inventory import bmc, report  # noqa: PLC0415
        from agent.ipmi_device import IpmiDevice, find  # noqa: PLC0415

        path = find(self._host.root)
        controller = None
        if path is not None:
            try:
                with IpmiDevice(path) as ask:
                    controller = bmc.describe(ask)
            except (OSError, IpmiFailed) as failure:
                log.info("management controller not read: %s", failure)
        found = report.collect(
            self._host.root,
            boot_mac=self._boot_mac,
            bmc=controller,
            address_of=self._host.address_of,
            neighbours=self._neighbours,
            uptime_s=self._host.uptime_s(),
        )
        found["timings"]["agent"] = round(self._started_s, 2)
        return dict(found)

    def describe_to(self, runner: Runner) -> None:
        """After the look-up: one report when the hardware is there, another for each new neighbour."""
        runner.await_session()
        self._host.await_file("coldplug", timeout_s=_COLDPLUG_S)
        runner.inventory(self.inventory())
        if self._host.is_real:
            from agent import neighbours  # noqa: PLC0415

            neighbours.listen(self._host, self._neighbours, lambda: runner.inventory(self.inventory()))


if __name__ == "__main__":
    raise SystemExit(main())
