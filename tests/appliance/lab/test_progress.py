import io

from appliance.lab import progress
from appliance.lab.phases import Phase


def test_lines_say_each_thing_once():
    out = io.StringIO()
    with progress.Lines(out) as shown:
        for share in range(5):
            shown.note("node1", f"deploy: writing {share} %")
        shown.note("node1", "ssh: trying")
        shown.ended("node1", Phase(name="deploy", start_s=1, end_s=3))
        shown.failed(None, "the roof is leaking")
    lines = [line.split("s  ", 1)[1] for line in out.getvalue().splitlines()]
    assert lines == [
        "node1    deploy: writing 0 %",
        "node1    ssh: trying",
        "node1    deploy done in 2.0 s",
        "-        FAILED: the roof is leaking",
    ]


def test_a_pipe_gets_lines():
    assert isinstance(progress.choose(["node1"], out=io.StringIO()), progress.Lines)


def test_the_table_shows_now_and_done(capsys):
    with progress.LiveTable(["node1", "node2"]) as shown:
        shown.note(None, "two machines")
        shown.note("node1", "deploy: 5 %")
        shown.note("node1", "deploy: 6 %")
        shown.ended("node1", Phase(name="inspect", start_s=0, end_s=2))
        shown.failed("node2", "no answer")
    text = capsys.readouterr().err
    for expected in ("two machines", "deploy: 6 %", "inspect 2s", "FAILED: no answer"):
        assert expected in text
