"""Work behind requests: logged when it fails, bounded when it queues, and no obstacle to a shutdown."""

import threading
import time

import pytest

from appliance.domain.errors import Unavailable
from appliance.worker.background import Background


def test_a_job_that_fails_is_logged_and_the_next_one_runs(caplog):
    background = Background(1)
    failed = background.submit(lambda: 1 / 0)
    assert background.submit(lambda: "done").result(30) == "done"
    assert isinstance(failed.exception(10), ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text
    background.shutdown()


def test_more_than_can_wait_is_refused():
    background, leave = Background(1, waiting_most=2), threading.Event()
    began = threading.Event()
    background.submit(lambda: began.set() or leave.wait(30))
    assert began.wait(30)
    waiting = [background.submit(lambda: None) for _ in range(2)]
    with pytest.raises(Unavailable):
        background.submit(lambda: None)
    leave.set()
    assert [job.result(30) for job in waiting] == [None, None]
    background.shutdown()


def test_a_shutdown_waits_for_nobody_and_begins_nothing():
    background, leave = Background(1), threading.Event()
    began = threading.Event()
    background.submit(lambda: began.set() or leave.wait(30))
    assert began.wait(30)
    later = background.submit(lambda: None)
    start = time.monotonic()
    background.shutdown(wait=False, cancel_futures=True)
    assert time.monotonic() - start < 5
    assert later.cancelled()
    with pytest.raises(Unavailable):
        background.submit(lambda: None)
    assert all(thread.daemon for thread in background._threads)
    leave.set()
