import threading
import time

from pyghmi.ipmi.private import session as pyghmi_session

from bmc.ipmi.loop import shared_loop


def test_pyghmi_still_has_what_the_loop_replaces():
    """When this fails after an update of pyghmi, read `bmc.ipmi.loop` and `bmc.ipmi.session` again."""
    for name in ("_io_wait", "_io_graball", "iosockets", "iothread", "iothreadready", "Session"):
        assert hasattr(pyghmi_session, name)
    for name in (
        "_req_priv_level",
        "_got_channel_auth_cap",
        "_got_rmcp_response",
        "_got_rakp2",
        "_got_rakp4",
        "_relog",
    ):
        assert callable(getattr(pyghmi_session.Session, name))


def test_there_is_one_loop_and_everything_runs_on_its_thread():
    loop = shared_loop()
    assert shared_loop() is loop
    ran = []
    done = threading.Event()
    loop.call(lambda: ran.append(threading.current_thread().name))
    loop.call(done.set)
    assert done.wait(20)
    assert ran == ["pyghmi"]


def test_timers_run_in_order_and_cancelled_ones_do_not():
    loop = shared_loop()
    ran = []
    done = threading.Event()

    def plan():
        """On the loop's own thread, so that no timer is due before all are set."""
        now = time.monotonic()
        loop.call_at(now + 0.06, lambda: (ran.append("late"), done.set()))
        loop.call_at(now + 0.01, lambda: ran.append("early"))
        loop.call_at(now + 0.02, lambda: ran.append("never")).cancel()

    loop.call(plan)
    assert done.wait(20)
    assert ran == ["early", "late"]


def test_a_failing_call_does_not_end_it(caplog):
    loop = shared_loop()
    done = threading.Event()
    loop.call(lambda: 1 / 0)
    loop.call(done.set)
    assert done.wait(20)
    assert "failed on the pyghmi thread" in caplog.text
