"""Who somebody is and what they hold: one service for the native API, the CLI, the console and the OpenStack faces.

    token       the sealed claims that are a token          keys        what they are sealed with
    proving     proving who one is, what failures cost      sign_in     receiving a token
    bearers     who brings a token, does it still hold      access_rules  what an application credential may ask
    passwords   hashes and rules                            policy      how long tokens last, when an account rests
    rights      which roles somebody holds on what          grants      giving and taking them
    users, groups, domains, projects, roles, credentials, catalogue, limits, shown: one noun each
    bootstrap: what `init` makes

What a role may do natively is appliance.domain.access; through OpenStack Identity, appliance.http.keystone.
"""

from appliance.services.identity.bearers import KNOWN_FOR, Caller, TokenRefused, Tokens, sweep_revocations
from appliance.services.identity.passwords import MAX_PASSWORD, MIN_PASSWORD, BadPassword, Rules, new_password
from appliance.services.identity.policy import Policy
from appliance.services.identity.proving import LoginRefused, PasswordExpired
from appliance.services.identity.rights import TOPIC, LastAdmin
from appliance.services.identity.sign_in import Login, ScopeRefused, login
from appliance.services.identity.users import change_own_password, create_user, list_users, set_password

__all__ = [
    "KNOWN_FOR",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "TOPIC",
    "BadPassword",
    "Caller",
    "LastAdmin",
    "Login",
    "LoginRefused",
    "PasswordExpired",
    "Policy",
    "Rules",
    "ScopeRefused",
    "TokenRefused",
    "Tokens",
    "change_own_password",
    "create_user",
    "list_users",
    "login",
    "new_password",
    "set_password",
    "sweep_revocations",
]
