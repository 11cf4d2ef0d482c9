"""Subnets that the appliance serves, and the addresses that netboot last told us it leased."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import Model


class Subnet(Model):
    """An IPv4 network on one interface of the appliance. Addresses are text; the pool is inclusive at both ends."""

    __tablename__ = "subnet"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    cidr: Mapped[str] = mapped_column(String(64), unique=True)
    pool_start: Mapped[str] = mapped_column(String(64))
    pool_end: Mapped[str] = mapped_column(String(64))
    interface: Mapped[str] = mapped_column(String(15))
    gateway: Mapped[str | None] = mapped_column(String(64))
    domain: Mapped[str] = mapped_column(String(253), default="rack.internal")
    lease_s: Mapped[int] = mapped_column(default=3600)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Lease(Model):
    """Control's copy of a lease; the book itself belongs to netboot (Decision 5)."""

    __tablename__ = "lease"

    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    mac: Mapped[str] = mapped_column(String(17), index=True)
    hostname: Mapped[str | None] = mapped_column(String(63))
    subnet: Mapped[str] = mapped_column(String(63))
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
