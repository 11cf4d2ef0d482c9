"""Rows as OpenStack Identity v3 shows them."""

from typing import Any

from appliance.http.keystone.wire import Ask, stamp
from appliance.http.own_address import base_url
from appliance.models.catalogue import CatalogueEndpoint, Region, Service
from appliance.models.grant import RoleRow
from appliance.models.identity import AccessRule, ApplicationCredential, Domain, Group, Project, User
from appliance.services.identity.rights import Held


def user(ask: Ask, row: User) -> dict[str, Any]:
    expires_at = None
    if row.password_hash is not None and not row.options.get("ignore_password_expiry"):
        expires_at = ask.context.tokens.policy.passwords.expires_at(row.password_set_at)
    shown = {
        **row.extra, "id": row.uuid, "name": row.name, "domain_id": row.domain_id, "enabled": row.is_enabled,
        "options": row.options, "federated": [], "links": {"self": ask.url(f"users/{row.uuid}")},
        "password_expires_at": stamp(expires_at).removesuffix("Z") if expires_at else None,
    }  # fmt: skip
    if row.default_project_id is not None:
        shown["default_project_id"] = row.default_project_id
    return shown


def group(ask: Ask, row: Group) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "name": row.name, "domain_id": row.domain_id, "description": row.description,
        "links": {"self": ask.url(f"groups/{row.id}")},
    }  # fmt: skip


def domain(ask: Ask, row: Domain) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "name": row.name, "description": row.description, "enabled": row.is_enabled,
        "tags": row.tags, "options": row.options, "links": {"self": ask.url(f"domains/{row.id}")},
    }  # fmt: skip


def domain_as_project(ask: Ask, row: Domain) -> dict[str, Any]:
    shown = domain(ask, row)
    links = {"self": ask.url(f"projects/{row.id}")}
    return {**shown, "is_domain": True, "domain_id": None, "parent_id": None, "links": links}


def project(ask: Ask, row: Project) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "name": row.name, "domain_id": row.domain_id, "description": row.description,
        "enabled": row.is_enabled, "parent_id": row.parent_id or row.domain_id, "is_domain": False, "tags": row.tags,
        "options": row.options, "links": {"self": ask.url(f"projects/{row.id}")},
    }  # fmt: skip


def role(ask: Ask, row: RoleRow) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "name": row.name, "domain_id": row.domain_id or None,
        "description": row.description, "options": row.options, "links": {"self": ask.url(f"roles/{row.id}")},
    }  # fmt: skip


def held(ask: Ask, one: Held) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "domain_id": one.domain_id or None, "description": None, "options": {},
        "links": {"self": ask.url(f"roles/{one.id}")},
    }  # fmt: skip


def region(ask: Ask, row: Region) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "description": row.description, "parent_region_id": row.parent_id,
        "links": {"self": ask.url(f"regions/{row.id}")},
    }  # fmt: skip


def service(ask: Ask, row: Service) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "type": row.type, "name": row.name, "description": row.description,
        "enabled": row.is_enabled, "links": {"self": ask.url(f"services/{row.id}")},
    }  # fmt: skip


def endpoint_url(ask: Ask, row: CatalogueEndpoint) -> str:
    """A face of ours is where the client found us."""
    return f"{base_url(ask.context.config)}{row.url}" if row.url.startswith("/") else row.url


def endpoint(ask: Ask, row: CatalogueEndpoint) -> dict[str, Any]:
    return {
        **row.extra, "id": row.id, "interface": row.interface, "region": row.region_id, "region_id": row.region_id,
        "service_id": row.service_id, "url": endpoint_url(ask, row), "enabled": row.is_enabled,
        "links": {"self": ask.url(f"endpoints/{row.id}")},
    }  # fmt: skip


def access_rule(ask: Ask, row: AccessRule, user_id: str) -> dict[str, Any]:
    return {
        "id": row.id, "service": row.service, "method": row.method, "path": row.path,
        "links": {"self": ask.url(f"users/{user_id}/access_rules/{row.id}")},
    }  # fmt: skip


def credential(
    ask: Ask, row: ApplicationCredential, user_id: str, roles: list[RoleRow], rules: list[AccessRule]
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.id, "name": row.name, "description": row.description, "project_id": row.project_id,
        "user_id": user_id, "system": None, "unrestricted": row.is_unrestricted,
        "expires_at": stamp(row.expires_at).removesuffix("Z") if row.expires_at else None,
        "roles": [
            {"id": one.id, "name": one.name, "domain_id": one.domain_id or None, "description": one.description,
             "options": one.options}
            for one in roles
        ],
        "links": {"self": ask.url(f"users/{user_id}/application_credentials/{row.id}")},
    }  # fmt: skip
    if rules:
        shown["access_rules"] = [
            {"id": one.id, "service": one.service, "method": one.method, "path": one.path} for one in rules
        ]
    return shown
