"""What is written where, in each format. Golden texts: a change here is a change of the promise to scripts."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from appliance.main.cli.columns import NODE
from appliance.main.cli.table import fit
from tests.fakes.fake_api import FakeApi

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "evil\x1b[2J\u202e\x9b\u2028<script>"


@pytest.fixture
def two(api: FakeApi) -> FakeApi:
    api.add_node("r1-n2", "active", power_state="power on", rack="r1", rack_unit=2,
                 instance={"image": "debian-12", "hostname": "web1", "address": "10.20.0.7"})  # fmt: skip
    failure = {"step": "write_image", "reason": "disk too small", "at": "2026-03-01T12:00:00Z", "next": "choose"}
    api.add_node("r1-n10", "deploy failed", rack="r1", failure=failure)
    return api


@pytest.mark.parametrize("form", ["json", "jsonl", "yaml", "csv", "name", "plain", "wide"])
def test_golden_list(two: FakeApi, run: Callable, form: str) -> None:
    ended = run("node", "list", "-o", form)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (GOLDEN / f"node-list.{form}").read_text()


def test_golden_node(two: FakeApi, run: Callable) -> None:
    assert run("node", "show", "r1-n2", "-o", "json").out == (GOLDEN / "node.json").read_text()


def test_a_pipe_gets_everything(two: FakeApi, pipe: Callable) -> None:
    two.nodes[next(iter(two.nodes))]["rack"] = "x" * 300
    ended = pipe("node", "list")
    assert ended.out.splitlines()[0] == "NAME\tSTATE\tPOWER\tDOING\tADDRESS\tRACK"
    assert ended.out.splitlines()[1] == f"r1-n2\tactive\tpower on\t-\t10.20.0.7\t{'x' * 300}"


@pytest.mark.parametrize("columns", [80, 40, 24])
def test_a_terminal_gets_a_table_that_fits(two: FakeApi, terminal: Callable, columns: int) -> None:
    ended = terminal("node", "list", columns=columns, NO_COLOR="1").end()
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert "\x1b" not in ended.out
    assert all(len(line) <= columns for line in lines)
    assert [line.split()[0] for line in lines] == ["NAME", "r1-n2", "r1-n10"]
    assert "active" in lines[1]
    assert ("RACK" in lines[0]) == (columns == 80)


def test_colour_only_where_it_is_wanted(two: FakeApi, terminal: Callable, pipe: Callable) -> None:
    assert "\x1b[" in terminal("node", "list").end().out
    assert "\x1b[" not in terminal("node", "list", TERM="dumb").end().out
    assert "\x1b[" not in pipe("node", "list", "-o", "table").out
    assert "\x1b[" in pipe("node", "list", "-o", "table", CLICOLOR_FORCE="1").out


def test_fields_sort_and_headers(two: FakeApi, run: Callable) -> None:
    assert run("node", "list", "--fields", "name,bmc.udp_port", "--sort", "-name").out.splitlines() == [
        "NAME\tBMC.UDP_PORT", "r1-n10\t623", "r1-n2\t623",
    ]  # fmt: skip
    assert run("node", "list", "--fields", "name", "--no-headers", "--sort", "name").out == "r1-n2\nr1-n10\n"
    document = json.loads(run("node", "list", "-o", "json", "--fields", "name,failure.step").out)
    assert document["items"][1] == {"name": "r1-n10", "failure.step": "write_image"}


def test_an_unknown_field_is_refused_with_a_suggestion(two: FakeApi, run: Callable) -> None:
    ended = run("node", "list", "--fields", "nmae")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: there is no field 'nmae'\nnext: did you mean 'name'?\n"
    two.nodes.clear()
    assert run("node", "list", "--fields", "bmc.adress").code == 2


def test_an_empty_list_is_no_error(api: FakeApi, run: Callable, terminal: Callable) -> None:
    assert run("node", "list").code == 0
    assert json.loads(run("node", "list", "-o", "json").out) == {"format": "rackwright.node-list/1", "items": []}
    assert run("node", "list", "-o", "name").out == ""
    assert "no nodes yet" in terminal("node", "list").end().out


@pytest.mark.parametrize("form", ["plain", "json", "jsonl", "yaml", "csv", "name", "table", "wide"])
def test_what_a_machine_says_cannot_act_on_the_terminal(api: FakeApi, run: Callable, form: str) -> None:
    api.add_node(HOSTILE, rack=HOSTILE, maintenance=True, maintenance_reason=HOSTILE)
    ended = run("node", "list", "-o", form)
    assert ended.code == 0
    assert not set(ended.out) & set("\x1b\u202e\x9b\u2028\r\x07")
    if form == "json":
        assert json.loads(ended.out)["items"][0]["name"] == HOSTILE
    if form == "yaml":
        assert yaml.safe_load(ended.out)["items"][0]["name"] == HOSTILE


def test_csv_holds_no_formula(api: FakeApi, run: Callable) -> None:
    api.add_node("=HYPERLINK(1)", rack="@x", rack_unit=7, resource_class="-1+1")
    (row,) = csv.DictReader(
        io.StringIO(run("node", "list", "-o", "csv", "--fields", "name,rack,rack_unit,resource_class").out)
    )
    assert row == {"name": "'=HYPERLINK(1)", "rack": "'@x", "rack_unit": "7", "resource_class": "'-1+1"}


def test_lists_longer_than_a_page(api: FakeApi, run: Callable) -> None:
    api.page = 7
    for number in range(30):
        api.add_node(f"n{number}")
    assert run("node", "list", "-o", "name").out.split() == [f"n{number}" for number in range(30)]


def test_a_server_that_repeats_its_marker_does_not_hold_us(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    api._page = lambda items, query: {"items": items, "next": "1"}  # type: ignore[method-assign]
    assert run("node", "list", "-o", "name").out == "n1\nn1\n"


def test_a_reader_that_goes_away_is_no_crash(api: FakeApi, environment: dict[str, str]) -> None:
    import subprocess
    import sys

    for number in range(3000):
        api.add_node(f"n{number}")
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m appliance node list | head -n 1"], capture_output=True, text=True,
        env=environment, cwd=environment["PYTHONPATH"], check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "NAME\tSTATE\tPOWER\tDOING\tADDRESS\tRACK\n"
    assert done.stderr == ""


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_columns_leave_in_order(width: int) -> None:
    columns = [column for column in NODE.columns if not column.wide]
    kept, sizes = fit(columns, [12, 13, 9, 60, 15, 4], width, keep_all=False)
    left = {columns[index].drop for index in range(len(columns)) if index not in kept}
    assert all(columns[index].drop < min(left) for index in kept) if left else True
    assert kept[0] == 0
    assert width < 40 or sum(sizes) + 2 * (len(sizes) - 1) <= width
