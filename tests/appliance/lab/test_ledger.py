import os

import pytest

from appliance.lab import ledger, processes, spec
from appliance.lab.errors import LabFailed
from appliance.lab.ledger import Ledger
from appliance.lab.processes import Started

RACK = spec.rack(["bios", "uefi"])


def test_a_record_survives_the_disk(tmp_path):
    record = Ledger(
        rack=RACK,
        processes=[Started(role="machine:node1", pid=12, started_ticks=34)],
        forwards={"forward:10.77.0.1:8443": 40001},
    )
    ledger.save(record, tmp_path)
    assert ledger.load(tmp_path) == record
    ledger.remove(tmp_path)
    ledger.remove(tmp_path)
    assert ledger.load(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rack": {}, "processes": [], "forwards": {}}', "\x00"])
def test_a_file_that_is_not_a_record_is_refused(tmp_path, text):
    (tmp_path / ledger.FILE).write_text(text)
    with pytest.raises(LabFailed, match="not the record of a rack"):
        ledger.load(tmp_path)


def test_only_a_living_process_counts(tmp_path):
    us = processes.identify("us", os.getpid())
    record = Ledger(rack=RACK, processes=[Started(role="us", pid=us.pid, started_ticks=us.started_ticks - 1)])
    assert record.process("us") is None
    record.add(us)
    assert record.processes == [us]
    assert record.process("us") == us
    record.forwards["us"] = 1
    record.forget("us")
    assert record == Ledger(rack=RACK)


def test_one_command_at_a_time(tmp_path):
    with ledger.locked(tmp_path), pytest.raises(LabFailed, match="another command"), ledger.locked(tmp_path):
        pytest.fail("two commands hold one rack")
    with ledger.locked(tmp_path):
        pass
