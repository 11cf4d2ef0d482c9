"""Faults of the agent. The class docstring is the public sentence; none of these texts ever carries a secret."""


class AgentError(Exception):
    """The agent could not do what it was asked."""

    def __str__(self) -> str:
        said = super().__str__()
        return said or (type(self).__doc__ or type(self).__name__)


class BadKernelLine(AgentError):
    """The kernel command line lacks what the agent needs to find the appliance."""


class NoAnswer(AgentError):
    """The appliance did not answer; asking again may help."""


class BadAnswer(AgentError):
    """The appliance answered with something that is not in the protocol."""


class WrongAuthority(AgentError):
    """The certificate authority served is not the one that the boot script named."""


class ProgramFailed(AgentError):
    """A program in the ramdisk ended with an error."""

    def __init__(self, name: str, code: int | None, tail: str) -> None:
        what = "ran out of time" if code is None else f"ended with {code}"
        super().__init__(f"{name} {what}: {tail.strip()[-300:]}")
        self.code = code


class Refused(AgentError):
    """The command cannot be carried out on this machine as asked."""


class Cancelled(AgentError):
    """The command was cancelled by the appliance."""


class IpmiFailed(AgentError):
    """The management controller refused a request or did not answer it.

    code: the completion code, or None when there was no answer.
    """

    def __init__(self, what: str, code: int | None) -> None:
        said = "no answer" if code is None else f"completion code {code:#04x}"
        super().__init__(f"management controller, {what}: {said}")
        self.code = code
