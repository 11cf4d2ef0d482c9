"""/image: OpenStack Image v2 over the appliance's own services."""

from flask import Flask

from appliance.http.context import Context


def install(app: Flask, context: Context) -> None:
    """Register the routes below `/image`."""
