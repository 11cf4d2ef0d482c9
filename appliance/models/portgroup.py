"""A port group: ports of one node that its system joins to a bond."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from appliance.models.columns import Kept
from appliance.models.database import JsonObject, Model
from appliance.models.node import Node


class Portgroup(Kept, Model):
    """mode, properties: of the bond, in the words of Linux' bonding. address: the MAC of the bond, when it has its own.

    standalone_ports_supported: may its ports be used one by one (to boot from the network, say)?
    """

    __tablename__ = "portgroup"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(String(255), unique=True)
    address: Mapped[str | None] = mapped_column(String(17), unique=True)
    mode: Mapped[str] = mapped_column(String(32), default="active-backup")
    properties: Mapped[JsonObject] = mapped_column(default=dict)
    standalone_ports_supported: Mapped[bool] = mapped_column(default=True)
    physical_network: Mapped[str | None] = mapped_column(String(64))
    category: Mapped[str | None] = mapped_column(String(80))
    internal_info: Mapped[JsonObject] = mapped_column(default=dict)

    node: Mapped[Node] = relationship(lazy="joined", innerjoin=True)
