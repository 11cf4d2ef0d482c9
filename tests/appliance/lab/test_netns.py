import pytest

from appliance.lab import netns, spec

RACK = spec.rack(["bios", "uefi"], namespace="lab-test-words")


def test_the_bridge_forwards_from_the_first_frame_on():
    commands = netns.bridge_commands(RACK)
    bridge = next(words for words in commands if "bridge" in words)
    for name in ("stp_state", "forward_delay", "mcast_snooping"):
        assert bridge[bridge.index(name) + 1] == "0"
    assert ["-n", "lab-test-words", "addr", "add", "10.77.0.1/24", "dev", "br0"] in commands


def test_every_command_stays_inside_the_namespace():
    commands = netns.bridge_commands(RACK) + [w for node in RACK.nodes for w in netns.tap_commands(RACK, node)]
    assert all(words[:2] == ["-n", "lab-test-words"] for words in commands)


def test_each_bmc_has_its_own_address():
    words = [netns.tap_commands(RACK, node)[-1] for node in RACK.nodes]
    assert [w[4] for w in words] == ["10.77.0.201/32", "10.77.0.202/32"]


def test_a_program_inside_is_the_program_itself():
    assert netns.inside("lab", ["ls", "-l"]) == ["ip", "netns", "exec", "lab", "ls", "-l"]


def test_a_namespace_that_is_not_there():
    assert not netns.exists("lab-test-absent")
    assert netns.process_ids("lab-test-absent") == []
    netns.delete("lab-test-absent")
    with pytest.raises(FileNotFoundError):
        netns.enter("lab-test-absent")
