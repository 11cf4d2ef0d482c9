"""Remote volumes of a node: who it is to the storage (connectors) and what it is to attach (targets)."""

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from appliance.models.columns import Kept
from appliance.models.database import JsonObject, Model
from appliance.models.node import Node


class VolumeConnector(Kept, Model):
    """type: `iqn`, `ip`, `mac`, `wwnn`, `wwpn`, `port` or `portgroup`; connector_id: the name of that kind."""

    __tablename__ = "volume_connector"
    __table_args__ = (UniqueConstraint("type", "connector_id", name="uq_volume_connector_type"),)

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(String(32))
    connector_id: Mapped[str] = mapped_column(String(255))

    node: Mapped[Node] = relationship()


class VolumeTarget(Kept, Model):
    """boot_index 0 is the volume to boot from. secret: the parts of properties that nobody may read, sealed."""

    __tablename__ = "volume_target"
    __table_args__ = (UniqueConstraint("node_id", "boot_index", name="uq_volume_target_node_id"),)

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    volume_type: Mapped[str] = mapped_column(String(64))
    volume_id: Mapped[str] = mapped_column(String(255))
    boot_index: Mapped[int]
    properties: Mapped[JsonObject] = mapped_column(default=dict)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)

    node: Mapped[Node] = relationship()
