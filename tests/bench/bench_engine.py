"""How fast the step engine is: `python -m tests.bench.bench_engine [--quick]` prints one JSON object.

steps_per_s: flows of ten empty acts; each is durable with its events (fsync) before the next of its flow begins. Flows
that are ready at the same time share the commit; steps_per_commit says how many did.
verbs: work of one record on 100 nodes, three times, asked one after the other as by an API: from the first to the last
end, and from the commit that asks to the start of the step.
commit_ms: what one empty durable commit costs on this machine now; a floor that no engine gets below.
waiting: 10,000 flows that wait: memory of the process, CPU when idle. wake_ms: from the commit of a signal to the start
of the step that awaited it. take_over_s: from kill -9 of a worker that holds 200 flows to the end of the last of them.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, insert, select

from appliance.domain.clock import system_clock
from appliance.domain.steps import Next
from appliance.flows.engine import Engine
from appliance.flows.procedure import Act, Procedure, Record, Step
from appliance.flows.resources import FlowPolicy, Resources
from appliance.models import flow
from appliance.models.database import Database
from appliance.models.flow import Flow, Pool
from appliance.models.node import Node
from tests.conftest import create_schema
from tests.fakes import postgres_server

CHAIN = 10
THREADS = 8
"""As the appliance has (appliance.main.wiring)."""
FLOORS = {"sqlite": 396, "postgresql": 1054}


def chain() -> Procedure:
    """Ten acts that do nothing."""
    made = Procedure("chain")
    steps: list[Step] = []

    def add(number: int) -> None:
        @made.act(name=f"s{number}")
        def act(turn: Act) -> Next:
            return turn.go(steps[number + 1]) if number + 1 < CHAIN else turn.done()

        steps.append(act)

    for number in range(CHAIN):
        add(number)
    return made


def sleeper(woken: Callable[[int], None]) -> Procedure:
    made = Procedure("sleeper")

    @made.record()
    def sleep(turn: Record) -> Next:
        return turn.wait("bell", then=wake, within_s=86400, otherwise=wake, says="wakes by itself")

    @made.record()
    def wake(turn: Record) -> Next:
        woken(turn.node.id)
        return turn.done()

    return made


def holder() -> Procedure:
    """A step that takes its time, and one that ends."""
    made = Procedure("holder")

    @made.act()
    def hold(turn: Act) -> Next:
        if os.environ.get("BENCH_HOLD"):
            time.sleep(600)
        return turn.go(end)

    @made.record()
    def end(turn: Record) -> Next:
        return turn.done()

    return made


def resources() -> Resources:
    def nothing(*_: Any) -> Any:
        raise AssertionError

    return Resources(connect=nothing, make_write_params=nothing, policy=FlowPolicy())


def engine(database: Database, *kinds: Procedure, **options: Any) -> Engine:
    return Engine(database, {kind.kind: kind for kind in kinds}, resources(), clock=system_clock, **options)


def add_nodes(database: Database, count: int) -> list[int]:
    now = datetime.now(UTC)
    with database.write() as session:
        rows = [
            {"name": f"n{number}", "driver": "fake", "created_at": now, "updated_at": now, "provision_updated_at": now}
            for number in range(count)
        ]
        session.execute(insert(Node), rows)
        return list(session.scalars(select(Node.id).order_by(Node.id)))


def enqueue_all(database: Database, kind: str, nodes: list[int]) -> None:
    with database.write() as session:
        for node_id in nodes:
            flow.enqueue(session, kind=kind, node_id=node_id, data={}, now=system_clock())


def count(database: Database, **is_: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Flow).filter_by(**is_)) or 0


def until(is_true: Callable[[], bool], *, limit_s: float = 300) -> None:
    end = time.monotonic() + limit_s
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """cpu_ms: this process's own per step, which says more than the wall clock on a busy machine."""

    steps_per_s: float
    cpu_ms: float
    steps_per_commit: float


def steps_per_s(database: Database, flows: int, threads: int) -> Speed:
    nodes = add_nodes(database, flows)
    enqueue_all(database, "chain", nodes)
    running = engine(database, chain(), threads=threads)
    commits: list[object] = []
    sqlalchemy_event.listen(database.engine, "commit", commits.append)
    started, cpu = time.perf_counter(), time.process_time()
    running.start()
    until(lambda: count(database, status="done") == flows)
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    running.stop()
    steps = flows * CHAIN
    return Speed(steps_per_s=steps / taken, cpu_ms=1000 * cpu / steps, steps_per_commit=steps / len(commits))


def verbs(database: Database, nodes: int, rounds: int) -> dict[str, float]:
    """Each node is asked again when its work is over, as an operator's loop over a fleet does."""
    begun: dict[int, float] = {}
    made = Procedure("verb")

    @made.record()
    def act(turn: Record) -> Next:
        begun[turn.claimed.id] = time.perf_counter()
        return turn.done()

    ids = add_nodes(database, nodes)
    running = engine(database, made, threads=THREADS)
    running.start()
    asked: dict[int, float] = {}
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(rounds):
        for node_id in ids:
            with database.write() as session:
                row = flow.enqueue(session, kind="verb", node_id=node_id, data={}, now=system_clock())
            asked[row.id] = time.perf_counter()
        until(lambda number=number: count(database, status="done") == nodes * (number + 1))
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    running.stop()
    delays = sorted(1000 * (begun[flow_id] - at) for flow_id, at in asked.items())
    return {
        "verbs": nodes * rounds,
        "seconds": round(taken, 2),
        "cpu_ms_per_verb": round(1000 * cpu / nodes / rounds, 2),
        "start_ms_p50": round(statistics.median(delays), 1),
        "start_ms_p99": round(delays[int(0.99 * (len(delays) - 1))], 1),
    }


def commit_ms(database: Database, times: int = 50) -> float:
    spent = []
    for number in range(times):
        before = time.perf_counter()
        with database.write() as session:
            session.merge(Pool(name="bench", size=number))
        spent.append(time.perf_counter() - before)
    return round(1000 * statistics.median(spent), 2)


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def waiting(database: Database, flows: int, idle_s: float, wakes: int) -> dict[str, float]:
    started: dict[int, float] = {}
    event = threading.Event()

    def woken(node_id: int) -> None:
        started[node_id] = time.perf_counter()
        event.set()

    nodes = add_nodes(database, flows)
    enqueue_all(database, "sleeper", nodes)
    running = engine(database, sleeper(woken), threads=8)
    running.start()
    until(lambda: count(database, owner=None, wait_for="bell") == flows)
    time.sleep(1)
    before = time.process_time()
    time.sleep(idle_s)
    idle = (time.process_time() - before) / idle_s
    memory = rss_mb()
    delays = []
    for node_id in nodes[:: max(1, flows // wakes)][:wakes]:
        event.clear()
        with database.write() as session:
            flow.signal(session, node_id=node_id, name="bell", payload={}, now=system_clock())
        sent = time.perf_counter()
        event.wait(10)
        delays.append(1000 * (started[node_id] - sent))
        time.sleep(0.03)
    running.stop()
    delays.sort()
    return {
        "flows": flows,
        "rss_mb": round(memory, 1),
        "idle_cpu_percent": round(100 * idle, 3),
        "wake_ms_p50": round(statistics.median(delays), 1),
        "wake_ms_p99": round(delays[int(0.99 * (len(delays) - 1))], 1),
    }


def take_over_s(url: str, database: Database, flows: int, ttl_s: float) -> dict[str, float]:
    """A child claims all flows, is killed in the middle, and this process finishes them."""
    nodes = add_nodes(database, flows)
    enqueue_all(database, "holder", nodes)
    database.dispose()
    child = os.fork()
    if child == 0:
        os.environ["BENCH_HOLD"] = "1"
        engine(Database.at(url), holder(), threads=flows, worker_ttl_s=ttl_s, is_alone=False).start()
        time.sleep(600)
        os._exit(1)
    until(lambda: count(database, owner=None, status="active") == 0)
    running = engine(database, holder(), threads=8, worker_ttl_s=ttl_s, is_alone=False)
    running.start()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    killed = time.perf_counter()
    until(lambda: count(database, status="done") == flows)
    taken = time.perf_counter() - killed
    running.stop()
    return {
        "flows": flows,
        "lease_s": ttl_s,
        "seconds": round(taken, 2),
        "lost": flows - count(database, status="done"),
    }


@contextlib.contextmanager
def places(kind: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases on durable storage."""
    numbers = iter(range(1000))
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="rackwright-bench-") as name:

            def file() -> str:
                url = f"sqlite:///{name}/b{next(numbers)}.db"
                create_schema(url)
                return url

            yield file
        return
    with postgres_server.server(is_durable=True) as home:

        def made() -> str:
            name = f"b{next(numbers)}"
            postgres_server.execute(home, f"CREATE DATABASE {name}")
            create_schema(postgres_server.url(home, name))
            return postgres_server.url(home, name)

        yield made


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.at(url)
    yield database
    database.dispose()


def measure(kind: str, *, quick: bool) -> dict[str, Any]:
    flows, sleepers = (100, 1000) if quick else (300, 10_000)
    result: dict[str, Any] = {}
    with places(kind) as make:
        speeds = []
        for _ in range(1 if quick else 3):
            with opened(make()) as database:
                speeds.append(steps_per_s(database, flows, threads=THREADS))
        result["steps_per_s"] = round(statistics.median(speed.steps_per_s for speed in speeds))
        result["cpu_ms_per_step"] = round(statistics.median(speed.cpu_ms for speed in speeds), 3)
        result["steps_per_commit"] = round(statistics.median(speed.steps_per_commit for speed in speeds), 1)
        result["floor"] = FLOORS[kind]
        with opened(make()) as database:
            result["verbs"] = verbs(database, 100, 3)
        with opened(make()) as database:
            result["commit_ms"] = commit_ms(database)
        with opened(make()) as database:
            result["waiting"] = waiting(database, sleepers, 3 if quick else 20, 30 if quick else 100)
        url = make()
        with opened(url) as database:
            result["take_over"] = take_over_s(url, database, 50 if quick else 200, 2.0 if quick else 5.0)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small numbers, for a look")
    parser.add_argument("--database", choices=[*FLOORS, "both"], default="both")
    arguments = parser.parse_args()
    kinds = list(FLOORS) if arguments.database == "both" else [arguments.database]
    shown = {
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{kind: measure(kind, quick=arguments.quick) for kind in kinds},
    }
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
