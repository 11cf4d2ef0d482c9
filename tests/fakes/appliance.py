"""A control process without sockets: the real faces over a real database, with pretend machines on the fake driver."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

from flask import Flask
from sqlalchemy import select

from appliance.config import Config
from appliance.domain.access import Role
from appliance.domain.boot import Discovery
from appliance.http.app import operator_app
from appliance.http.context import Context
from appliance.models.database import Database
from appliance.models.identity import DEFAULT_DOMAIN, Project, User
from appliance.services import identity
from appliance.services.discovery import Policy
from appliance.services.identity import bootstrap, grants, passwords, projects, roles, users
from appliance.services.identity.proving import ByPassword, Who
from appliance.services.identity.sign_in import Wanted, authenticate
from appliance.services.image_store import ImageStore
from appliance.worker.imports import Imports
from bmc.registry import Connections
from bmc.types import BmcTarget
from tests.fakes.rack import NOW, vault

PASSWORD = "correct-horse-battery"


class Appliance:
    """`context` for the app factories; `clock` moves by hand; `token(role)` logs somebody in."""

    _shared: ClassVar[Context | None] = None
    _apps: ClassVar[dict[Callable[[Context], Flask], Flask]] = {}

    def __init__(self, database: Database, state: Path) -> None:
        self.database, self.now, self.vault = database, NOW, vault()
        self.connections = Connections()
        self.images = ImageStore(
            state / "images", database=database, vault=self.vault, pack=self._pack, fetch=None, clock=self.clock
        )
        self.tokens = identity.Tokens(database, self.vault, self.clock, identity.Policy(), state=state)
        self.context = Context(
            state=state, config=Config(state=state), database=database, vault=self.vault, clock=self.clock,
            connect=self.connect, background=ThreadPoolExecutor(1), imports=Imports(),
            discovery=Policy(discovery=Discovery.ENROLL, in_band_bmc=True),
            images=self.images, doctor=lambda _session: [], ca_fingerprint="ab" * 32, tokens=self.tokens,
        )  # fmt: skip

    def operators(self) -> Flask:
        return self.app(operator_app)

    def app(self, make: Callable[[Context], Flask]) -> Flask:
        """`make(context)`, one for all tests, since hundreds of routes take longer to make than most tests.

        It serves whoever called this last; `context` is the app's own from now on. Who changes the app itself, or needs
        two at once, makes one without this.
        """
        if Appliance._shared is None:
            Appliance._shared = self.context
        shared = Appliance._shared
        for field in fields(shared):
            object.__setattr__(shared, field.name, getattr(self.context, field.name))
        self.context = shared
        if make not in self._apps:
            self._apps[make] = make(shared)
        return self._apps[make]

    def clock(self):
        return self.now

    def connect(self, node):
        return self.connections.connect(BmcTarget(driver=node.driver, address=node.uuid, options=node.driver_options))

    def _pack(self, source: Path, into: Path, *, sha256: str, disk_format=None, container_format=None):
        """A packer that only keeps the bytes: what packing does is tested in tests/images."""
        (into / "image.data").write_bytes(source.read_bytes())
        size = source.stat().st_size
        return SimpleNamespace(
            disk_format="raw", virtual_size_bytes=size, not_deployable="", to_json=lambda: {"data": "image.data"}
        )

    def token(self, role: Role = Role.ADMIN) -> str:
        name = f"user-{role.value}"
        with self.database.write() as session:
            if not [user for user in identity.list_users(session) if user.name == name]:
                identity.create_user(session, name=name, password=PASSWORD, role=role, now=self.now)
        return identity.login(self.tokens, name=name, password=PASSWORD).token

    def project_token(self, role: Role = Role.MEMBER, project: str = "demo") -> tuple[str, str]:
        """A token of somebody who holds the role on this project of domain Default only, and the project's id."""
        name = f"{project}-{role.value}"
        with self.database.write() as session:
            bootstrap.ensure(session)
            here = (Project.name == project) & (Project.domain_id == DEFAULT_DOMAIN)
            row = session.scalar(select(Project).where(here)) or projects.create(
                session, domain_id=DEFAULT_DOMAIN, parent_id=None, name=project, columns={}
            )
            if session.scalar(select(User.id).where(User.name == name)) is None:
                hashed = {"password_hash": passwords.hash_password(PASSWORD)}
                user = users.create(session, domain_id=DEFAULT_DOMAIN, name=name, now=self.now, columns=hashed)
                place = grants.Place(actor_kind="user", actor_id=user.uuid, target_kind="project", target_id=row.id)
                grants.give(session, place, roles.of_ours(session, role))
        proof = ByPassword(who=Who(name=name, domain_id=DEFAULT_DOMAIN), password=PASSWORD)
        issued = authenticate(self.tokens, [proof], Wanted(kind="project", id=row.id))
        return issued.text, row.id

    def settle(self) -> None:
        """Wait until what was sent to the background is done."""
        self.context.background.submit(lambda: None).result(timeout=30)
        assert self.context.imports.join(30)

    def close(self) -> None:
        self.context.background.shutdown()
        self.context.imports.shutdown()
        self.connections.close()
