"""The guest's door: by our own socket, and by the KCS device of a real QEMU that we drive through its test port."""

import contextlib
import shutil
import socket
import subprocess
import time

import pytest

from bmc.rmcp.message import Code
from bmc.virtual import kcs
from bmc.virtual.kcs_codec import Decoder, Message
from tests.fakes.bmcs import make_bmc, rig
from tests.fakes.machine import PretendMachine

QEMU = shutil.which("qemu-system-x86_64")
DATA_PORT, STATUS_PORT = 0xCA2, 0xCA3
OUTPUT_FULL, INPUT_FULL = 0x01, 0x02
WRITE_START, WRITE_END, READ = 0x61, 0x62, 0x68
READ_STATE, IDLE_STATE = 1, 0


@pytest.fixture
def one():
    with rig() as made:
        yield made


def test_it_answers_the_guest_with_the_same_users_and_settings(one, tmp_path):
    path = tmp_path / "kcs"
    close = kcs.attach(path, one.bmc)
    try:
        for _ in range(2):  # QEMU connects anew after each power cycle
            with socket.socket(socket.AF_UNIX) as guest:
                guest.connect(str(path))
                decoder = Decoder(is_answering_side=False)
                guest.sendall(b"\xff\x01\xa1\x08\x3f\xa1")
                answer = exchange(
                    guest, decoder, Message(sequence=4, netfn=0x0C, lun=0, command=2, data=b"\x01\x03\0\0")
                )
                assert answer.code == Code.OK
                assert answer.data == bytes([0x11, 10, 0, 0, 5])
                assert answer.sequence == 4
                strange = exchange(guest, decoder, Message(sequence=5, netfn=0x2C, lun=0, command=2))
                assert strange.code == Code.INVALID_COMMAND
    finally:
        close()
    assert not path.exists()


def exchange(guest, decoder, message):
    guest.sendall(message.encode())
    guest.settimeout(30)
    while True:
        for read in decoder.feed(guest.recv(4096)):
            if isinstance(read, Message):
                return read


class TestPort:
    """QEMU's qtest protocol: one line per port access."""

    __test__ = False

    def __init__(self, connection):
        self._file = connection.makefile("rw")

    def _line(self, words):
        self._file.write(words + "\n")
        self._file.flush()
        while not (answer := self._file.readline().strip()).startswith("OK"):
            assert answer.startswith("IRQ"), answer
        return answer[3:]

    def read(self, port):
        return int(self._line(f"inb {port:#x}"), 16)

    def write(self, port, value):
        self._line(f"outb {port:#x} {value:#x}")


class Kcs:
    """The host side of the KCS state machine (IPMI 2.0 §9.15)."""

    def __init__(self, port):
        self._port = port

    def _wait(self, mask, wanted):
        end = time.monotonic() + 60
        while self._port.read(STATUS_PORT) & mask != wanted:
            assert time.monotonic() < end, "the KCS device hangs"
            time.sleep(0.001)

    def _put(self, port, value):
        self._wait(INPUT_FULL, 0)
        self._port.write(port, value)
        self._wait(INPUT_FULL, 0)

    def ask(self, request):
        self._put(STATUS_PORT, WRITE_START)
        self._port.read(DATA_PORT)
        for octet in request[:-1]:
            self._put(DATA_PORT, octet)
        self._put(STATUS_PORT, WRITE_END)
        self._put(DATA_PORT, request[-1])
        answer = bytearray()
        while True:
            self._wait(OUTPUT_FULL, OUTPUT_FULL)
            state = self._port.read(STATUS_PORT) >> 6
            octet = self._port.read(DATA_PORT)
            if state == IDLE_STATE:
                return bytes(answer)
            assert state == READ_STATE
            answer.append(octet)
            self._put(DATA_PORT, READ)


@pytest.mark.skipif(QEMU is None, reason="needs qemu-system-x86_64 (package qemu-system-x86)")
def test_a_real_kcs_device_creates_a_user_who_logs_in_by_lan(one, tmp_path):
    close = kcs.attach(tmp_path / "kcs", one.bmc)
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(tmp_path / "qtest"))
        listener.listen(1)
        listener.settimeout(30)
        command = [QEMU, "-nodefaults", "-display", "none", "-machine", "pc", "-S", "-m", "16"]
        command += ["-qtest", f"unix:{tmp_path}/qtest", "-qtest-log", "none"]
        command += ["-chardev", f"socket,id=ipmi0,path={tmp_path}/kcs,reconnect=1"]
        command += ["-device", "ipmi-bmc-extern,id=bmc0,chardev=ipmi0", "-device", "isa-ipmi-kcs,bmc=bmc0"]
        qemu = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(lambda: (qemu.kill(), qemu.wait(), close()))
        connection, _ = listener.accept()
        stack.enter_context(connection)
        stack.enter_context(contextlib.closing(connection.makefile("rw")))
        guest = Kcs(TestPort(connection))
        end = time.monotonic() + 60
        # Until QEMU's connection to us stands it answers by itself: BMC initialisation in progress.
        while (identity := guest.ask(b"\x18\x01"))[2] == 0xD2 and time.monotonic() < end:
            time.sleep(0.1)
        assert identity[:5] == bytes([0x1C, 0x01, 0x00, 0x20, 0x01])
        assert guest.ask(b"\x30\x02\x01\x03\x00\x00")[3:] == bytes([0x11, 10, 0, 0, 5])
        assert guest.ask(b"\x18\x45\x05" + b"agent".ljust(16, b"\0"))[2] == 0
        assert guest.ask(b"\x18\x47\x05\x02" + b"pw12345".ljust(16, b"\0"))[2] == 0
        assert guest.ask(b"\x18\x43\xb1\x05\x04")[2] == 0
        assert guest.ask(b"\x18\x47\x05\x01")[2] == 0
    assert one.bmc.controller.users.may_log_in(b"agent", 4)


def test_a_listening_socket_may_be_given(tmp_path):
    with make_bmc(PretendMachine()) as bmc, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "given"))
        listener.listen(1)
        kcs.attach(listener, bmc)()
