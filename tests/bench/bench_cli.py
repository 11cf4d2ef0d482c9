"""Start-up and listing times of the command line, as JSON: `python -m tests.bench.bench_cli [--runs N]`.

Wall clock of the whole process, stdout in a pipe, against the fake appliance on the same machine; the fake's own time
to answer is in the figures of `node list`. first_line_ms: until the first row of a list has arrived.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes.fake_api import FakeApi, serving

BUDGET_MS = {"--version": 150, "--help": 250, "node list (100)": 500, "node list (10000)": 1500, "completion": 150}
ROOT = Path(__file__).parents[2]


def measured(argv: list[str], environment: dict[str, str], runs: int) -> dict[str, float]:
    """Median and extremes in milliseconds, after one run that does not count."""
    whole, first = [], []
    for number in range(runs + 1):
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "appliance", *argv], stdout=subprocess.PIPE, env=environment, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.readline()
            early = time.perf_counter() - started
            process.stdout.read()
        if process.returncode != 0:
            raise SystemExit(f"{argv} ended with {process.returncode}")
        if number:
            whole.append(1000 * (time.perf_counter() - started))
            first.append(1000 * early)
    return {
        "median_ms": round(statistics.median(whole), 1), "min_ms": round(min(whole), 1), "max_ms": round(max(whole), 1),
        "first_line_ms": round(statistics.median(first), 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    api = FakeApi()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory, serving(api, Path(directory)) as (url, ca):
        environment = {
            **os.environ, "RACKWRIGHT_URL": url, "RACKWRIGHT_CA": str(ca), "RACKWRIGHT_TOKEN": "good-token",
            "HOME": directory,
        }  # fmt: skip
        results["--version"] = measured(["--version"], environment, runs)
        results["--help"] = measured(["--help"], environment, runs)
        for count in (100, 10_000):
            for number in range(len(api.nodes), count):
                api.add_node(f"r{number // 40:03d}-n{number % 40:02d}", "available")
            results[f"node list ({count})"] = measured(["node", "list"], environment, runs)
        completing = {
            "_RACKWRIGHT_COMPLETE": "bash_complete",
            "COMP_WORDS": "rackwright node show r",
            "COMP_CWORD": "3",
        }
        results["completion"] = measured([], {**environment, **completing}, runs)
    for name, budget in BUDGET_MS.items():
        results[name] |= {"budget_ms": budget, "ok": results[name]["median_ms"] <= budget}
    print(json.dumps({"bench": "cli", "python": sys.version.split()[0], "runs": runs, "results": results}, indent=2))


if __name__ == "__main__":
    main()
