"""Metadata definitions: what keys and values people may set on images and other things, kept for those who offer them.

Plain rows: the appliance itself reads none of them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from appliance.models.columns import UtcTime
from appliance.models.database import JsonObject, Model


class Dated:
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class MetadefNamespace(Dated, Model):
    """name: unique, whoever may see it. visibility: `public` or `private`. owner: id of a project."""

    __tablename__ = "metadef_namespace"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    display_name: Mapped[str | None] = mapped_column(String(80))
    description: Mapped[str | None] = mapped_column(String(500))
    visibility: Mapped[str] = mapped_column(String(16), default="private")
    is_protected: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)


class Part(Dated):
    """What lies in a namespace under a name of its own."""

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("metadef_namespace.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))


class MetadefObject(Part, Model):
    """A group of properties. required: names of those that must be set. properties: name → definition."""

    __tablename__ = "metadef_object"

    description: Mapped[str | None] = mapped_column(Text)
    required: Mapped[list[Any]] = mapped_column(default=list)
    properties: Mapped[JsonObject] = mapped_column(default=dict)


class MetadefProperty(Part, Model):
    """definition: as clients wrote it, without the name."""

    __tablename__ = "metadef_property"

    definition: Mapped[JsonObject] = mapped_column(default=dict)


class MetadefTag(Part, Model):
    __tablename__ = "metadef_tag"


class MetadefResourceType(Dated, Model):
    """A kind of thing that keys are set on, such as `OS::Glance::Image`."""

    __tablename__ = "metadef_resource_type"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class MetadefAssociation(Dated, Model):
    """A namespace is for a kind of thing. prefix: before each of its properties there."""

    __tablename__ = "metadef_association"

    namespace_id: Mapped[int] = mapped_column(ForeignKey("metadef_namespace.id", ondelete="CASCADE"), primary_key=True)
    resource_type_id: Mapped[int] = mapped_column(
        ForeignKey("metadef_resource_type.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    prefix: Mapped[str | None] = mapped_column(String(80))
    properties_target: Mapped[str | None] = mapped_column(String(80))
