"""Who there is: domains, projects, users, groups, and what they prove themselves with. Ids are those that clients see.

Passwords and secrets are Argon2id hashes. No row is a token: tokens are sealed claims (services.identity.token); a row
of `revocation` says which of them count no longer. Not here: roles and who holds them (models.grant).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import UtcTime, new_hex
from appliance.models.database import JsonObject, Model

DEFAULT_DOMAIN = "default"


class Domain(Model):
    """extra: attributes that clients keep here and we do not read."""

    __tablename__ = "domain"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    options: Mapped[JsonObject] = mapped_column(default=dict)
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class Project(Model):
    """parent_id: another project of the domain; None below the domain itself."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("project.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text, default="")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    options: Mapped[JsonObject] = mapped_column(default=dict)
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class User(Model):
    """must_change: `init` made the password; log-in asks for a new one.

    password_hash: None for somebody who has no password. password_set_at: expiry counts from here.
    generation: raised to end all tokens that were given before. uuid: the id that clients see.
    """

    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(64), unique=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id"), default=DEFAULT_DOMAIN)
    name: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    password_set_at: Mapped[datetime] = mapped_column(UtcTime)
    must_change: Mapped[bool] = mapped_column(default=False)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcTime)
    generation: Mapped[int] = mapped_column(default=0)
    default_project_id: Mapped[str | None] = mapped_column(String(64))
    options: Mapped[JsonObject] = mapped_column(default=dict)
    extra: Mapped[JsonObject] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class PasswordBefore(Model):
    """A password that a user had, so that it is not taken again too soon."""

    __tablename__ = "password_before"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UtcTime)


class Group(Model):
    __tablename__ = "user_group"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domain.id"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class Membership(Model):
    __tablename__ = "group_member"

    group_id: Mapped[str] = mapped_column(ForeignKey("user_group.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ApplicationCredential(Model):
    """What a user gives to a program: some of the user's roles on one project.

    role_ids: the roles; what the user has lost since counts no longer. rule_ids: the only requests it may make, or none
    for all. is_unrestricted: the program may make further credentials. is_own_secret: somebody thought the secret up,
    so that failures are counted.
    """

    __tablename__ = "application_credential"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    secret_hash: Mapped[str] = mapped_column(String(255))
    is_own_secret: Mapped[bool] = mapped_column(default=True)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcTime)
    role_ids: Mapped[list[Any]] = mapped_column(default=list)
    rule_ids: Mapped[list[Any]] = mapped_column(default=list)
    is_unrestricted: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class AccessRule(Model):
    """One kind of request: the type of a service, a method, and a path with `*`, `**` and `{name}` as wild cards."""

    __tablename__ = "access_rule"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    service: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(255))


class Revocation(Model):
    """Tokens of `subject` that were issued until `at` count no longer; after `until` all of them have expired anyway.

    subject: `audit:ID` (one token), `chain:ID` (it and those made from it), `project:ID`, `domain:ID`.
    """

    __tablename__ = "revocation"
    __table_args__ = (Index("ix_revocation_until", "until"),)

    subject: Mapped[str] = mapped_column(String(96), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    until: Mapped[datetime] = mapped_column(UtcTime)
