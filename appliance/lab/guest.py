"""Where an installed system's first boot spends its time, read from its console. Pure.

cloud-init writes, at each of its stages, the wall clock and the seconds since the kernel started; the kernel stamps
every line of systemd. Both are on the serial port, so nothing has to be added to the image.
"""

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise

from appliance.lab.phases import Phase

# cloud-init 22.4: "Cloud-init v. 22.4.2 running 'init' at Sat, 21 Nov 2026 08:44:59 +0000. Up 96.59 seconds."
_STAGE = re.compile(
    r"Cloud-init v\. \S+ (?:running '([a-z:-]{1,40})'|(finished)) at ([^.]{10,40})\..{0,400}?Up ([0-9.]+) s"
)
_SYSTEMD = re.compile(r"^\[ *([0-9.]+)\] systemd\[1\]:", re.MULTILINE)
_KERNEL = "Linux version "
_NAMES = {
    "init-local": "cloud-init local",
    "init": "cloud-init network",
    "modules:config": "cloud-init config",
    "modules:final": "cloud-init final",
}


def first_boot(console: str, *, begin: datetime) -> list[Phase]:
    """Spans of the last boot that ran cloud-init; none when the console shows no such boot.

    begin: the story's beginning, aware. cloud-init's clock has whole seconds, so each span is right to one second.
    """
    found = list(_STAGE.finditer(console))
    starts = [at for at, stage in enumerate(found) if stage[1] == "init-local"]
    if not starts:
        return []
    stages = found[starts[-1] :]
    boot = console[console.rfind(_KERNEL, 0, stages[0].start()) + 1 : stages[0].start()]
    try:
        kernel_s = (parsedate_to_datetime(stages[0][3]) - begin).total_seconds() - float(stages[0][4])
        marks = [("kernel", kernel_s), *_systemd(boot, kernel_s)]
        marks += [(_NAMES.get(stage[1] or "", stage[1] or ""), kernel_s + float(stage[4])) for stage in stages]
    except (ValueError, TypeError):
        return []
    spans = []
    for (name, start), (_, end) in pairwise(marks):
        if name:
            spans.append(Phase(name=name, start_s=max(0.0, start), end_s=max(0.0, start, end)))
    return spans


def _systemd(boot: str, kernel_s: float) -> list[tuple[str, float]]:
    line = _SYSTEMD.search(boot)
    return [] if line is None else [("services", kernel_s + float(line[1]))]
