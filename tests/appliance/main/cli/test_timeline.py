from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from appliance.main.cli.timeline import Phase, phases_of, picture, runs

NOW = datetime(2026, 3, 1, 12, 1, 0, tzinfo=UTC)

MOMENTS = st.floats(min_value=0, max_value=1e6)


def test_bars_stand_where_the_time_went() -> None:
    phases = [
        Phase(name="dhcp", start_s=0, end_s=2),
        Phase(name="write image", start_s=2, end_s=12),
        Phase(name="boot", start_s=12, end_s=20),
    ]
    assert picture(phases, width=40, ascii_only=True) == [
        "dhcp        |##                   | 2.0s",
        "write image |  ###########        | 0:10",
        "boot        |            #########| 8.0s",
        "total                               0:20",
    ]  # fmt: skip


def test_phases_of_the_appliance_win_and_an_open_one_runs_until_now() -> None:
    document = {
        "phases": [{"name": "boot", "start": "2026-03-01T12:00:00Z", "end": None}],
        "items": [{"kind": "x", "at": "2026-03-01T12:00:00Z", "duration_s": 3}],
    }
    assert phases_of(document, NOW) == [Phase(name="boot", start_s=0, end_s=60, is_open=True)]


def test_phases_are_read_from_events_that_end_something() -> None:
    document = {"items": [
        {"kind": "step.done", "at": "2026-03-01T12:00:10Z", "duration_s": 10, "data": {"step": "write_image"}},
        {"kind": "state", "at": "2026-03-01T12:00:11Z", "duration_s": None, "data": {}},
        {"kind": "tftp.done", "at": "2026-03-01T12:00:01Z", "duration_s": 0.5, "data": {}},
    ]}  # fmt: skip
    assert [(phase.name, phase.start_s, phase.end_s) for phase in phases_of(document, NOW)] == [
        ("write_image", 0.0, 10.0), ("tftp.done", 0.5, 1.0),
    ]  # fmt: skip


def test_nothing_to_draw() -> None:
    assert phases_of({"items": []}, NOW) == []
    assert picture([], width=80) == []


@given(
    st.lists(st.tuples(st.text(max_size=40), MOMENTS, MOMENTS), min_size=1, max_size=12),
    st.integers(38, 200),
    st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(
    spans: list[tuple[str, float, float]], width: int, ascii_only: bool
) -> None:
    phases = [Phase(name=name, start_s=min(a, b), end_s=max(a, b)) for name, a, b in spans]
    assert all(len(line) <= width for line in picture(phases, width=width, ascii_only=ascii_only))


def test_a_long_rest_starts_a_new_scale() -> None:
    phases = [
        Phase(name="a", start_s=0, end_s=5),
        Phase(name="b", start_s=20, end_s=40),
        Phase(name="c", start_s=9000, end_s=9003),
    ]
    assert [(rest, [(one.name, one.start_s, one.end_s) for one in group]) for rest, group in runs(phases)] == [
        (0.0, [("a", 0, 5), ("b", 20, 40)]), (8960.0, [("c", 0.0, 3.0)]),
    ]  # fmt: skip
    assert runs([]) == []
