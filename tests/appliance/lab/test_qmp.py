import json
import socket
import threading

import pytest

from appliance.lab.qmp import Qmp, QmpFailed


class PretendQemu:
    """Answers each command by a function; runs until its end of the pair is closed."""

    def __init__(self, answer):
        self.ours, self._theirs = socket.socketpair()
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def send(self, document):
        self._theirs.sendall(json.dumps(document).encode() + b"\r\n")

    def raw(self, data):
        self._theirs.sendall(data)

    def _run(self):
        self.send({"QMP": {"version": {}}})
        with self._theirs.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                reply = self._answer(asked["execute"], asked["arguments"])
                if reply is None:
                    break
                self.send({**reply, "id": asked["id"]})
        self._theirs.close()

    def end(self):
        self._thread.join(30)


def answer_all(command, arguments):
    return {"return": {"did": command, **arguments}}


def test_a_command_gets_its_answer_and_events_go_to_the_listener():
    seen, arrived = [], threading.Event()

    def listen(name, data):
        seen.append((name, data))
        arrived.set()

    qemu = PretendQemu(answer_all)
    qmp = Qmp(qemu.ours, listen)
    qemu.raw(b"not json\n")
    qemu.send({"event": "RESET", "data": {"guest": True}})
    assert qmp.execute("qom-set", path="/x", value=1) == {"did": "qom-set", "path": "/x", "value": 1}
    assert arrived.wait(30)
    assert seen == [("RESET", {"guest": True})]
    qmp.close()
    qemu.end()


def test_a_refusal_is_an_error_with_qemus_words():
    qemu = PretendQemu(lambda name, _: {"return": {}} if name == "qmp_capabilities" else {"error": {"desc": "nope"}})
    qmp = Qmp(qemu.ours, lambda *_: None)
    with pytest.raises(QmpFailed, match="nope"):
        qmp.execute("quit")
    qmp.close()
    qemu.end()


def test_a_machine_that_ends_while_answering_fails_at_once():
    qemu = PretendQemu(lambda name, _: {"return": {}} if name == "qmp_capabilities" else None)
    qmp = Qmp(qemu.ours, lambda *_: None)
    with pytest.raises(QmpFailed, match="no answer"):
        qmp.execute("quit")
    with pytest.raises(QmpFailed):
        qmp.execute("quit")
    qmp.close()
    qemu.end()


def test_a_machine_that_ends_before_it_greets_fails_the_start():
    qemu = PretendQemu(lambda *_: None)
    with pytest.raises(QmpFailed):
        Qmp(qemu.ours, lambda *_: None)
    qemu.ours.close()
    qemu.end()
