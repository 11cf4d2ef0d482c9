"""Log-in, log-out and the change of one's password."""

from flask import Response, g, make_response, redirect, render_template, request, url_for

from appliance.domain.errors import Invalid, RackwrightError
from appliance.services import identity
from webui.session import forget, inside, remember
from webui.site import Site


def login_page() -> str:
    return render_template("login.html", problem=None, wanted=inside(request.args.get("next", "/")))


def log_in(site: Site) -> Response:
    """A first log-in with the one-time password goes on to the change of it."""
    wanted = inside(request.form.get("next", "/"))
    try:
        granted = _login(site, request.form.get("username", ""), request.form.get("password", ""))
    except RackwrightError as refusal:
        return make_response(render_template("login.html", problem=refusal, wanted=wanted), 401)
    response = make_response(redirect(url_for("console.password") if granted.actor.must_change else wanted))
    remember(response, granted.token, _lifetime_s(site))
    return response


def _login(site: Site, name: str, password: str) -> identity.Login:
    return identity.login(site.tokens, name=name, password=password, source=request.remote_addr or "")


def _lifetime_s(site: Site) -> int:
    return int(site.tokens.policy.session_lifetime.total_seconds())


def log_out(site: Site) -> Response:
    with site.database.write() as session:
        site.tokens.end_session(session, g.caller.claims)
    response = make_response(redirect(url_for("console.login")))
    forget(response)
    return response


def password_page() -> str:
    return render_template("password.html", problem=None)


def change_password(site: Site) -> Response:
    """All sessions of the user end with the old password; this browser is logged in anew."""
    old, new = request.form.get("old", ""), request.form.get("new", "")
    try:
        if new != request.form.get("again", ""):
            raise Invalid("the two new passwords differ", next_step="type the new one twice")
        source = request.remote_addr or ""
        identity.change_own_password(site.tokens, user_uuid=g.actor.user_uuid, old=old, new=new, source=source)
        granted = _login(site, g.actor.name, new)
    except RackwrightError as refusal:
        return make_response(render_template("password.html", problem=refusal), 400)
    response = make_response(redirect(url_for("console.home")))
    remember(response, granted.token, _lifetime_s(site))
    return response
