"""/v3/auth: tokens, what they say, and where else their holder could go."""

from typing import Any

from flask import Flask, Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.errors import Forbidden, NotFound, Unauthenticated
from appliance.http.context import Context
from appliance.http.json_body import reply
from appliance.http.keystone import present, proofs
from appliance.http.keystone.policy import demand, site
from appliance.http.keystone.wire import V3, Ask, Route, collection, no_content, stamp
from appliance.models.catalogue import CatalogueEndpoint, Service
from appliance.models.identity import ApplicationCredential, Domain, Project, User
from appliance.services.identity import Caller, TokenRefused, rights, shown, sign_in

JsonObject = dict[str, Any]


def install(app: Flask, context: Context) -> None:
    """The one route that needs no token."""
    app.add_url_rule(f"{V3}/auth/tokens", "keystone_issue", lambda: _issue(context), methods=["POST"])


def _issue(context: Context) -> Response:
    given, wanted = proofs.read()
    issued = sign_in.authenticate(context.tokens, given, wanted, source=request.remote_addr or "")
    with context.database.read() as session:
        ask = Ask(context=context, caller=issued.caller, session=session)
        response = reply({"token": _token(ask, issued.caller, with_catalogue="nocatalog" not in request.args)}, 201)
    response.headers["X-Subject-Token"] = issued.text
    response.headers["Vary"] = "X-Auth-Token"
    return response


def _validate(ask: Ask) -> Response:
    text, caller = _subject(ask)
    mine = caller.actor.user_id == ask.actor.user_id
    action = "check_token" if request.method == "HEAD" else "validate_token"
    demand(mine or site(ask.actor, Role.READER) or "service" in ask.actor.roles, action)
    response = reply({"token": _token(ask, caller, with_catalogue="nocatalog" not in request.args)})
    response.headers["X-Subject-Token"] = text
    response.headers["Vary"] = "X-Auth-Token"
    return response


def _revoke(ask: Ask) -> Response:
    _text, caller = _subject(ask)
    demand(caller.actor.user_id == ask.actor.user_id or site(ask.actor, Role.ADMIN), "revoke_token")
    ask.context.tokens.revoke(ask.session, caller.claims)
    return no_content()


def _subject(ask: Ask) -> tuple[str, Caller]:
    """The token that is asked about. Raises NotFound for one that does not hold."""
    text = request.headers.get("X-Subject-Token", "").strip()
    if not text:
        raise Unauthenticated("X-Subject-Token is missing")
    try:
        return text, ask.context.tokens.find(text)
    except TokenRefused as cause:
        raise NotFound("Could not find token.") from cause


def _token(ask: Ask, caller: Caller, *, with_catalogue: bool) -> JsonObject:
    session, claims, actor = ask.session, caller.claims, caller.actor
    user = session.get(User, actor.user_id)
    if user is None:
        raise NotFound("Could not find token.")
    expires = present.user(ask, user)["password_expires_at"]
    home = _named(session, user.domain_id)
    token: JsonObject = {
        "methods": list(claims.methods), "audit_ids": claims.audit_ids, "issued_at": stamp(claims.issued_at),
        "expires_at": stamp(claims.expires_at),
        "user": {"id": user.uuid, "name": user.name, "domain": home, "password_expires_at": expires},
    }  # fmt: skip
    if claims.scope.kind == "unscoped":
        return token
    token["roles"] = [{"id": role.id, "name": role.name} for role in caller.roles]
    token.update(_scope(session, caller))
    if claims.credential_id:
        token["application_credential"] = _credential(session, caller)
    if with_catalogue:
        token["catalog"] = _catalogue(ask, caller)
    return token


def _scope(session: Session, caller: Caller) -> JsonObject:
    scope = caller.claims.scope
    if scope.kind == "system":
        return {"system": {"all": True}}
    if scope.kind == "domain":
        return {"domain": _named(session, scope.id)}
    project = session.get(Project, scope.id)
    if project is None:
        raise NotFound("Could not find token.")
    shown = {"id": project.id, "name": project.name, "domain": _named(session, project.domain_id)}
    return {"project": shown, "is_domain": False, "is_admin_project": caller.actor.is_admin_project}


def _named(session: Session, domain_id: str) -> JsonObject:
    domain = session.get(Domain, domain_id)
    return {"id": domain_id, "name": domain.name if domain else domain_id}


def _credential(session: Session, caller: Caller) -> JsonObject:
    row = session.get(ApplicationCredential, caller.claims.credential_id)
    if row is None:
        raise NotFound("Could not find token.")
    shown: JsonObject = {"id": row.id, "name": row.name, "restricted": not row.is_unrestricted}
    if caller.rules is not None:
        shown["access_rules"] = [
            {"service": rule.service, "method": rule.method, "path": rule.path} for rule in caller.rules
        ]
    return shown


def _catalogue(ask: Ask, caller: Caller) -> list[JsonObject]:
    services = ask.session.scalars(select(Service).where(Service.is_enabled).order_by(Service.type, Service.id)).all()
    found: dict[str, list[JsonObject]] = {service.id: [] for service in services}
    rows = ask.session.scalars(
        select(CatalogueEndpoint).where(CatalogueEndpoint.is_enabled).order_by(CatalogueEndpoint.interface)
    )
    project_id = caller.actor.project_id
    chosen = shown.of_project(ask.session, project_id) if project_id is not None else None
    for row in rows:
        if chosen is not None and row.id not in chosen:
            continue
        url = _filled(present.endpoint_url(ask, row), caller)
        if row.service_id in found and url is not None:
            found[row.service_id].append(
                {
                    "id": row.id,
                    "interface": row.interface,
                    "region": row.region_id,
                    "region_id": row.region_id,
                    "url": url,
                }
            )
    return [
        {"id": service.id, "type": service.type, "name": service.name, "endpoints": found[service.id]}
        for service in services
    ]


def _filled(url: str, caller: Caller) -> str | None:
    """With the ids of user and project put in where an operator left room for them; None when there is no project."""
    for word, value in (("project_id", caller.actor.project_id), ("tenant_id", caller.actor.project_id),
                        ("user_id", caller.actor.user_uuid)):  # fmt: skip
        for place in (f"$({word})s", f"%({word})s"):
            if place in url and not value:
                return None
            url = url.replace(place, value or "")
    return url


def _show_catalogue(ask: Ask) -> Response:
    if ask.caller.claims.scope.kind == "unscoped":
        raise Forbidden("A scoped token is required to produce a service catalog.")
    return reply({"catalog": _catalogue(ask, ask.caller), "links": {"self": ask.url("auth/catalog")}})


def _me(ask: Ask) -> User:
    user = ask.session.get(User, ask.actor.user_id)
    if user is None:
        raise TokenRefused
    return user


def _projects(ask: Ask) -> Response:
    rows = [row for row in rights.projects_of(ask.session, _me(ask)) if row.is_enabled]
    return collection(ask, "projects", [present.project(ask, row) for row in rows], "auth/projects")


def _domains(ask: Ask) -> Response:
    rows = [row for row in rights.domains_of(ask.session, _me(ask)) if row.is_enabled]
    return collection(ask, "domains", [present.domain(ask, row) for row in rows], "auth/domains")


def _system(ask: Ask) -> Response:
    is_there = bool(rights.on_system(ask.session, _me(ask)))
    return reply({"system": [{"all": True}] if is_there else [], "links": {"self": ask.url("auth/system")}})


ROUTES = [
    Route(method="GET", rule="/auth/tokens", view=_validate),
    Route(method="DELETE", rule="/auth/tokens", view=_revoke),
    Route(method="GET", rule="/auth/catalog", view=_show_catalogue),
    Route(method="GET", rule="/auth/projects", view=_projects),
    Route(method="GET", rule="/auth/domains", view=_domains),
    Route(method="GET", rule="/auth/system", view=_system),
]
