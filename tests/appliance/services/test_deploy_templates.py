"""Deploy templates: which steps a set of traits brings."""

import pytest

from appliance.domain.errors import Conflict, NotFound
from appliance.services import deploy_templates, runbooks
from tests.fakes.rack import NOW, vault


def step(name, priority, interface="deploy"):
    return {"interface": interface, "step": name, "args": {}, "priority": priority}


def add(database, name, *steps):
    with database.write() as session:
        deploy_templates.create(session, {"name": name, "steps": list(steps)}, now=NOW)


def steps(database, *traits):
    with database.read() as session:
        return [(one["step"], one["priority"]) for one in deploy_templates.steps_for(session, vault(), traits)]


def test_the_steps_of_the_traits_come_by_priority(database):
    add(database, "CUSTOM_A", step("one", 10), step("two", 30))
    add(database, "CUSTOM_B", step("three", 20))
    add(database, "CUSTOM_C", step("four", 40))
    assert steps(database, "CUSTOM_A", "CUSTOM_B", "CUSTOM_X") == [("two", 30), ("three", 20), ("one", 10)]
    assert steps(database) == []


def test_one_step_is_there_once_and_may_be_switched_off(database):
    add(database, "CUSTOM_B", step("one", 10))
    add(database, "CUSTOM_A", step("one", 0), step("one", 5, "raid"))
    assert steps(database, "CUSTOM_B", "CUSTOM_A") == [("one", 5), ("one", 0)]


def test_a_runbook_is_fetched_by_who_sees_it(database):
    with database.write() as session:
        runbooks.create(session, {"name": "CUSTOM_P", "steps": [], "is_public": True}, now=NOW)
        runbooks.create(session, {"name": "CUSTOM_M", "steps": [], "owner": "p1"}, now=NOW)
        with pytest.raises(Conflict):
            runbooks.create(session, {"name": "CUSTOM_M", "steps": []}, now=NOW)
    with database.read() as session:
        for name, project, seen in (
            ("CUSTOM_P", None, True), ("CUSTOM_P", "p2", True), ("CUSTOM_P", "", True), ("CUSTOM_M", None, True),
            ("CUSTOM_M", "p1", True), ("CUSTOM_M", "p2", False), ("CUSTOM_M", "", False),
        ):  # fmt: skip
            if seen:
                assert runbooks.fetch(session, name, project=project).name == name
            else:
                with pytest.raises(NotFound):
                    runbooks.fetch(session, name, project=project)
