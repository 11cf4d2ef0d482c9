"""How long tokens last and when an account rests: what [identity] of the configuration says."""

from dataclasses import dataclass, field
from datetime import timedelta

from appliance.services.identity.passwords import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """token_lifetime: of tokens for OpenStack clients; session_lifetime: of the native API, the CLI and the console."""

    token_lifetime: timedelta = timedelta(hours=1)
    session_lifetime: timedelta = timedelta(hours=12)
    lockout_failures: int = 5
    lockout: timedelta = timedelta(minutes=30)
    passwords: Rules = field(default_factory=Rules)

    @property
    def longest(self) -> timedelta:
        return max(self.token_lifetime, self.session_lifetime)
