"""The appliance answers as a real Ironic does, but for what differ_known.toml explains."""

import json
from pathlib import Path

import pytest

from tests.interop import differ, differ_compare
from tests.interop.differ_worlds import Answer, World

UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"


def world(name: str, origin: str, **kept: str) -> World:
    made = World(name, origin, database=Path("none"), table="node")
    made.kept.update(kept)
    return made


THEM, US = world("ironic", "http://h:1"), world("ours", "https://h:2/baremetal")


def lines(theirs: tuple[int, str], ours: tuple[int, str], them: World = THEM, us: World = US, **headers: str):
    one = Answer(status=theirs[0], headers={}, raw=theirs[1].encode())
    other = Answer(status=ours[0], headers=headers, raw=ours[1].encode())
    return differ_compare.differences((them, one), (us, other))


def test_what_must_differ_does_not_count():
    them, us = world("ironic", "http://h:1", n=UUID), world("ours", "https://h:2/baremetal", n=UUID.replace("1", "2"))
    theirs = f'{{"uuid": "{UUID}", "links": "http://h:1/v1/x", "at": "2026-01-01T00:00:00+00:00"}}'
    ours = f'{{"uuid": "{us.kept["n"]}", "links": "https://h:2/baremetal/v1/x", "at": "2027-01-01T00:00:09+00:00"}}'
    assert lines((200, theirs), (200, ours), them, us) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ((200, "{}"), (404, "{}"), "status: 200, ours 404"),
        ((200, '{"a": 1}'), (200, "{}"), "key .a: not in ours"),
        ((200, "{}"), (200, '{"a": 1}'), "key .a: in ours alone"),
        ((200, '{"a": [1]}'), (200, '{"a": [null]}'), "type .a[0]: 1, ours null"),
        ((200, '{"a": [1]}'), (200, '{"a": []}'), "value .a: 1 items, ours 0"),
        ((200, '{"a": true}'), (200, '{"a": false}'), "value .a: true, ours false"),
        ((200, '{"next": "/v1/x?limit=1&marker=a&b=c"}'), (200, '{"next": "/v1/x?limit=1&marker=b"}'), "value .next:"),
        (
            (400, '{"error_message": "{\\"faultstring\\": \\"a\\"}"}'),
            (400, '{"error_message": "{\\"faultstring\\": \\"b\\"}"}'),
            "fault: a / ours: b",
        ),
        ((400, '{"error_message": "{\\"code\\": 1}"}'), (400, '{"error_message": "{\\"faultstring\\": 1}"}'), "body:"),
    ],
)
def test_what_differs_is_said(theirs: tuple[int, str], ours: tuple[int, str], said: str):
    found = lines(theirs, ours)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_headers_are_compared():
    assert lines((200, "{}"), (200, "{}"), location="/x") == ["header location: None, ours '/x'"]
    assert lines((200, "{}"), (200, "{}"), date="today") == []


def test_the_table_is_read_and_matches_brackets_as_they_are():
    assert all(one.why and one.lines for one in differ.known())
    one = differ.Known(why="w", asks=("GET /v1/nodes*",), lines=("type .a[0]: *",))
    assert one.holds("GET /v1/nodes @1.1", "type .a[0]: 1, ours null")
    assert not one.holds("GET /v1/ports @1.1", "type .a[0]: 1, ours null")
    assert not one.holds("GET /v1/nodes @1.1", "type .a0: 1, ours null")


def test_a_report_is_judged_anew_by_the_table_as_it_is_now():
    one = differ.Known(why="w", asks=("GET *",), lines=("type *",))
    idle = differ.Known(why="nothing", asks=("GET *",), lines=("fault: *",))
    first = differ.Outcome(asked=3, same=1)
    first.judge([], "GET /v1/x @1.1", ["type .a: 1, ours null", "status: 200, ours 404"])
    assert (len(first.new), first.idle([one])) == (2, ["w"])
    report = json.loads(json.dumps(first.report()))
    second = differ.again(report, [one, idle])
    assert second.new == [("GET /v1/x @1.1", "status: 200, ours 404")]
    assert second.kept == {"w": [("GET /v1/x @1.1", "type .a: 1, ours null")]}
    assert second.idle([one, idle]) == ["nothing"]
    assert differ.again(json.loads(json.dumps(second.report())), []).kept == {}


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_as_ironic_answers(tmp_path: Path):
    (tmp_path / "ours").mkdir()
    outcome = differ.run(tmp_path)
    assert outcome.asked > 10_000
    assert outcome.idle(differ.known()) == []
    assert not outcome.new, "\n".join(f"{ask}\n    {line}" for ask, line in outcome.new[:200])
