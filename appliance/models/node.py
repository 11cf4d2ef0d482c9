"""A node: one physical machine (or a pretend one on the `fake` driver), its ports and what it last told of itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, lazyload, mapped_column, relationship

from appliance.models.chassis import Chassis
from appliance.models.columns import Kept, UtcTime, new_uuid
from appliance.models.database import JsonObject, Model


class Node(Model):
    """The record of a machine. `version` counts writes: an update that read an older one is refused.

    provision_state, target_provision_state: Ironic's words (appliance.domain.lifecycle).
    power_state, target_power_state: `power on`, `power off`, `error` or None when never read.
    has_secure_boot: as its BMC or its last report said; None when neither could.
    bmc_secret: the BMC password, sealed by appliance.services.vault. Never leaves the process in the clear.
    agent_session_hash, boot_secret_hash: SHA-256 of the secret; the secret itself is not kept.
    boot_expected_until: while later than now, the boot script of this node carries a fresh boot secret.
    appliance_address: our own address as this machine reaches us, learnt from its last network boot.
    instance: what was deployed: {image, image_uuid, hostname, ssh_keys, …}; user-data is sealed in instance_secret.

    What follows is kept for those who share the machines out, and for clients of OpenStack. instance_uuid: whose the
    machine is now, by the id that a scheduler gave. wishes: what such a client wrote down about the instance to be.
    interfaces: which of the ways to do a thing was chosen, by the thing (`{"boot": "ipxe"}`); unnamed ones are the
    usual ones. hidden: the secrets among driver_options and wishes, sealed; there stands a mask in their place. owner,
    lessee: projects. parent_uuid: of the node that holds this one. traits: sorted. has_automated_clean: None means as
    configured. keeps_power: it is never switched off. vifs: networks asked for, [{id, …}].
    """

    __tablename__ = "node"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    name: Mapped[str | None] = mapped_column(String(255), unique=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)

    provision_state: Mapped[str] = mapped_column(String(32), index=True, default="enroll")
    target_provision_state: Mapped[str | None] = mapped_column(String(32))
    provision_updated_at: Mapped[datetime] = mapped_column(UtcTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[JsonObject | None]

    driver: Mapped[str] = mapped_column(String(32))
    driver_options: Mapped[JsonObject] = mapped_column(default=dict)
    bmc_address: Mapped[str | None] = mapped_column(String(64))
    bmc_udp_port: Mapped[int] = mapped_column(default=623)
    bmc_username: Mapped[str | None] = mapped_column(String(64))
    bmc_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    bmc_verified_at: Mapped[datetime | None] = mapped_column(UtcTime)

    power_state: Mapped[str | None] = mapped_column(String(16))
    target_power_state: Mapped[str | None] = mapped_column(String(16))
    power_observed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    power_failures: Mapped[int] = mapped_column(default=0)

    maintenance: Mapped[bool] = mapped_column(default=False)
    maintenance_reason: Mapped[str | None] = mapped_column(Text)
    fault: Mapped[str | None] = mapped_column(String(64))

    boot_mode: Mapped[str | None] = mapped_column(String(8))
    has_secure_boot: Mapped[bool | None]
    architecture: Mapped[str] = mapped_column(String(16), default="x86_64")
    boot_expected_until: Mapped[datetime | None] = mapped_column(UtcTime)
    boot_secret_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    boot_secret_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    boot_count: Mapped[int] = mapped_column(default=0)
    appliance_address: Mapped[str | None] = mapped_column(String(64))

    agent_session_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    agent_address: Mapped[str | None] = mapped_column(String(64))
    agent_version: Mapped[str | None] = mapped_column(String(32))
    agent_seen_at: Mapped[datetime | None] = mapped_column(UtcTime)

    call_home_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    instance: Mapped[JsonObject | None]
    instance_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    instance_address: Mapped[str | None] = mapped_column(String(64))

    resource_class: Mapped[str | None] = mapped_column(String(80))
    properties: Mapped[JsonObject] = mapped_column(default=dict)
    extra: Mapped[JsonObject] = mapped_column(default=dict)
    rack: Mapped[str | None] = mapped_column(String(63), index=True)
    rack_unit: Mapped[int | None]

    description: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)
    lessee: Mapped[str | None] = mapped_column(String(255), index=True)
    shard: Mapped[str | None] = mapped_column(String(255), index=True)
    conductor_group: Mapped[str] = mapped_column(String(255), default="")
    chassis_id: Mapped[int | None] = mapped_column(ForeignKey(Chassis.id), index=True)
    parent_uuid: Mapped[str | None] = mapped_column(String(36), index=True)
    instance_uuid: Mapped[str | None] = mapped_column(String(36), unique=True)
    instance_name: Mapped[str | None] = mapped_column(String(255), index=True)
    wishes: Mapped[JsonObject] = mapped_column(default=dict)
    interfaces: Mapped[JsonObject] = mapped_column(default=dict)
    target_raid: Mapped[JsonObject] = mapped_column(default=dict)
    hidden: Mapped[bytes | None] = mapped_column(LargeBinary)
    traits: Mapped[list[Any]] = mapped_column(default=list)
    vifs: Mapped[list[Any]] = mapped_column(default=list)
    network_data: Mapped[JsonObject] = mapped_column(default=dict)
    has_automated_clean: Mapped[bool | None]
    is_protected: Mapped[bool] = mapped_column(default=False)
    protected_reason: Mapped[str | None] = mapped_column(Text)
    is_retired: Mapped[bool] = mapped_column(default=False)
    retired_reason: Mapped[str | None] = mapped_column(Text)
    keeps_power: Mapped[bool] = mapped_column(default=False)
    inspection_started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    inspection_finished_at: Mapped[datetime | None] = mapped_column(UtcTime)

    ports: Mapped[list["Port"]] = relationship(
        back_populates="node", cascade="all, delete-orphan", order_by="Port.id", lazy="selectin"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  (SQLAlchemy reads it from the class)

    @property
    def label(self) -> str:
        """What people call it: its name, else its UUID."""
        return self.name or self.uuid


Index("ix_node_bmc_endpoint", Node.bmc_address, Node.bmc_udp_port)


class Port(Model):
    """A network interface of a node. `address`: the IPv4 address reserved for it on its subnet, if any.

    link: where its cable ends: {switch_id, port_id, switch_info, …}. internal_info: what the appliance itself keeps of
    it; people see it and do not write it. category, vendor, physical_network, may_be_bonded (may who builds networks
    join it to others?): labels for people and for schedulers.
    """

    __tablename__ = "port"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    portgroup_id: Mapped[int | None] = mapped_column(ForeignKey("portgroup.id", ondelete="SET NULL"), index=True)
    mac: Mapped[str] = mapped_column(String(17), unique=True)
    name: Mapped[str | None] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    is_pxe: Mapped[bool] = mapped_column(default=True)
    is_smartnic: Mapped[bool] = mapped_column(default=False)
    may_be_bonded: Mapped[bool] = mapped_column(default=True)
    address: Mapped[str | None] = mapped_column(String(64))
    link: Mapped[JsonObject] = mapped_column(default=dict)
    physical_network: Mapped[str | None] = mapped_column(String(64))
    vendor: Mapped[str | None] = mapped_column(String(32))
    category: Mapped[str | None] = mapped_column(String(80))
    extra: Mapped[JsonObject] = mapped_column(default=dict)
    internal_info: Mapped[JsonObject] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcTime)

    node: Mapped[Node] = relationship(back_populates="ports")
    portgroup: Mapped["Portgroup | None"] = relationship()


class Portgroup(Kept, Model):
    """Ports of one node that its system joins to a bond. mode, properties: in the words of Linux' bonding.

    address: the MAC of the bond, when it has its own. standalone_ports_supported: may its ports be used one by one (to
    boot from the network, say)?
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

    node: Mapped[Node] = relationship()


# Built once: building a statement costs more than running it. Who wants the ports loads them then.
_LOCKED = (
    select(Node)
    .where(Node.id == bindparam("of_id"))
    .with_for_update(key_share=True)
    .options(lazyload(Node.ports))
    .execution_options(populate_existing=True)
)


def lock(session: Session, node_id: int) -> Node | None:
    """The live row, read anew; None when it is gone. Other writers of it queue behind this transaction.

    Readers do not, nor does who adds an event. The node's row is locked before that of its work, everywhere.
    """
    return session.scalar(_LOCKED, {"of_id": node_id})


class Inventory(Model):
    """The latest hardware report of a node (agent.wire.Inventory); each inspection replaces it.

    plugin_data: what inspection hooks and rules noted about it.
    """

    __tablename__ = "inventory"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), primary_key=True)
    reported_at: Mapped[datetime] = mapped_column(UtcTime)
    report: Mapped[JsonObject]
    plugin_data: Mapped[JsonObject] = mapped_column(default=dict)


class Sighting(Model):
    """A machine that booted from the network and that no node claims yet. Keyed by MAC; harmless to repeat."""

    __tablename__ = "sighting"

    id: Mapped[int] = mapped_column(primary_key=True)
    mac: Mapped[str] = mapped_column(String(17), unique=True)
    first_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    times_seen: Mapped[int] = mapped_column(BigInteger, default=1)
    address: Mapped[str | None] = mapped_column(String(64))
    firmware: Mapped[str | None] = mapped_column(String(16))
    boot_secret_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    boot_secret_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    agent_session_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    appliance_address: Mapped[str | None] = mapped_column(String(64))
    report: Mapped[JsonObject | None]
