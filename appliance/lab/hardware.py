"""One machine's mains side: a QEMU process that a BMC can switch. Fulfils bmc.virtual.needs.Machine.

Surprising: Linux sends the parent-death signal when the *thread* that forked ends, not the process. So QEMU is always
started by one thread that lives as long as the supervisor; a BMC's request thread may come and go.

Also surprising: SeaBIOS answers a reset by one or two more of its own, within 50 ms, to reload itself. They are one
reset to a person, and a boot override must survive until the last of them.
"""

import enum
import logging
import shutil
import socket
import subprocess  # noqa: TID251  (the lab starts machines)
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from appliance.lab import qemu
from appliance.lab.qmp import Qmp, QmpFailed
from appliance.lab.spec import NodeSpec
from bmc.types import BootDevice

log = logging.getLogger(__name__)

_QUIT_LIMIT_S = 3.0
# From a reset until it counts as POST: far above SeaBIOS's 50 ms, far below the fastest reboot of a guest.
_SETTLE_S = 2.0
_GIB = 1024**3


class PowerEvent(enum.Enum):
    """What happened to the machine without its BMC being asked."""

    BUTTON = "switched on by the button"
    SELF_OFF = "switched itself off"
    SELF_RESET = "restarted by its operating system"


class StartFailed(OSError):
    """QEMU ended at once; its own words are in qemu.log."""


@dataclass(slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    serial: socket.socket
    ended: threading.Event
    is_ended_by_us: bool = False
    qmp: Qmp | None = None


class Hardware:
    """Every method may be called from any thread."""

    def __init__(
        self, spec: NodeSpec, directory: Path, *, has_kcs: bool, on_event: Callable[[PowerEvent], None]
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._has_kcs = has_kcs
        self._on_event = on_event
        self._order = qemu.BootOrder(firmware_order=qemu.firmware_order(spec))
        self._lock = threading.RLock()
        self._running: _Running | None = None
        self._orders_given = 0
        self._orders_at_reset = 0
        self._resets_seen = 0
        self._reset_seen = threading.Event()
        self._is_settled = True
        self._sink: Callable[[bytes], None] | None = None
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keeper")
        # Apart from the keeper: the listener may wait for a lock whose holder waits for the keeper.
        self._teller = ThreadPoolExecutor(max_workers=1, thread_name_prefix="teller")
        prepare_files(spec, directory)

    def is_on(self) -> bool:
        running = self._running
        return running is not None and not running.ended.is_set()

    def process_id(self) -> int | None:
        running = self._running
        return running.process.pid if running is not None and not running.ended.is_set() else None

    def power_on(self) -> None:
        """Raises StartFailed."""
        with self._lock:
            if not self.is_on():
                self._keeper.submit(self._launch).result()

    def press_button(self) -> None:
        """Off: on. On: ask the operating system to stop. Raises StartFailed."""
        if self.is_on():
            self.soft_off()
        else:
            self.power_on()
            self._tell(PowerEvent.BUTTON)

    def power_off(self) -> None:
        self._end(ask_first=True)

    def pull_plug(self) -> None:
        """QEMU is killed without a word; a boot override for the next boot is forgotten."""
        self._end(ask_first=False)
        self._order.used()

    def reset(self) -> None:
        """Returns once the machine is in its reset, so that an order given next is for the boot after this one."""
        self._reset_seen.clear()
        self._command("system_reset")
        if self.is_on():
            self._reset_seen.wait(_QUIT_LIMIT_S)

    def soft_off(self) -> None:
        self._command("system_powerdown")

    def pulse_nmi(self) -> None:
        self._command("inject-nmi")

    def set_boot_order(self, *, once: BootDevice | None, persistent: BootDevice) -> None:
        with self._lock:
            self._order.once, self._order.persistent = once, persistent
            self._orders_given += 1
            if self._is_settled:
                self._keeper.submit(self._apply_order).result()

    def console_write(self, data: bytes) -> None:
        running = self._running
        if running is not None and not running.ended.is_set():
            try:
                running.serial.sendall(data)
            except OSError:
                log.info("console input lost, the machine is going off bytes=%d", len(data))

    def on_console(self, sink: Callable[[bytes], None] | None) -> None:
        self._sink = sink

    def close(self) -> None:
        """Power off and end the threads."""
        self.power_off()
        self._keeper.shutdown()
        self._teller.shutdown()

    def _launch(self) -> None:
        qmp_ours, qmp_theirs = socket.socketpair()
        serial_ours, serial_theirs = socket.socketpair()
        fds = (qmp_theirs.fileno(), serial_theirs.fileno())
        words = qemu.argv(self._spec, self._order.indexes(), qmp_fd=fds[0], serial_fd=fds[1], has_kcs=self._has_kcs)
        with (self._directory / "qemu.log").open("ab") as out, qmp_theirs, serial_theirs:
            process = subprocess.Popen(  # noqa: S603  (argv list, no shell)
                words, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=fds
            )
        running = _Running(process=process, serial=serial_ours, ended=threading.Event())
        threading.Thread(target=self._watch, args=(running,), name="watch", daemon=True).start()
        threading.Thread(target=self._read_console, args=(serial_ours,), name="console", daemon=True).start()
        try:
            running.qmp = Qmp(qmp_ours, self._qemu_event)
        except QmpFailed as cause:
            process.kill()
            running.ended.wait(_QUIT_LIMIT_S)
            qmp_ours.close()
            raise StartFailed(f"{self._spec.name}: QEMU did not start; see {self._directory / 'qemu.log'}") from cause
        self._running = running
        # A reset of the boot before, still settling, is none of this one's.
        self._resets_seen += 1
        self._is_settled = True
        # The order of this POST was fixed before QMP answered. Set that of the next one now, so that a reboot of the
        # guest's own does not boot the override again.
        self._order.used()
        self._apply_order()

    def _apply_order(self) -> None:
        """QEMU rebuilds the firmware's `bootorder` from these properties at each reset, and only then."""
        running = self._running
        if running is None or running.qmp is None or running.ended.is_set():
            return
        wanted = self._order.indexes()
        try:
            for path, index in qemu.reorder_steps(self._spec, wanted):
                running.qmp.execute("qom-set", path=path, property="bootindex", value=index)
        except QmpFailed as fault:
            log.warning("boot order not set node=%s why=%s", self._spec.name, fault)

    def _qemu_event(self, name: str, data: Mapping[str, object]) -> None:
        if name == "RESET":
            self._resets_seen += 1
            if self._is_settled:
                self._is_settled = False
                self._orders_at_reset = self._orders_given
                if data.get("guest"):
                    self._tell(PowerEvent.SELF_RESET)
            timer = threading.Timer(_SETTLE_S, self._settle, (self._resets_seen,))
            timer.daemon = True
            timer.start()
            self._reset_seen.set()

    def _settle(self, resets_seen: int) -> None:
        """The order of the POST under way is fixed; drop what it used, unless the BMC has given another order since."""
        if resets_seen != self._resets_seen:
            return
        self._is_settled = True
        if self._orders_at_reset == self._orders_given:
            self._order.used()
        try:
            self._keeper.submit(self._apply_order)
        except RuntimeError:
            log.debug("settled while closing node=%s", self._spec.name)

    def _tell(self, event: PowerEvent) -> None:
        try:
            self._teller.submit(self._on_event, event)
        except RuntimeError:
            log.debug("nobody listens any more event=%s", event.value)

    def _command(self, name: str) -> None:
        running = self._running
        if running is None or running.qmp is None or running.ended.is_set():
            return
        try:
            running.qmp.execute(name)
        except QmpFailed as fault:
            log.info("machine went off meanwhile node=%s command=%s why=%s", self._spec.name, name, fault)

    def _end(self, *, ask_first: bool) -> None:
        with self._lock:
            running = self._running
            if running is None or running.ended.is_set():
                return
            running.is_ended_by_us = True
            if ask_first:
                self._command("quit")
            if not (ask_first and running.ended.wait(_QUIT_LIMIT_S)):
                running.process.kill()
                running.ended.wait(_QUIT_LIMIT_S)

    def _watch(self, running: _Running) -> None:
        code = running.process.wait()
        running.ended.set()
        log.info("machine is off node=%s code=%d", self._spec.name, code)
        running.serial.close()
        if running.qmp is not None:
            running.qmp.close()
            if not running.is_ended_by_us:
                self._tell(PowerEvent.SELF_OFF)

    def _read_console(self, serial: socket.socket) -> None:
        while True:
            try:
                data = serial.recv(4096)
            except OSError:
                return
            if not data:
                return
            sink = self._sink
            if sink is not None:
                sink(data)


def prepare_files(spec: NodeSpec, directory: Path) -> None:
    """The blank disk and the firmware's variables, once; a disk that exists is kept as it is."""
    directory.mkdir(parents=True, exist_ok=True)
    disk = directory / qemu.DISK_FILE
    if spec.disk_gib and not disk.exists():
        with disk.open("wb") as blank:
            blank.truncate(spec.disk_gib * _GIB)
    if spec.is_uefi and not (directory / qemu.VARS_FILE).exists():
        shutil.copyfile(qemu.OVMF_VARS, directory / qemu.VARS_FILE)
