"""The stage of the story: everything between an empty directory and an appliance that waits for machines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance.domain.errors import RackwrightError
from appliance.lab import appliance, rack, spec
from appliance.lab.appliance import Running
from appliance.lab.client import ApiFailed, Client
from appliance.lab.errors import LabFailed
from appliance.lab.phases import Step
from appliance.lab.rack import Rack
from appliance.services import bootfiles
from images import tools

IMAGE = "debian-12"
SUBNET = "lab"
_POOL = "10.77.0.50-10.77.0.149"
_SUBNET_LIMIT_S = 60.0
_IMAGE_LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """state: of the appliance. run: of the rack: disks and logs. cache: what is built once and kept."""

    state: Path
    run: Path
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    rack: Rack
    running: Running
    client: Client
    login: appliance.Login


@dataclass(slots=True)
class Setting:
    """Raises the stage step by step; each step is told to `report` and kept with its time."""

    places: Places
    report: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    _begin_s: float = field(default_factory=time.monotonic)

    def raise_stage(self, wanted: spec.RackSpec) -> Stage:
        """Raises LabFailed, or the error of the step that failed; what is up by then stays up."""
        with self._step("rack"):
            raised = rack.up(wanted, self.places.run)
        with self._step("init"):
            login = appliance.initialise(self.places.state, address=wanted.address)
        with self._step("boot files"):
            bootfiles.install(self.places.state, self.places.cache / "ramdisk", report=self.report)
        with self._step("serve"):
            running = appliance.start(raised, self.places.state)
        client = running.client()
        with self._step("login"):
            said = client.post("/v1/login", {"username": login.username, "password": login.password})
            token = str(said["token"])
            client.use(token)
        with self._step("subnet"):
            self._subnet(client, running, token, wanted)
        with self._step("image"):
            self._image(client, running, token)
        return Stage(rack=raised, running=running, client=client, login=login)

    def _subnet(self, client: Client, running: Running, token: str, wanted: spec.RackSpec) -> None:
        if any(item["name"] == SUBNET for item in client.get("/v1/subnets")["items"]):
            return
        words = ["subnet", "create", SUBNET, "--cidr", wanted.cidr, "--pool", _POOL, "--interface", wanted.bridge]
        appliance.run_command(running, token, *words, limit_s=_SUBNET_LIMIT_S)

    def _image(self, client: Client, running: Running, token: str) -> None:
        """Built outside the rack's network, which leads nowhere; the command uploads it over the API."""
        known = [item for item in client.get("/v1/images")["items"] if item["name"] == IMAGE]
        if not known:
            self.report("building the image debian-12; the first time this takes some minutes")
            words = ["image", "build", IMAGE, "--cache", str(self.places.cache / "images")]
            appliance.run_command(running, token, *words, limit_s=_IMAGE_LIMIT_S)
            known = [client.get(f"/v1/images/{IMAGE}")]
        if known[0]["status"] != "active":
            raise LabFailed(f"the image {IMAGE} is {known[0]['status']}", why=str(known[0].get("problem") or ""))

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.monotonic() - self._begin_s
        self.report(f"{name}: begins")
        fault: Exception | None = None
        try:
            yield
        except (RackwrightError, ApiFailed, tools.ToolFailed, tools.ToolMissing) as raised:
            fault = raised
            raise
        finally:
            end = time.monotonic() - self._begin_s
            text = "" if fault is None else str(fault)
            self.steps.append(Step(name=name, machine=None, is_ok=fault is None, start_s=start, end_s=end, detail=text))
            self.report(f"{name}: {'done' if fault is None else 'FAILED'} in {end - start:.1f} s")
