"""Power-on to SSH of one BIOS machine in QEMU: seconds until the agent calls back, and of each phase of the deploy.

`python -m tests.bench.bench_story [--uefi 1]` prints one JSON object made from the demo's own. It runs beside a demo
that is up: own state, own rack, own network namespace. Needs root.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LIMIT_S = 3000


def summary(found: dict[str, Any]) -> dict[str, Any]:
    machines = []
    for machine in found["machines"]:
        phases = {one["name"]: round(one["end_s"] - one["start_s"], 1) for one in machine["phases"] if one["end_s"]}
        called = [one["end_s"] for one in machine["phases"] if one["name"] == "agent start"]
        call_back_s = round(called[0] - machine["phases"][0]["start_s"], 1) if called else None
        machines.append({"name": machine["name"], "firmware": machine["firmware"], "ssh": machine["ssh"],
                         "call_back_s": call_back_s, "phases_s": phases, "timeline": machine["phases"],
                         "spans": machine["spans"]})  # fmt: skip
    return {"ok": found["ok"], "machines": machines}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bios", type=int, default=1)
    parser.add_argument("--uefi", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="changes nothing: a story has one length")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rackwright-story-", dir="/var/tmp") as name:
        folder = Path(name)
        argv = [
            *(sys.executable, "-m", "appliance.lab.demo", "up", "--once", "--json", str(folder / "story.json")),
            *("--bios", str(asked.bios), "--uefi", str(asked.uefi), "--state", str(folder / "state")),
            *("--run-dir", str(folder / "run"), "--namespace", f"rwbench{os.getpid()}"),
        ]
        before = os.getloadavg()[0]
        done = subprocess.run(argv, stdout=sys.stderr, timeout=LIMIT_S, check=False)
        if not (folder / "story.json").exists():
            raise SystemExit(done.returncode or 1)
        found = json.loads((folder / "story.json").read_text())
    print(json.dumps({"bench": "story", "cores": os.cpu_count(), "load_before": before, **summary(found)}, indent=2))
    raise SystemExit(0 if found["ok"] and done.returncode == 0 else 1)


if __name__ == "__main__":
    main()
