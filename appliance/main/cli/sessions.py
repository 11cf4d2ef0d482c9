"""`login`, `logout`, `whoami`."""

import fcntl
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.domain.errors import RackwrightError
from appliance.main.cli.columns import PLAIN
from appliance.main.cli.exits import Exit, Failure, from_client, usage
from appliance.main.cli.frame import file_option, verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.place import Profile, config_path, read_profiles, write_profiles
from appliance.main.client_errors import ApiError, ClientError, Unreachable

if TYPE_CHECKING:
    from appliance.main.client import Client

START_LIMIT_S = 30.0
START_LOOK_S = 0.2


@verb("rackwright login --url https://rack.example:8443 --ca ca.pem")
@click.option("--username", default="admin", show_default=True, metavar="NAME", help="Who logs in.")
@file_option("--password-file", help_text="The password; first line of FILE, - for standard input.")
@file_option("--new-password-file", help_text="Change the password to this one at once.")
@click.option("--print-token", is_flag=True, help="Write the token to stdout and save nothing.")
def login(
    inv: Invocation, *, username: str, password_file: Path | None, new_password_file: Path | None, print_token: bool
) -> None:
    """Log in and save the token (0600) for the next commands.

    The first password is the one that `rackwright init` printed; it has to be changed at the first login, which this
    asks for.
    """
    place = inv.place()
    client = inv.client(anonymous=True)
    if inv.asked.state:
        _await_start(client, Path(inv.asked.state))
    password = inv.password(f"Password of {username} at {place.url}", password_file, option="--password-file")
    answer = _enter(client, username, password)
    if new_password_file is not None or (answer.get("must_change") and inv.can_ask()):
        new = _change(inv, client, password, new_password_file)
        _tell_clouds(inv, username, password, new)
        answer = _enter(client, username, new)  # a change of the password ends every session, ours too
    elif answer.get("must_change"):
        inv.note("this password is for the first login only; change it: rackwright login --new-password-file FILE")
    if print_token:
        print(client.token)
        return
    _save(inv, username, str(answer["token"]), answer.get("expires_at"))


def _await_start(client: "Client", state: Path) -> None:
    """`serve` of this machine that was started a moment ago is waited for; one that does not run is not."""
    deadline = time.monotonic() + START_LIMIT_S
    while is_served(state) and time.monotonic() < deadline:
        try:
            client.call("GET", "/v1/whoami", timeout_s=5)
        except Unreachable:
            time.sleep(START_LOOK_S)
            continue
        except ClientError:
            pass  # it answers; that it wants a token is why we are here
        return


def is_served(state: Path) -> bool:
    """Whether a `serve` holds this state directory."""
    try:
        with (state / "run" / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _change(inv: Invocation, client: "Client", old: str, file: Path | None) -> str:
    """The new password. A person whose choice is refused is asked again; a file is read once."""
    while True:
        try:
            new = inv.password("New password", file, option="--new-password-file", again=True)
            client.call("POST", "/v1/password", body={"old": old, "new": new})
        except (Failure, ApiError) as error:
            is_answer = isinstance(error, Failure) or error.status in {400, 422}
            if file is not None or not inv.can_ask() or not is_answer:
                raise
            inv.note(f"{error}; choose another one, or Ctrl-C to leave it as it is")
            continue
        inv.note("the password is changed")
        return new


def _tell_clouds(inv: Invocation, username: str, old: str, new: str) -> None:
    """OpenStack clients log in with what clouds.yaml says; on the appliance itself it is kept right."""
    from appliance.services import clouds

    state = inv.asked.state
    try:
        if state and clouds.renew(Path(state), username, is_old=lambda given: given == old, new=new):
            inv.note(f"{Path(state) / 'clouds.yaml'} holds the new password too")
            return
    except (OSError, RackwrightError) as cause:
        inv.note(f"clouds.yaml was not changed: {cause}")
    inv.note("a clouds.yaml with the old password does not log in any more: put the new one there")


def _enter(client: "Client", username: str, password: str) -> dict[str, Any]:
    """The answer to a login; the client then holds its token."""
    client.token = None
    try:
        answer = client.call("POST", "/v1/login", body={"username": username, "password": password}).body
    except ApiError as error:
        failure = from_client(error)
        if error.status == 401:
            failure.next_step = "check the user name and the password"
        raise failure from error
    client.token = str(answer["token"])
    return dict(answer)


def _save(inv: Invocation, username: str, token: str, expires_at: object) -> None:
    place = inv.place()
    file = config_path(inv.environment)
    profiles = read_profiles(file)
    name = inv.asked.profile or inv.environment.get("RACKWRIGHT_PROFILE") or "default"
    profiles[name] = Profile(
        url=place.url,
        ca=str(place.ca.absolute()) if place.ca else None,
        token=token,
        username=username,
        expires_at=None if expires_at is None else str(expires_at),
    )
    write_profiles(file, profiles)
    inv.note(f"logged in to {place.url} as {username}; saved as profile {name!r} in {file}")


@verb("rackwright logout")
@click.option("--all", "everything", is_flag=True, help="Every saved login, without asking the appliances.")
def logout(inv: Invocation, *, everything: bool) -> None:
    """End the session and forget its token."""
    file = config_path(inv.environment)
    profiles = read_profiles(file)
    if everything:
        write_profiles(file, {})
        inv.note("every saved login is forgotten")
        return
    place = inv.place()
    if place.token is None:
        raise Failure(f"not logged in to {place.url}", exit_code=Exit.DENIED, kind="unauthenticated")
    try:
        inv.client().call("POST", "/v1/logout", body={})
    except ClientError as error:
        # The token is forgotten here whatever the appliance says; it ends there by itself in time.
        inv.note(f"the appliance was not told: {error}")
    kept = {
        name: replace(profile, token=None, expires_at=None) if profile.token == place.token else profile
        for name, profile in profiles.items()
    }
    write_profiles(file, kept)
    inv.note(f"logged out of {place.url}")


@verb("rackwright whoami", data=True)
def whoami(inv: Invocation) -> None:
    """Say who is logged in, where, and until when."""
    answer = inv.client().get("/v1/whoami")
    if not answer:
        raise usage("the appliance does not say who is logged in")
    inv.show_one(PLAIN, {"url": inv.place().url, "found_by": inv.place().source, **answer})
    if sys.stdout.isatty() and answer.get("must_change"):
        inv.note("the password must be changed: rackwright login --new-password-file FILE")
