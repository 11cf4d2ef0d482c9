"""What clients find services by: regions, services, endpoints; and what is kept here for other services."""

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
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


class EndpointGroup(Model):
    """The endpoints that fit all of `filters` (service_id, region_id, interface)."""

    __tablename__ = "endpoint_group"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    filters: Mapped[JsonObject] = mapped_column(default=dict)


class EndpointShown(Model):
    """What a project's catalogue shows: endpoints and groups of them. A project without any row is shown everything.

    kind: `endpoint` or `group`.
    """

    __tablename__ = "endpoint_shown"

    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    target_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class Limit(Model):
    """How much of a resource of a service: the default for all (project_id and domain_id empty), or for one of them.

    The appliance keeps these for services that ask; nothing of its own is limited by them. A registered limit outlives
    its service, as clients expect.
    """

    __tablename__ = "resource_limit"
    __table_args__ = (UniqueConstraint("service_id", "region_key", "resource_name", "project_key", "domain_key"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    service_id: Mapped[str] = mapped_column(String(64))
    region_key: Mapped[str] = mapped_column(String(255), default="")
    resource_name: Mapped[str] = mapped_column(String(255))
    project_key: Mapped[str] = mapped_column(String(64), default="")
    domain_key: Mapped[str] = mapped_column(String(64), default="")
    amount: Mapped[int]
    description: Mapped[str | None] = mapped_column(Text)


class PolicyDocument(Model):
    """Rules of another service, in whatever form it reads them. type: the media type of `blob`."""

    __tablename__ = "policy_document"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str] = mapped_column(Text)
    extra: Mapped[JsonObject] = mapped_column(default=dict)
