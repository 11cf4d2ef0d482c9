"""A deploy whose image lies elsewhere: how it fails, how it tries again, and that a rack of them fetches once."""

import os
import signal
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from appliance.domain.errors import RackwrightError, Unavailable
from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import image_address, instance_secrets, lifecycle
from appliance.services.image_faults import ImageRefused
from tests.appliance.flows.harness import Rig
from tests.fakes.mirror import BYTES, CANARY, DIGEST, SOURCE, SUMS, URL
from tests.fakes.rack import NOW, inventory, vault

DIRECT = image_address.read(URL, f"sha256:{DIGEST}", "raw").open_part()


def begin(made: Rig, **source: Any) -> None:
    made.add_node("available", boot_mode="uefi")
    made.ask(Verb.DEPLOY, source=DIRECT | source)


def fetch(made: Rig) -> None:
    """As far as the machine's part."""
    made.engine().run_until_idle()


def assert_failed(made: Rig, *, step: str, reason: str) -> None:
    node = made.node()
    assert node.provision_state == "deploy failed"
    assert node.failure is not None
    assert node.failure["step"] == step
    assert reason in (node.last_error or "")
    assert node.failure["next"].startswith("rackwright node rebuild n1")
    assert made.machine.acts == [], "the machine was touched"
    for table in Node.metadata.sorted_tables:
        with made.database.read() as session:
            for row in session.execute(text(f'SELECT * FROM "{table.name}"')):
                assert CANARY not in str(row), table.name


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (ImageRefused("mirror.example.com answered with status 404"), "answered with status 404."),
        (ImageRefused("address not allowed: mirror.example.com is not on the public internet"), "not allowed"),
        (ImageRefused("the image was refused", why="it has a backing file"), "refused: it has a backing file."),
    ],
)
def test_what_no_other_try_would_mend_fails_at_once(made: Rig, fault: RackwrightError, said: str) -> None:
    made.mirror.fault = fault
    begin(made)
    made.drive()
    assert_failed(made, step="fetch_image", reason=said)
    assert made.mirror.asked == [URL]


def test_other_bytes_than_promised(made: Rig) -> None:
    made.mirror.files[URL] = BYTES + b"!"
    begin(made)
    made.drive()
    assert_failed(made, step="fetch_image", reason=f"expected {DIGEST}")


def test_a_file_of_checksums_that_does_not_name_the_image(made: Rig) -> None:
    made.mirror.files[SUMS] = f"{DIGEST}  other.raw\n{DIGEST}  more.raw\n".encode()
    begin(made, checksum=None)
    made.drive()
    assert_failed(made, step="fetch_checksum", reason="no line for 'debian.raw'")


def test_what_may_pass_is_tried_again_and_then_says_how_often(made: Rig) -> None:
    made.mirror.fault = Unavailable("mirror.example.com could not be asked: Connection refused")
    begin(made)
    made.drive()
    assert_failed(made, step="fetch_image", reason="Connection refused (5 tries).")
    assert made.mirror.asked == [URL] * 5
    assert len(made.events("step.retry")) == 4


def test_a_fault_that_passed_leaves_no_trace_but_the_timeline(made: Rig) -> None:
    made.mirror.fault = Unavailable("mirror.example.com could not be asked: Connection refused")
    begin(made)
    fetch(made)
    made.mirror.fault = None
    made.drive()
    node = made.node()
    assert (node.provision_state, node.failure) == ("active", None)
    assert (node.instance or {})["image_uuid"]


def test_a_machine_too_small_for_what_came(made: Rig) -> None:
    begin(made)
    with made.database.write() as session:
        node_id = session.scalars(select(Node.id)).one()
        session.add(Inventory(node_id=node_id, reported_at=NOW, report=inventory(size_bytes=4096)))
    made.drive()
    assert_failed(made, step="find_image", reason="too big for n1: it needs")


def test_it_is_said_what_the_work_does(made: Rig) -> None:
    begin(made)
    told = []
    read = made.mirror.opened

    def opened(url: str, within_s: float) -> Any:
        with made.database.read() as session:
            told.append(lifecycle.why(session, session.scalars(select(Node)).one(), now=made.clock())["sentence"])
        return read(url, within_s)

    made.mirror.opened = opened  # type: ignore[method-assign]
    fetch(made)
    assert 'n1 is in "deploying": deploy, step fetch_image' in told[0]
    assert any("looked at" in event.message for event in made.events("image.fetch"))


def rack(made: Rig, count: int) -> None:
    with made.database.write() as session:
        for number in range(count):
            node = Node(
                name=f"n{number}", driver="fake", provision_state="available", bmc_address=f"192.0.2.{number}",
                created_at=made.clock(), updated_at=made.clock(), provision_updated_at=made.clock(),
            )  # fmt: skip
            session.add(node)
            session.flush()
            lifecycle.request(
                session, node=node, verb=Verb.DEPLOY, spec={"source": DIRECT}, actor="ann", now=made.clock()
            )
            instance_secrets.keep(vault(), node, {"source": SOURCE.hidden_part()})


def settle(made: Rig, engine: Any) -> list[Node]:
    for _ in range(6):
        engine.run_until_idle()
        made.clock.advance(3)
    with made.database.read() as session:
        return list(session.scalars(select(Node)))


def test_a_hundred_nodes_fetch_it_once_and_so_does_a_later_deploy(made: Rig) -> None:
    rack(made, 100)
    found = settle(made, made.engine())
    assert made.mirror.asked == [URL]
    assert len({(node.instance or {}).get("image_uuid") for node in found}) == 1
    assert all((node.instance or {}).get("image_uuid") for node in found)
    with made.database.read() as session:
        assert len(session.scalars(select(Image)).all()) == 1


def test_a_rack_whose_image_is_not_there_asks_once_and_fails_whole(made: Rig) -> None:
    """The others look while the first is at it, so they are told what it found."""
    read = made.mirror.opened
    made.mirror.fault = ImageRefused("mirror.example.com answered with status 404")
    engine = made.engine()
    rack(made, 10)

    def opened(url: str, within_s: float) -> Any:
        made.clock.advance(1)
        return read(url, within_s)

    made.mirror.opened = opened  # type: ignore[method-assign]
    found = settle(made, engine)
    assert {node.provision_state for node in found} == {"deploy failed"}
    assert {node.last_error for node in found} == {
        "The image could not be fetched: mirror.example.com answered with status 404."
    }
    assert len(made.mirror.asked) <= 10


def test_a_kill_in_the_middle_of_the_bytes_is_gone_on_from(made: Rig, database_url: str) -> None:
    begin(made)
    made.database.dispose()
    child = os.fork()
    if child == 0:  # pragma: no cover  (another process)
        try:
            mine = replace(made, database=Database.at(database_url))
            mine.mirror.monotonic = lambda: os.kill(os.getpid(), signal.SIGKILL) or 0.0  # type: ignore[func-returns-value]
            mine.drive()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child never came to the bytes"
    made.drive()
    assert made.node().provision_state == "active"
    with made.database.read() as session:
        assert [image.status for image in session.scalars(select(Image))] == ["active"]
    assert not list(made.mirror.root.rglob("coming-*"))
