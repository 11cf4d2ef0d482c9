"""What the operators' certificate must hold."""

import socket

from appliance.config import Config
from appliance.domain.values import BadValue, host_names
from appliance.services import tls


def of(config: Config) -> frozenset[str]:
    """The machine's name, the listening address(es), extra names."""
    listen = config.api.listen
    own = tls.local_addresses() if listen.is_any else {listen.host}
    return frozenset({_host_name(), *own, *config.api.names})


def _host_name() -> str:
    try:
        return str(host_names([socket.gethostname()])[0])
    except BadValue:
        return "localhost"
