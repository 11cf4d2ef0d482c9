"""How a command of the virtual BMC refuses."""

from bmc.rmcp.message import Code


class Refused(Exception):
    """Answer with this completion code and no data."""

    def __init__(self, code: int = Code.UNSPECIFIED) -> None:
        super().__init__(f"completion code {code:#04x}")
        self.code = code
