"""Column types shared by the models."""

import secrets
import uuid as uuid_module
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime kept as whole microseconds since 1970 (UTC): exact, indexable and alike on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: give it a zone")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def new_uuid() -> str:
    """A random UUID in text form (RFC 9562 §5.4)."""
    return str(uuid_module.UUID(bytes=secrets.token_bytes(16), version=4))


class Kept:
    """What every thing beside the nodes has. updated_at: None until the first change."""

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcTime)
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def new_hex() -> str:
    """The same without hyphens, as clients of OpenStack Identity show ids."""
    return secrets.token_hex(16)
