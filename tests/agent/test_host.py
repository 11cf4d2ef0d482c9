import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ProgramFailed
from agent.host import Host, parse_date


@given(st.integers(0, 4102444799))
def test_http_dates(moment):
    assert parse_date(formatdate(moment, usegmt=True)) == moment


@pytest.mark.parametrize("text", ["", "Sat, 21 Nov 2026 08:17:35 CET", "Sat, 21 Foo 2026 08:17:35 GMT", "x" * 100])
def test_what_is_no_date(text):
    with pytest.raises(ValueError):
        parse_date(text)


def test_programs(tmp_path):
    host = Host(tmp_path)
    assert host.run(["cat"], timeout_s=30, stdin=b"abc") == "abc"
    with pytest.raises(ProgramFailed, match="ended with 3: sorry"):
        host.run(["sh", "-c", "echo sorry >&2; exit 3"], timeout_s=30)
    with pytest.raises(ProgramFailed, match="ran out of time"):
        host.run(["sleep", "5"], timeout_s=0.05)
    with pytest.raises(ProgramFailed):
        host.run(["/no/such/program"], timeout_s=30)


def test_a_session_is_kept_for_the_next_process_and_for_nobody_else(tmp_path):
    (tmp_path / "run/rackwright").mkdir(parents=True)
    host = Host(tmp_path)
    assert host.read_session() is None
    host.keep_session("token")
    assert host.read_session() == "token"
    assert (tmp_path / "run/rackwright/session").stat().st_mode & 0o777 == 0o600


def test_waiting_for_a_file_ends(tmp_path):
    begin = time.monotonic()
    assert not Host(tmp_path).await_file("network", timeout_s=0.01)
    assert time.monotonic() - begin < 2


def test_address_of_an_interface(tmp_path):
    assert Host(tmp_path).address_of("lo") == "127.0.0.1"
    assert Host(tmp_path).address_of("none0") is None
