"""The IPMI driver against the virtual BMC: the contract, then every way in which a BMC can be bad."""

import contextlib
import dataclasses
import logging
import threading
import time

import pytest
from pyghmi.ipmi.private import session as pyghmi_session

from bmc.api import HasConsole, HasInterrupt
from bmc.breaker import Breaker
from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.ipmi.driver import IpmiBmc
from bmc.ipmi.gate import LoginGate
from bmc.ipmi.loop import shared_loop
from bmc.rmcp.message import Code
from bmc.types import BootDevice, BootOverride, PowerAction, PowerState
from bmc.virtual.faults import Faults
from tests.contracts.bmc_contract import BmcContract, InterruptContract
from tests.fakes.bmcs import GUID, LAN, SECRET, rig, target_of

STATUS, CONTROL, BOOT_SET, DEVICE_ID = (0x00, 0x01), (0x00, 0x02), (0x00, 0x08), (0x06, 0x01)
SET_PRIVILEGE = (0x06, 0x3B)


def connect(target, **breaker):
    return IpmiBmc(target, loop=shared_loop(), gate=LoginGate(shared_loop()), breaker=Breaker(**breaker))


@pytest.fixture
def one():
    with rig() as made:
        yield made


@pytest.fixture
def bmc(one):
    made = connect(one.target)
    yield made
    made.close()


@pytest.fixture
def patient(monkeypatch):
    """Nothing is sent twice because this machine is slow."""
    monkeypatch.setattr(pyghmi_session, "initialtimeout", 60.0)


class TestContract(BmcContract, InterruptContract):
    further = (HasConsole, HasInterrupt)

    @pytest.fixture
    def bmc(self, one):
        made = connect(one.target)
        yield made
        made.close()

    @pytest.fixture
    def interrupts(self, one):
        return lambda: one.machine.history.count("nmi")


def test_it_learns_what_the_bmc_says(bmc):
    info = bmc.info()
    assert (info.guid, info.firmware_version, info.cipher_suite) == (str(GUID), "1.00", 17)
    assert bmc.lan() == LAN
    assert bmc.fru()["Serial Number"] == "SN-0001"


def test_the_session_is_kept(patient, one, bmc):
    for _ in range(5):
        bmc.power_state()
    assert [command for command in one.bmc.executed if command == (0x06, 0x38)] == [(0x06, 0x38)]


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (Code.INVALID_COMMAND, Unsupported),
        (Code.INSUFFICIENT_PRIVILEGE, Denied),
        (Code.NOT_IN_THIS_STATE, Unsupported),
        (Code.UNSPECIFIED, Nonsense),
        (Code.BUSY, Busy),
        (Code.TIMEOUT, Busy),
    ],
)
def test_completion_codes_are_typed_faults(one, bmc, code, fault):
    bmc.power_state()
    one.bmc.set_faults(Faults(codes={CONTROL: code}))
    with pytest.raises(fault, match=f"{int(code):#04x}"):
        bmc.power(PowerAction.ON, deadline_s=1.5 if fault is Busy else 30)  # a busy one is asked until then
    assert one.machine.history == []


def test_a_busy_bmc_is_asked_again(one, bmc):
    one.bmc.set_faults(Faults(codes={CONTROL: Code.BUSY}, busy_times=1))
    bmc.power(PowerAction.ON)
    assert bmc.power_state() is PowerState.ON


def test_a_wrong_password_is_told_once_and_never_repeated(patient, one, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = connect(dataclasses.replace(one.target, password="n0t-the-one"))
    for _ in range(3):
        with pytest.raises(Denied) as refused:
            wrong.power_state()
        assert "n0t-the-one" not in str(refused.value)
    assert one.bmc.executed.count((0x06, 0x38)) == 1
    assert "n0t-the-one" not in caplog.text
    assert "n0t-the-one" not in repr(wrong.__dict__) + repr(wrong._channel.__dict__)
    wrong.close()


def test_an_unknown_user_is_denied(one):
    stranger = connect(target_of(one.bmc, username="stranger"))
    with pytest.raises(Denied):
        stranger.power_state()
    stranger.close()


def test_an_operator_may_log_in(one):
    one.bmc.controller.users.slot(2).privilege = 3
    operator = connect(one.target)
    operator.power(PowerAction.ON)
    assert operator.power_state() is PowerState.ON
    operator.close()


def test_nobody_there_fails_at_the_deadline_and_then_at_once(one):
    dead = connect(dataclasses.replace(one.target, address="127.0.0.99"), threshold=1)
    for deadline_s, least in ((0.5, 0.4), (30, 0.0)):
        started = time.monotonic()
        with pytest.raises(Unreachable):
            dead.power_state(deadline_s=deadline_s)
        assert least <= time.monotonic() - started < 20
    dead.close()


def test_a_nonsense_address_is_unreachable(one):
    nowhere = connect(dataclasses.replace(one.target, address="256.1.1.1"))
    with pytest.raises(Unreachable):
        nowhere.power_state(deadline_s=2)
    nowhere.close()


def test_a_bmc_that_stops_answering_fails_at_the_deadline(one, bmc):
    bmc.power_state()
    one.bmc.set_faults(Faults(hangs=frozenset({STATUS})))
    started = time.monotonic()
    with pytest.raises(Unreachable):
        bmc.power_state(deadline_s=0.5)
    assert time.monotonic() - started < 10
    one.bmc.set_faults(Faults())
    assert bmc.power_state() is PowerState.OFF


def test_a_bmc_that_hangs_in_the_log_in_holds_up_no_other(one):
    """pyghmi's own session would wait here on the thread that serves all BMCs."""
    with rig(faults=Faults(hangs=frozenset({SET_PRIVILEGE}))) as deaf, rig() as well:
        hung, fine = connect(deaf.target), connect(well.target)
        waiting = hung.power_state_later(deadline_s=60)
        for _ in range(5):
            fine.power_state()
        assert not waiting.done()
        hung.close()
        assert isinstance(waiting.exception(20), Unreachable)
        late = connect(deaf.target)
        assert isinstance(late.power_state_later(deadline_s=0.5).exception(20), Unreachable)
        late.close()
        fine.close()


def test_a_restarted_bmc_is_logged_in_to_again(one, bmc):
    assert bmc.power_state() is PowerState.OFF
    one.bmc.drop_sessions()
    one.machine.power_on()
    assert bmc.power_state(deadline_s=30) is PowerState.ON


def test_a_power_cycle_is_never_sent_into_a_second_session(one, bmc):
    bmc.power(PowerAction.ON)
    before = one.bmc.executed.count((0x06, 0x38))
    one.bmc.set_faults(Faults(hangs=frozenset({CONTROL})))
    with pytest.raises(Unreachable, match="not known"):
        bmc.power(PowerAction.CYCLE, deadline_s=8)
    assert one.bmc.executed.count((0x06, 0x38)) == before


def test_loss_does_not_double_a_restart():
    with rig(faults=Faults(loss=0.12, seed=5), is_on=True) as lossy:
        bmc = connect(lossy.target)
        for _ in range(4):
            before = len(lossy.machine.history)
            bmc.power(PowerAction.CYCLE, deadline_s=30)
            assert lossy.machine.history[before:] == ["off", "on"]
        bmc.close()


def test_a_liar_who_ignores_the_boot_device_is_found_out(one, bmc):
    one.bmc.set_faults(Faults(lies=frozenset({BOOT_SET})))
    with pytest.raises(Unsupported, match="ignored"):
        bmc.set_boot_override(BootOverride(device=BootDevice.PXE))


def test_a_liar_who_ignores_power_is_visible_in_the_state(one, bmc):
    one.bmc.set_faults(Faults(lies=frozenset({CONTROL})))
    bmc.power(PowerAction.ON)
    assert bmc.power_state() is PowerState.OFF


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (STATUS, "power_state"),
        (DEVICE_ID, "info"),
        ((0x0C, 0x02), "lan"),
        ((0x0A, 0x43), "event_log"),
        ((0x0A, 0x11), "fru"),
        ((0x04, 0x2D), "sensors"),
        ((0x00, 0x09), "boot_override"),
    ],
)
def test_answers_without_their_data_are_nonsense(one, bmc, command, call):
    bmc.power(PowerAction.ON)
    one.bmc.set_faults(Faults(truncated=frozenset({command})))
    with pytest.raises(Nonsense):
        getattr(bmc, call)()
    one.bmc.set_faults(Faults())
    assert bmc.power_state() is PowerState.ON


def test_noise_for_answers_is_nonsense_and_the_loop_lives_on(one):
    with rig(faults=Faults(garbage=1.0)) as noisy:
        bmc = connect(noisy.target)
        with pytest.raises((Nonsense, Unreachable)):
            bmc.power_state(deadline_s=1)
        bmc.close()
    fine = connect(one.target)
    assert fine.power_state() is PowerState.OFF
    fine.close()


def test_answers_from_another_port_are_not_listened_to():
    with rig(faults=Faults(is_answering_elsewhere=True)) as elsewhere:
        bmc = connect(elsewhere.target)
        with pytest.raises(Unreachable):
            bmc.power_state(deadline_s=1)
        bmc.close()


def test_a_bmc_with_suite_3_only_is_spoken_to_in_suite_3(one, bmc, monkeypatch):
    from bmc.rmcp import suites
    from bmc.virtual import sessions

    monkeypatch.setattr(sessions, "suite_for", lambda *wanted: suites.SUITE_3 if wanted == (1, 1, 1) else None)
    assert bmc.info().cipher_suite == 3


def test_a_bmc_without_a_sound_suite_is_unsupported(bmc, monkeypatch):
    from bmc.virtual import sessions

    monkeypatch.setattr(sessions, "suite_for", lambda *_wanted: None)
    with pytest.raises(Unsupported, match="suite"):
        bmc.power_state()


def test_a_bmc_that_speaks_ipmi_1_5_only_is_unsupported(one, bmc):
    from bmc.virtual.commands import application, privilege

    weak = lambda *_: bytes([1, 0x04, 0x04, 0, 0, 0, 0, 0])  # noqa: E731
    commands = {**one.bmc.controller._commands, (0x06, 0x38): (privilege.NONE, weak)}
    assert application.COMMANDS
    one.bmc.controller._commands = commands
    with pytest.raises(Unsupported, match=r"IPMI 2\.0"):
        bmc.power_state()


def test_a_downgrade_to_no_encryption_is_refused(bmc, monkeypatch):
    from bmc.virtual import sessions

    real = sessions.Sessions._open

    def weak(self, payload, peer, now):
        answer = bytearray(real(self, payload, peer, now))
        answer[32] = 0
        return bytes(answer)

    monkeypatch.setattr(sessions.Sessions, "_open", weak)
    with pytest.raises(Nonsense, match="cipher suite"):
        bmc.power_state()


def test_eight_threads_on_one_bmc_hold_one_conversation(patient):
    with rig(faults=Faults(delay_s=0.005)) as slow:
        bmc = connect(slow.target)
        faults = []

        def work():
            try:
                for _ in range(4):
                    bmc.power_state()
                    bmc.set_boot_override(BootOverride(device=BootDevice.PXE))
            except BmcError as error:
                faults.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert slow.bmc.most_answers_due == 1
        bmc.close()


def test_sessions_that_end_give_their_place_on_a_socket_back(one):
    def places():
        return sum(pyghmi_session.Session.socketpool.values())

    keeper = connect(one.target)
    keeper.power_state()
    before = places()
    for password in (SECRET, "wrong", SECRET):
        bmc = connect(dataclasses.replace(one.target, password=password))
        with contextlib.suppress(Denied):
            bmc.power_state()
        bmc.close()
    assert keeper.power_state() is PowerState.OFF, "so the closing is over"
    assert places() == before
    keeper.close()


def test_two_connections_to_one_bmc_do_not_share_a_session(one):
    first, second = connect(one.target), connect(one.target)
    assert first.power_state() is second.power_state() is PowerState.OFF
    first.close()
    assert second.power_state() is PowerState.OFF
    second.close()


def test_a_closed_connection_says_so(bmc):
    bmc.close()
    with pytest.raises(Unreachable, match="closed"):
        bmc.power_state()


def gone(console, seconds=20.0):
    end = time.monotonic() + seconds
    while console.is_open and time.monotonic() < end:
        threading.Event().wait(0.01)
    return not console.is_open


def test_another_can_take_the_console_over(one, bmc):
    console = bmc.open_console(lambda _data: None)
    rival = connect(one.target)
    taken = rival.open_console(lambda _data: None)
    assert taken.is_open
    assert gone(console)
    again = rival.open_console(lambda _data: None)
    assert again.is_open
    assert gone(taken)
    rival.close()


def test_a_console_ends_with_its_session(one, bmc):
    console = bmc.open_console(lambda _data: None)
    one.bmc.drop_sessions()
    assert bmc.power_state(deadline_s=30) is PowerState.OFF
    assert gone(console)


def test_a_bmc_that_forgets_the_console_without_a_word_is_noticed(one, bmc, monkeypatch):
    from bmc.ipmi import console as consoles

    monkeypatch.setattr(consoles, "WATCH_S", 0.1)
    console = bmc.open_console(lambda _data: None)
    one.bmc.controller.sol_session_id = 0
    assert gone(console)


def test_an_idle_session_is_kept_open(one, monkeypatch):
    from bmc.ipmi import channel

    monkeypatch.setattr(channel, "KEEP_ALIVE_S", 0.1)
    monkeypatch.setattr(channel, "IDLE_SLACK_S", 0.05)
    bmc = connect(one.target)
    bmc.power_state()
    end = time.monotonic() + 30
    while one.bmc.executed.count(DEVICE_ID) < 2 and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert one.bmc.executed.count(DEVICE_ID) >= 2
    bmc.close()


def test_a_name_is_looked_up(one):
    named = connect(dataclasses.replace(one.target, address="localhost"))
    assert named.power_state() is PowerState.OFF
    named.close()
    nobody = connect(dataclasses.replace(one.target, address="nobody.invalid"))
    with pytest.raises(Unreachable):
        nobody.power_state(deadline_s=3)
    nobody.close()


def test_a_flood_on_the_console_arrives_in_order(one, bmc):
    heard = bytearray()
    done = threading.Event()

    def listen(data):
        heard.extend(data)
        if heard.endswith(b"end"):
            done.set()

    console = bmc.open_console(listen)
    flood = b"".join(b"%06d" % number for number in range(2000)) + b"end"
    one.machine.say(flood)
    assert done.wait(30)
    assert bytes(heard) == flood
    assert bmc.power_state() is PowerState.OFF
    console.close()


def test_the_secret_is_nowhere_in_the_log(one, bmc, caplog):
    caplog.set_level(logging.DEBUG)
    bmc.info()
    bmc.sensors()
    assert SECRET not in caplog.text
