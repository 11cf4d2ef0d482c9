"""Reads the body of a log-in: how somebody proves who they are, and what scope they ask for."""

from typing import Any

from appliance.domain.errors import Invalid
from appliance.http.json_body import read_object
from appliance.services.identity.proving import ByCredential, ByPassword, ByToken, LoginRefused, Proof, Who
from appliance.services.identity.sign_in import Wanted

MOST_METHODS = 4
_MAX_BODY = 64 * 1024


def read() -> tuple[list[Proof], Wanted]:
    """Raises Invalid for a body that is malformed, LoginRefused for a way that is not supported."""
    auth = _object(read_object(_MAX_BODY), "auth")
    identity = _object(auth, "identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or not all(isinstance(one, str) for one in methods):
        raise Invalid("'methods' is a required property: a list of texts")
    if not 1 <= len(methods) <= MOST_METHODS:
        raise LoginRefused
    return [_proof(identity, method) for method in methods], _scope(auth.get("scope"))


def _proof(identity: dict[str, Any], method: str) -> Proof:
    if method == "password":
        user = _object(_object(identity, "password"), "user")
        return ByPassword(who=_who(user), password=_text(user, "password"))
    if method == "token":
        return ByToken(text=_text(_object(identity, "token"), "id"))
    if method == "application_credential":
        given = _object(identity, "application_credential")
        owner = _who(_object(given, "user")) if "id" not in given else None
        return ByCredential(
            id=_text(given, "id", required=False), name=_text(given, "name", required=False), who=owner,
            secret=_text(given, "secret"),
        )  # fmt: skip
    raise LoginRefused


def _who(user: dict[str, Any]) -> Who:
    domain = _object(user, "domain", required=False)
    if "id" not in user and "name" not in user:
        raise Invalid("Invalid input for field identity/password/user: id or name must be present.")
    _some_name(domain, "identity/password/user/domain")
    return Who(
        id=_text(user, "id", required=False), name=_text(user, "name", required=False),
        domain_id=_text(domain, "id", required=False), domain_name=_text(domain, "name", required=False),
    )  # fmt: skip


def _scope(scope: Any) -> Wanted:
    if scope is None:
        return Wanted()
    if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return Wanted(kind="unscoped")
    if not isinstance(scope, dict):
        raise Invalid("Invalid input for field 'scope'")
    kinds = [kind for kind in ("project", "domain", "system") if kind in scope]
    if len(kinds) > 1:
        raise Invalid("Expecting to find exactly one scope: project, domain or system.")
    if not kinds:  # trusts and others that we do not have
        raise LoginRefused if scope else Invalid("Expecting to find a project, a domain or the system in scope.")
    if kinds == ["system"]:
        if _object(scope, "system").get("all") is not True:
            raise Invalid("Invalid input for field 'scope/system/all': only true is known")
        return Wanted(kind="system")
    target = _object(scope, kinds[0])
    _some_name(target, f"scope/{kinds[0]}", is_needed=True)
    domain = _object(target, "domain", required=False)
    _some_name(domain, "scope/project/domain")
    return Wanted(
        kind=kinds[0], id=_text(target, "id", required=False), name=_text(target, "name", required=False),
        domain_id=_text(domain, "id", required=False), domain_name=_text(domain, "name", required=False),
    )  # fmt: skip


def _some_name(given: dict[str, Any], where: str, *, is_needed: bool = False) -> None:
    if (given or is_needed) and "id" not in given and "name" not in given:
        raise Invalid(f"Invalid input for field {where}: id or name must be present.")


def _object(body: dict[str, Any], name: str, *, required: bool = True) -> dict[str, Any]:
    value = body.get(name)
    if value is None and not required:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"'{name}' is a required property: an object")
    return value


def _text(body: dict[str, Any], name: str, *, required: bool = True) -> str:
    value = body.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_BODY or "\0" in value:
        raise Invalid(f"'{name}' is a required property: a text")
    return value
