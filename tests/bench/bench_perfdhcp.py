"""perfdhcp (package kea-admin) against the whole netboot process, in a network namespace; needs root.

`python -m tests.bench.bench_perfdhcp [rate] [seconds]` prints one JSON object. perfdhcp plays a relay for new machines.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fakes.control import FakeControl, netboot_config
from tests.fakes.netns import Netns, finish

RELAY = "10.77.0.2"


def main(rate: str, seconds: str) -> None:
    if shutil.which("perfdhcp") is None:
        raise SystemExit("perfdhcp is not installed: apt-get install kea-admin")
    control = FakeControl(netboot_config("br0"))
    pool = {"cidr": "10.64.0.0/12", "pool_start": "10.65.0.1", "pool_end": "10.70.255.254", "relays": [RELAY]}
    control.config["subnets"][0].update(pool)
    with tempfile.TemporaryDirectory(prefix="bench-perfdhcp-") as name:
        folder = Path(name)
        (folder / "state" / "boot").mkdir(parents=True)
        control.start(folder / "state" / "run" / "control.sock")
        netns = Netns()
        guest = netns.guest("52:54:00:77:00:31")
        subprocess.run(["ip", "-n", guest.name, "addr", "add", f"{RELAY}/24", "dev", "eth0"], check=True)
        process = netns.netboot(folder / "state", folder / "log")
        try:
            before = cpu_s(process.pid)
            argv = ["perfdhcp", "-4", "-r", rate, "-R", "100000", "-p", seconds, "-l", "eth0", "10.77.0.1"]
            # perfdhcp ends with 3 when any packet was lost.
            out = subprocess.run(
                ["ip", "netns", "exec", guest.name, *argv], check=False, capture_output=True, text=True, timeout=120
            ).stdout
            used = cpu_s(process.pid) - before
        finally:
            finish(process)
            guest.close()
            netns.close()
            control.stop()
    drops, delays = re.findall(r"drops ratio: ([\d.]+)", out), re.findall(r"avg delay: ([\d.]+)", out)
    result = {
        "bench": "perfdhcp",
        "offered_per_s": float(rate),
        "exchanges_per_s": float(re.findall(r"Rate: ([\d.]+)", out)[0]),
        "lost_percent": [float(text) for text in drops],
        "average_ms": [float(text) for text in delays],
        "server_cpu_s": round(used, 2),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    print(json.dumps(result))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(words[0] if words else "1000", words[1] if len(words) > 1 else "6")
