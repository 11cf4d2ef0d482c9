from appliance.main.cli.progress import Meter, Track, aggregate, amounts, clock

MIB = 1 << 20


def writing(done: int) -> dict[str, object]:
    progress = {"phase": "write image", "done": done, "total": 100 * MIB, "unit": "bytes", "message": None}
    return {"provision_state": "deploying", "progress": progress}


def test_an_eta_is_given_only_when_the_rate_is_steady() -> None:
    track = Track(number=1, name="n1", started=0.0)
    lines = []
    for second in range(5):
        track.see(writing(10 * MIB * second), float(second))
        lines.append(track.line(float(second)))
    assert "ETA" not in "".join(lines[:3])
    assert lines[4] == "n1 0:04 deploying: write image 40% 40.0 MiB of 100 MiB 10.0 MiB/s ETA 0:06"


def test_a_new_phase_starts_over() -> None:
    meter = Meter()
    meter.add("a", 0, 0.0)
    meter.add("a", 50, 1.0)
    assert meter.rate() == 50
    meter.add("b", 10, 2.0)
    assert meter.rate() is None
    meter.add("b", 5, 3.0)
    assert meter.rate() is None


def test_a_stalled_transfer_has_no_eta() -> None:
    meter = Meter()
    for second in range(6):
        meter.add("a", 10, float(second))
    assert meter.eta_s(100) is None


def test_a_log_gets_a_line_when_something_is_new() -> None:
    track = Track(number=3, name="n1", started=0.0)
    said = []
    for tenth in range(100):
        track.see(writing(MIB * tenth), tenth / 10)
        if line := track.news(tenth / 10):
            said.append(line)
    assert said[0].startswith("[3] n1 0:00 deploying: write image 0%")
    assert len(said) == 10
    assert track.news(11.0) is None
    assert track.news(60.0) is not None


def test_progress_without_a_total_or_with_nonsense() -> None:
    assert amounts({"phase": "erase", "done": 5, "total": 0, "unit": "blocks"}, Meter()) == "erase 5 blocks"
    assert amounts({"phase": "erase", "done": None, "total": "x"}, Meter()) == "erase"
    assert amounts(None, Meter()) == ""


def test_many_nodes_are_one_line() -> None:
    tracks = [Track(number=n, name=f"n{n}", started=0.0, node={"provision_state": "cleaning"}) for n in range(20)]
    for track in tracks[:10]:
        track.ended = 3.0
    assert aggregate(tracks, 2, 65.0) == "[#####.....] 10/20 ended, 2 failed, 1:05; cleaning 10"


def test_clock() -> None:
    assert [clock(s) for s in (-1, 5, 65, 3661)] == ["0:00", "0:05", "1:05", "1:01:01"]
