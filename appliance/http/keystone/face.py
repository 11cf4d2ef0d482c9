"""/identity: OpenStack Identity v3 over the appliance's own services. What is not below is answered with 404."""

from flask import Flask

from appliance.http.context import Context
from appliance.http.keystone import (
    assignments,
    catalogue,
    credentials,
    domains,
    grants,
    groups,
    limits,
    policies,
    projects,
    roles,
    shown,
    tags,
    tokens,
    users,
    versions,
    wire,
)

ROUTES = [
    *tokens.ROUTES,
    *users.ROUTES,
    *groups.ROUTES,
    *domains.ROUTES,
    *projects.ROUTES,
    *tags.ROUTES,
    *roles.ROUTES,
    *grants.ROUTES,
    *assignments.ROUTES,
    *catalogue.ROUTES,
    *credentials.ROUTES,
    *limits.ROUTES,
    *policies.ROUTES,
    *shown.ROUTES,
]


def install(app: Flask, context: Context) -> None:
    """Register the routes below `/identity`."""
    versions.install(app, context)
    tokens.install(app, context)
    users.install(app, context)
    wire.install(app, context, ROUTES)
