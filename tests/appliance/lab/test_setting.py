from types import SimpleNamespace

import pytest

from appliance.lab import appliance, rack, setting, spec
from appliance.lab.client import ApiFailed
from appliance.lab.errors import LabFailed
from appliance.lab.setting import Places, Setting
from appliance.services import bootfiles
from images import tools

RACK = spec.rack(["bios", "uefi"])


class PretendClient:
    def __init__(self, images=(), subnets=()):
        self.images, self.subnets, self.token = list(images), list(subnets), None

    def post(self, path, body):
        assert (path, body) == ("/v1/login", {"username": "admin", "password": "once"})
        return {"token": "T", "must_change": True}

    def use(self, token):
        self.token = token

    def get(self, path):
        if path.startswith("/v1/images/"):
            return self.images[0]
        return {"items": self.subnets if path == "/v1/subnets" else self.images}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    did = []

    def make(client):
        running = SimpleNamespace(client=lambda: client)
        monkeypatch.setattr(rack, "up", lambda *_: did.append("up") or "raised")
        monkeypatch.setattr(
            appliance, "initialise", lambda *_, **__: appliance.Login(username="admin", password="once")
        )
        monkeypatch.setattr(bootfiles, "install", lambda *_, **__: did.append("boot files"))
        monkeypatch.setattr(appliance, "start", lambda *_: did.append("serve") or running)

        def run(_running, token, *words, limit_s):
            assert token == "T"
            did.append(" ".join(words[:3]))
            if words[0] == "image":
                client.images.append({"name": "debian-12", "status": "active"})

        monkeypatch.setattr(appliance, "run_command", run)
        places = Places(state=tmp_path / "state", run=tmp_path / "run", cache=tmp_path / "cache")
        return Setting(places, report=lambda _: None), did

    return make


def test_the_stage_is_raised_in_order_and_every_step_is_kept(stage):
    setting_, did = stage(PretendClient())
    raised = setting_.raise_stage(RACK)
    assert did == ["up", "boot files", "serve", "subnet create lab", "image build debian-12"]
    assert [s.name for s in setting_.steps] == ["rack", "init", "boot files", "serve", "login", "subnet", "image"]
    assert all(step.is_ok for step in setting_.steps)
    assert raised.client.token == "T"


def test_what_is_there_already_is_not_made_again(stage):
    known = PretendClient(images=[{"name": "debian-12", "status": "active"}], subnets=[{"name": "lab"}])
    setting_, did = stage(known)
    setting_.raise_stage(RACK)
    assert did == ["up", "boot files", "serve"]


def test_an_image_that_is_not_usable_is_said_so(stage):
    setting_, _ = stage(PretendClient(images=[{"name": "debian-12", "status": "killed", "problem": "truncated"}]))
    with pytest.raises(LabFailed, match="debian-12 is killed") as refused:
        setting_.raise_stage(RACK)
    assert refused.value.why == "truncated"
    assert not setting_.steps[-1].is_ok


@pytest.mark.parametrize(
    "fault", [tools.ToolFailed(["mke2fs"], 1, "disk full"), ApiFailed(503, "not now"), LabFailed("x")]
)
def test_a_failed_step_is_kept_with_its_reason(stage, monkeypatch, fault):
    setting_, _ = stage(PretendClient())

    def fail(*_, **__):
        raise fault

    monkeypatch.setattr(setting.bootfiles, "install", fail)
    with pytest.raises(type(fault)):
        setting_.raise_stage(RACK)
    last = setting_.steps[-1]
    assert (last.name, last.is_ok, last.detail) == ("boot files", False, str(fault))
