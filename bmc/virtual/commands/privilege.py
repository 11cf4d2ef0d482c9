"""Privilege levels of §6.8; the least that each command needs is in appendix G of the specification."""

NONE = 0  # also outside a session
USER = 2
OPERATOR = 3
ADMINISTRATOR = 4
