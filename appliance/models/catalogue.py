"""What clients find services by: regions, services, endpoints."""

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import new_hex
from appliance.models.database import JsonObject, Model


class Region(Model):
    __tablename__ = "region"

    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_hex)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"), index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class Service(Model):
    """is_ours: one of the appliance's own faces, which is always in the catalogue."""

    __tablename__ = "service"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    type: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    is_ours: Mapped[bool] = mapped_column(default=False)
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class CatalogueEndpoint(Model):
    """url: a whole URL, or for a face of ours a path below the address by which the client reached the appliance."""

    __tablename__ = "endpoint"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    service_id: Mapped[str] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"), index=True)
    region_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"), index=True)
    interface: Mapped[str] = mapped_column(String(8))
    url: Mapped[str] = mapped_column(Text)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[JsonObject] = mapped_column(default=dict)
