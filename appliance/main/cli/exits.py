"""Exit codes, and how a failure is told: `error:`, `why:`, `next:`, `request` on stderr, or the same as JSON.

The only place that maps the appliance's errors to exit codes. The codes are a promise to scripts: a meaning is never
changed, only added.
"""

import enum
import json
import sys

from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound, RackwrightError, TooLarge, Unauthenticated
from appliance.main.cli.text import inert, inert_json
from appliance.main.client_errors import ApiError, ClientError, Unreachable


class Exit(enum.IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    CONFLICT = 5
    PARTIAL = 6
    TIMED_OUT = 7
    UNREACHABLE = 8
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done; also when a list is empty",
    Exit.FAILED: "the appliance tried and failed, or something here went wrong",
    Exit.USAGE: "the command was not understood, a value is not usable, or a name is ambiguous",
    Exit.NOT_FOUND: "there is no such node, image, subnet or flow",
    Exit.DENIED: "not logged in, the token has ended, or the role does not allow it",
    Exit.CONFLICT: "the thing is in a state, or held by work, that forbids this now",
    Exit.PARTIAL: "some of several succeeded; stderr names the others",
    Exit.TIMED_OUT: "the wait ended first; the work itself goes on",
    Exit.UNREACHABLE: "the appliance did not answer",
    Exit.INTERRUPTED: "Ctrl-C; work on the appliance goes on",
}

_BY_STATUS = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.NOT_FOUND, 409: Exit.CONFLICT, 412: Exit.CONFLICT}
_USAGE_STATUS = frozenset({400, 405, 413, 414, 415, 422})


class Failure(Exception):
    """A command ends here with `exit_code`. kind: a stable word for scripts that read the JSON error."""

    def __init__(
        self,
        message: str,
        *,
        exit_code: Exit = Exit.FAILED,
        kind: str = "failed",
        why: str = "",
        next_step: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.kind = kind
        self.why = why
        self.next_step = next_step
        self.request_id = request_id


def usage(message: str, *, next_step: str = "", why: str = "") -> Failure:
    """The caller's mistake, found here, before the appliance was asked."""
    return Failure(message, exit_code=Exit.USAGE, kind="usage", why=why, next_step=next_step)


def from_client(error: ClientError) -> Failure:
    """What the appliance's answer, or its silence, means to a shell."""
    if isinstance(error, Unreachable):
        return Failure(
            str(error),
            exit_code=Exit.UNREACHABLE,
            kind="unreachable",
            why=error.why,
            next_step=error.next_step or "rackwright doctor",
        )
    if not isinstance(error, ApiError):
        return Failure(str(error))
    exit_code = _BY_STATUS.get(error.status, Exit.USAGE if error.status in _USAGE_STATUS else Exit.FAILED)
    if error.code == "ambiguous":
        exit_code = Exit.USAGE
    next_step = error.next_step
    if error.status == 401 and not next_step:
        next_step = "rackwright login"
    return Failure(
        str(error),
        exit_code=exit_code,
        kind=error.code,
        why=error.why,
        next_step=next_step,
        request_id=error.request_id,
    )


_BY_ERROR: tuple[tuple[type[RackwrightError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
    (Unauthenticated, Exit.DENIED),
    (Forbidden, Exit.DENIED),
    (Invalid, Exit.USAGE),
    (TooLarge, Exit.USAGE),
)


def from_here(error: RackwrightError) -> Failure:
    """An error of a command that works on this machine (`init`, `serve`, `lab`)."""
    exit_code = next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)
    return Failure(error.message, exit_code=exit_code, kind=error.code, why=error.why, next_step=error.next_step)


def from_system(error: OSError) -> Failure:
    """A file or directory of this machine that a command could not use."""
    where = f"{error.filename}: " if error.filename else ""
    next_step = "run it as the user who may, such as root" if isinstance(error, PermissionError) else ""
    return Failure(f"{where}{error.strerror or error}", kind="system", next_step=next_step)


def tell(failure: Failure, *, as_json: bool) -> None:
    """Write a failure to stderr. Nothing that a machine or a server sent can move the cursor."""
    if as_json:
        document = {
            "error": {
                "code": failure.kind,
                "message": failure.message,
                "why": failure.why,
                "next": failure.next_step,
                "request_id": failure.request_id,
                "exit_code": int(failure.exit_code),
            }
        }
        print(inert_json(json.dumps(document, ensure_ascii=False)), file=sys.stderr)
        return
    print(f"error: {inert(failure.message)}", file=sys.stderr)
    if failure.why:
        print(f"why: {inert(failure.why)}", file=sys.stderr)
    if failure.next_step:
        print(f"next: {inert(failure.next_step)}", file=sys.stderr)
    if failure.request_id:
        print(f"request {inert(failure.request_id)}", file=sys.stderr)


def combined(codes: list[Exit]) -> Exit:
    """One exit code for several nodes: all alike give that code, a mixture that holds a success gives PARTIAL."""
    if not codes or all(code is Exit.OK for code in codes):
        return Exit.OK
    if any(code is Exit.OK for code in codes):
        return Exit.PARTIAL
    return codes[0] if len(set(codes)) == 1 else Exit.FAILED
