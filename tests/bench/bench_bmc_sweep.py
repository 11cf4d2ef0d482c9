"""Power state of 1,000 BMCs: first sweep (log-ins) and sweep over kept sessions, beside ipmitool in the same run.

`python -m tests.bench.bench_bmc_sweep [--count 1000] [--dead 0.02] [--sample 40]` prints one JSON object. The BMCs
are virtual ones of ours on 127.16.0.0/16, in a process of their own on the same machine, so their work is in the
figures too. The dead ones have addresses where nobody listens. ipmitool is run on a sample, `--parallel` at a time.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bmc.errors import BmcError
from bmc.registry import Connections
from bmc.sweep import sweep
from bmc.types import BmcTarget
from bmc.virtual.server import BmcLoop
from tests.fakes.bmcs import SECRET, make_bmc
from tests.fakes.machine import PretendMachine

UDP_PORT = 6230
READY = "ready"


def address(number: int, *, is_dead: bool) -> str:
    return f"127.{17 if is_dead else 16}.{number // 250}.{number % 250 + 1}"


def serve(count: int) -> None:
    """The process of the BMCs: until its standard input ends."""
    loop = BmcLoop()
    for number in range(count):
        machine = PretendMachine(is_on=number % 2 == 0)
        make_bmc(machine, address=address(number, is_dead=False), udp_port=UDP_PORT, loop=loop).start()
    print(READY, flush=True)
    sys.stdin.read()
    os._exit(0)


def timed_sweep(connections: Connections, targets: list[BmcTarget], deadline_s: float) -> dict[str, float]:
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    answered_s: list[float] = []
    faults = 0
    for _, answer in sweep(connections, targets, deadline_s=deadline_s):
        if isinstance(answer, BmcError):
            faults += 1
        else:
            answered_s.append(time.monotonic() - started)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "answered": len(answered_s),
        "faults": faults,
        "last_answer_s": round(max(answered_s, default=0.0), 3),
        "whole_sweep_s": round(time.monotonic() - started, 3),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3),
    }


def ipmitool(target: BmcTarget) -> float:
    command = ["ipmitool", "-I", "lanplus", "-C", "17", "-H", target.address, "-p", str(target.udp_port)]
    command += ["-U", target.username, "-P", target.password, "power", "status"]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return time.monotonic() - started


def timed_ipmitool(targets: list[BmcTarget], parallel: int) -> dict[str, float]:
    started = time.monotonic()
    with ThreadPoolExecutor(parallel) as pool:
        each = list(pool.map(ipmitool, targets))
    whole = time.monotonic() - started
    return {
        "sample": len(targets),
        "parallel": parallel,
        "median_call_ms": round(sorted(each)[len(each) // 2] * 1000, 1),
        "per_bmc_ms": round(whole / len(targets) * 1000, 2),
    }


def measure(count: int, dead_share: float, sample: int, parallel: int, deadline_s: float) -> dict[str, object]:
    every = round(1 / dead_share) if dead_share else count + 1
    targets = [
        BmcTarget(
            driver="ipmi",
            address=address(number, is_dead=number % every == every - 1),
            udp_port=UDP_PORT,
            username="admin",
            password=SECRET,
        )
        for number in range(count)
    ]
    alive = [target for number, target in enumerate(targets) if number % every != every - 1]
    connections = Connections()
    first = timed_sweep(connections, targets, deadline_s)
    kept = [timed_sweep(connections, targets, deadline_s) for _ in range(3)]
    peer = timed_ipmitool(alive[:sample], parallel)
    connections.close()
    best = min(kept, key=lambda one: one["last_answer_s"])
    return {
        "bmcs": count,
        "dead": count - len(alive),
        "deadline_s": deadline_s,
        "first_sweep_with_log_in": first,
        "kept_sessions_sweeps": kept,
        "ipmitool": peer,
        "ipmitool_for_all_s": round(peer["per_bmc_ms"] * len(alive) / 1000, 2),
        "times_faster_first": round(peer["per_bmc_ms"] * len(alive) / 1000 / first["last_answer_s"], 1),
        "times_faster_kept": round(peer["per_bmc_ms"] * len(alive) / 1000 / best["last_answer_s"], 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--dead", type=float, default=0.02)
    options.add_argument("--sample", type=int, default=40)
    options.add_argument("--parallel", type=int, default=8)
    options.add_argument("--deadline", type=float, default=4.0)
    options.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve)
    command = [sys.executable, "-m", "tests.bench.bench_bmc_sweep", "--serve", str(chosen.count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as farm:
        assert farm.stdout is not None
        assert farm.stdout.readline().strip() == READY
        result = measure(chosen.count, chosen.dead, chosen.sample, chosen.parallel, chosen.deadline)
        farm.kill()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
