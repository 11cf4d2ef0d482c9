"""The machine that the agent runs on: files below a root folder, programs, power. The only place that starts programs.

With a root other than `/` (tests) nothing of the real machine is touched: leaving writes a file and ends the process.
"""

import fcntl
import logging
import os
import socket
import struct
import subprocess  # noqa: TID251  (the agent's one wrapper)
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from agent.errors import ProgramFailed

log = logging.getLogger(__name__)

RUN = "run/rackwright"
# reboot(2): RB_AUTOBOOT, RB_POWER_OFF, RB_KEXEC
_REBOOT_COMMANDS = {"reboot": 0x01234567, "power_off": 0x4321FEDC, "kexec": 0x45584543}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIOCGIFADDR = 0x8915
_CLOCK_TOLERANCE_S = 5.0


class Host:
    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.is_real = root == Path("/")

    def path(self, name: str) -> Path:
        """name: absolute, as `/dev/vda`."""
        return self.root / name.lstrip("/")

    def kernel_line(self) -> str:
        return self.path("/proc/cmdline").read_text()

    def uptime_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def await_file(self, name: str, *, timeout_s: float) -> bool:
        """Whether the start script has made a file below its run folder by then."""
        path, deadline = self.root / RUN / name, time.monotonic() + timeout_s
        while not path.exists():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes | None = None) -> str:
        """Standard output of a program of the ramdisk. Raises ProgramFailed."""
        try:
            done = subprocess.run(list(argv), input=stdin, capture_output=True, timeout=timeout_s, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as cause:
            raise ProgramFailed(argv[0], None, "") from cause
        except OSError as cause:
            raise ProgramFailed(argv[0], 127, str(cause)) from cause
        if done.returncode != 0:
            raise ProgramFailed(argv[0], done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace")

    def address_of(self, interface: str) -> str | None:
        """IPv4 address of an interface, asked of the kernel."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
            except OSError:
                return None
        return socket.inet_ntoa(answer[20:24])

    def set_clock(self, date: str) -> None:
        """Take the appliance's time, from the Date header of an authenticated answer, if ours is far off."""
        if not self.is_real:
            return
        try:
            theirs = parse_date(date)
            if abs(theirs - time.time()) > _CLOCK_TOLERANCE_S:
                time.clock_settime(time.CLOCK_REALTIME, theirs)
        except (ValueError, OSError) as failure:
            log.info("clock not set: %s", failure)

    def read_session(self) -> str | None:
        """The session that an earlier process of this boot was given; the boot secret works only once."""
        try:
            return (self.root / RUN / "session").read_text() or None
        except OSError:
            return None

    def keep_session(self, session: str) -> None:
        path = self.root / RUN / "session"
        partial = path.with_name("session.partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(session)
        partial.replace(path)

    def leave(self, how: Literal["reboot", "power_off", "kexec"]) -> None:
        """Does not return on a real machine."""
        log.info("leaving how=%s", how)
        if not self.is_real:
            (self.root / RUN / "left").write_text(how)
            return
        os.sync()
        # Imported here: the start is short of time, and this is the end.
        import ctypes  # noqa: PLC0415

        # Devices are shut down in order first; returns only if the kernel refuses (no kernel loaded for kexec).
        ctypes.CDLL(None).reboot(ctypes.c_int(_REBOOT_COMMANDS[how]))
        log.error("the kernel refused to leave how=%s; reset", how)
        Path("/proc/sysrq-trigger").write_text("o" if how == "power_off" else "b")
        threading.Event().wait()


def parse_date(text: str) -> int:
    """Unix seconds of an HTTP date (RFC 9110, section 5.6.7, preferred form). Raises ValueError.

    By hand: time.strptime would bring the calendar and locale packages, and 0.3 s with them.
    """
    words = text.replace(":", " ").split()
    if len(words) != 8 or words[7] != "GMT" or words[2] not in _MONTHS:
        raise ValueError("no HTTP date")
    day, year, hour, minute, second = (int(words[index]) for index in (1, 3, 4, 5, 6))
    month = _MONTHS.index(words[2]) + 1
    # Days since 1970-01-01 in the Gregorian calendar, the year taken from March so that the leap day is its last.
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719468
    return ((days * 24 + hour) * 60 + minute) * 60 + second
