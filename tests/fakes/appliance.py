"""A control process without sockets: the real faces over a real database, with pretend machines on the fake driver."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from appliance.config import Config
from appliance.domain.access import Role
from appliance.domain.boot import Discovery
from appliance.http.context import Context
from appliance.models.database import Database
from appliance.services import identity
from appliance.services.discovery import Policy
from appliance.services.image_store import ImageStore
from bmc.registry import Connections
from bmc.types import BmcTarget
from tests.fakes.rack import NOW, vault

PASSWORD = "correct-horse-battery"


class Appliance:
    """`context` for the app factories; `clock` moves by hand; `token(role)` logs somebody in."""

    def __init__(self, database: Database, state: Path) -> None:
        self.database, self.now, self.vault = database, NOW, vault()
        self.connections = Connections()
        self.images = ImageStore(
            state / "images", database=database, vault=self.vault, pack=self._pack, fetch=None, clock=self.clock
        )
        self.context = Context(
            state=state, config=Config(state=state), database=database, vault=self.vault, clock=self.clock,
            connect=self.connect, background=ThreadPoolExecutor(1),
            discovery=Policy(discovery=Discovery.ENROLL, in_band_bmc=True),
            images=self.images, doctor=lambda _session: [], ca_fingerprint="ab" * 32, login_policy=identity.Policy(),
        )  # fmt: skip

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
        login = identity.login(self.database, name=name, password=PASSWORD, now=self.now, policy=identity.Policy())
        return login.token

    def settle(self) -> None:
        """Wait until what was sent to the background is done."""
        self.context.background.submit(lambda: None).result(timeout=30)

    def close(self) -> None:
        self.context.background.shutdown()
        self.connections.close()
