"""What can go wrong between a client and the appliance. Kept apart so that reading errors costs no HTTP import."""


class ClientError(Exception):
    """The appliance could not be asked, or refused."""


class Unreachable(ClientError):
    """Nobody answered, or the answer broke off. why: what the socket or TLS said."""

    def __init__(self, url: str, why: str, next_step: str = "") -> None:
        super().__init__(f"the appliance at {url} does not answer")
        self.url = url
        self.why = why
        self.next_step = next_step


class ApiError(ClientError):
    """The appliance answered with an error; the attributes are those of its error document."""

    def __init__(
        self,
        status: int,
        *,
        code: str = "",
        message: str = "",
        why: str = "",
        next_step: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message or f"the appliance answered {status}")
        self.status = status
        self.code = code or f"http-{status}"
        self.why = why
        self.next_step = next_step
        self.request_id = request_id
