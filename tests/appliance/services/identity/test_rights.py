"""Roles that are held directly, through groups, inherited and implied; and that an administrator is always left."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError

from appliance.domain.access import Role
from appliance.models.database import Database, Session
from appliance.models.identity import DEFAULT_DOMAIN, Project, User
from appliance.services import identity
from appliance.services.identity import LastAdmin, bootstrap, grants, groups, projects, rights, roles, users
from appliance.services.identity.grants import Place

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database: Database) -> Database:
    with database.write() as session:
        bootstrap.ensure(session)
    return database


def person(session: Session, name: str) -> User:
    return users.create(session, domain_id=DEFAULT_DOMAIN, name=name, now=NOW, columns={"password_hash": "x"})


def project(session: Session, name: str, parent: Project | None = None) -> Project:
    parent_id = parent.id if parent else None
    return projects.create(session, domain_id=DEFAULT_DOMAIN, parent_id=parent_id, name=name, columns={})


def give(session: Session, actor: object, target: object, role: Role, *, is_inherited: bool = False) -> Place:
    kind, actor_id = ("user", actor.uuid) if isinstance(actor, User) else ("group", actor.id)  # type: ignore[attr-defined]  # a group
    where = ("project", target.id) if isinstance(target, Project) else ("domain", str(target))
    place = Place(
        actor_kind=kind, actor_id=actor_id, target_kind=where[0], target_id=where[1], is_inherited=is_inherited
    )
    grants.give(session, place, roles.of_ours(session, role))
    return place


def names(held: list[rights.Held]) -> set[str]:
    return {one.name for one in held}


def test_a_role_brings_those_below_it(database: Database):
    with database.write() as session:
        bob, lab = person(session, "bob"), project(session, "lab")
        give(session, bob, lab, Role.MANAGER)
        assert names(rights.on_project(session, bob, lab)) == {"manager", "member", "reader"}
        assert rights.on_system(session, bob) == []
        assert rights.on_domain(session, bob, DEFAULT_DOMAIN) == []


def test_a_group_gives_its_roles_to_those_in_it(database: Database):
    with database.write() as session:
        bob, lab = person(session, "bob"), project(session, "lab")
        team = groups.create(session, domain_id=DEFAULT_DOMAIN, name="team", columns={})
        give(session, team, lab, Role.MEMBER)
        assert rights.on_project(session, bob, lab) == []
        groups.add(session, team, bob)
        groups.add(session, team, bob)
        assert names(rights.on_project(session, bob, lab)) == {"member", "reader"}
        assert rights.projects_of(session, bob) == [lab]
        groups.take_out(session, team, bob)
        assert rights.on_project(session, bob, lab) == []


def test_inherited_roles_hold_below_and_not_there(database: Database):
    with database.write() as session:
        bob, top = person(session, "bob"), project(session, "top")
        middle = project(session, "middle", top)
        bottom = project(session, "bottom", middle)
        give(session, bob, top, Role.MEMBER, is_inherited=True)
        assert rights.on_project(session, bob, top) == []
        assert names(rights.on_project(session, bob, bottom)) == {"member", "reader"}
        assert rights.projects_of(session, bob) == [bottom, middle]
        give(session, bob, DEFAULT_DOMAIN, Role.READER, is_inherited=True)
        assert names(rights.on_project(session, bob, top)) == {"reader"}
        assert rights.on_domain(session, bob, DEFAULT_DOMAIN) == []


def test_a_role_taken_away_is_gone(database: Database):
    with database.write() as session:
        bob, lab = person(session, "bob"), project(session, "lab")
        place = give(session, bob, lab, Role.MEMBER)
        grants.take(session, place, roles.of_ours(session, Role.MEMBER))
        assert rights.on_project(session, bob, lab) == []


@pytest.mark.parametrize("way", ["user", "group", "inherited"])
def test_an_administrator_counts_however_the_role_is_held(database: Database, way: str):
    with database.write() as session:
        ann = person(session, "ann")
        home = bootstrap.admin_project(session)
        if way == "user":
            give(session, ann, home, Role.ADMIN)
        elif way == "group":
            team = groups.create(session, domain_id=DEFAULT_DOMAIN, name="team", columns={})
            give(session, team, home, Role.ADMIN)
            groups.add(session, team, ann)
        else:
            give(session, ann, DEFAULT_DOMAIN, Role.ADMIN, is_inherited=True)
        assert rights.administrators(session) == {ann.uuid}


def test_an_administrator_of_another_project_does_not_count(database: Database):
    with database.write() as session:
        give(session, person(session, "ann"), project(session, "lab"), Role.ADMIN)
        assert rights.administrators(session) == set()


def test_the_last_administrator_cannot_be_lost_in_any_way(database: Database):
    with database.write() as session:
        team = groups.create(session, domain_id=DEFAULT_DOMAIN, name="team", columns={})
        ann = person(session, "ann")
        groups.add(session, team, ann)
        place = give(session, team, bootstrap.admin_project(session), Role.ADMIN)
    deeds = [
        lambda session: groups.take_out(session, session.merge(team), session.merge(ann)),
        lambda session: groups.remove(session, session.merge(team)),
        lambda session: grants.take(session, place, roles.of_ours(session, Role.ADMIN)),
        lambda session: users.update(session, session.merge(ann), {"is_enabled": False}, now=NOW),
        lambda session: users.update(session, session.merge(ann), {"password_hash": None}, now=NOW),
        lambda session: users.remove(session, session.merge(ann)),
    ]
    for deed in deeds:
        with pytest.raises(LastAdmin), database.write() as session:
            deed(session)
        with database.read() as session:
            assert rights.administrators(session) == {ann.uuid}


def test_two_administrators_cannot_shut_each_other_out_at_once(database: Database):
    with database.write() as session:
        for name in ("ann", "eve"):
            identity.create_user(session, name=name, password="correct horse", role=Role.ADMIN, now=NOW)
    together = threading.Barrier(2)
    outcomes: list[str] = []

    def disable(name: str) -> None:
        together.wait()
        try:
            with database.write() as session:
                users.update(session, users.named(session, name), {"is_enabled": False}, now=NOW)
            outcomes.append("done")
        except (LastAdmin, OperationalError) as refusal:
            outcomes.append(type(refusal).__name__)

    pair = [threading.Thread(target=disable, args=(name,)) for name in ("ann", "eve")]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    assert sorted(outcomes) == ["LastAdmin", "done"]
    with database.read() as session:
        assert len(rights.administrators(session)) == 1


def test_a_circle_of_implications_is_refused(database: Database):
    with database.write() as session:
        one = roles.create(session, name="one", domain_id="", columns={})
        two = roles.create(session, name="two", domain_id="", columns={})
        assert roles.imply(session, one, two)
        assert not roles.imply(session, one, two)
        with pytest.raises(Exception, match="itself"):
            roles.imply(session, two, one)
        with pytest.raises(Exception, match="cannot be an implied"):
            roles.imply(session, one, roles.of_ours(session, Role.ADMIN))


def test_what_is_built_in_is_made_once(database: Database):
    with database.write() as session:
        before = {row.name: row.id for row in session.query(type(roles.of_ours(session, Role.ADMIN)))}
        bootstrap.ensure(session)
        after = {row.name: row.id for row in session.query(type(roles.of_ours(session, Role.ADMIN)))}
    assert before == after
    assert set(before) == {"admin", "manager", "member", "reader", "service"}
