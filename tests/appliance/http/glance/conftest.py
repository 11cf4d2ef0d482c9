"""Clients of /image in the name of different actors; how a token becomes an actor is tested with identity."""

import hashlib

import pytest
from flask import g

from appliance.domain.access import Actor, Role
from appliance.http import auth

ADMIN = Actor(name="ann", role=Role.ADMIN, user_id=1, user_uuid="u1", project_id="p-admin", is_system=False,
              is_admin_project=True)  # fmt: skip
SYSTEM = Actor(name="sys", role=Role.ADMIN, user_id=2, user_uuid="u2")
AUDITOR = Actor(name="eve", role=Role.READER, user_id=3, user_uuid="u3")
BLUE = Actor(name="bob", role=Role.MEMBER, user_id=4, user_uuid="u4", project_id="p-blue", is_system=False)
RED = Actor(name="rod", role=Role.MEMBER, user_id=5, user_uuid="u5", project_id="p-red", is_system=False)
RED_READER = Actor(name="rio", role=Role.READER, user_id=6, user_uuid="u6", project_id="p-red", is_system=False)
NOBODY = Actor(name="nob", role=Role.NONE, user_id=7, user_uuid="u7", is_system=False)
ALL = {actor.name: actor for actor in (ADMIN, SYSTEM, AUDITOR, BLUE, RED, RED_READER, NOBODY)}
PATCH = "application/openstack-images-v2.1-json-patch"


class Client:
    """Speaks as one actor; the token is the actor's name."""

    def __init__(self, app, actor):
        self._client, self._token = app.test_client(), actor.name

    def __call__(self, method, path, *, headers=None, **more):
        headers = {"X-Auth-Token": self._token, "Accept": "application/json"} | (headers or {})
        return self._client.open(f"/image{path}", method=method, headers=headers, buffered=True, **more)

    def open(self, path):
        """An answer whose bytes nobody has read yet."""
        return self._client.get(path, headers={"X-Auth-Token": self._token}, buffered=False)

    def create(self, **fields):
        answer = self("POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"} | fields)
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    def upload(self, uuid, data, **headers):
        return self.put(f"/v2/images/{uuid}/file", data, **headers)

    def put(self, path, data, **headers):
        kinds = {"Content-Type": "application/octet-stream"}
        return self("PUT", path, data=data, headers=kinds | headers)

    def active(self, data=b"some bytes", **fields):
        uuid = self.create(**fields)
        answer = self.upload(uuid, data)
        assert answer.status_code == 204, answer.text
        return uuid

    def show(self, uuid):
        return self("GET", f"/v2/images/{uuid}").json

    def patch(self, uuid, *changes, kind=PATCH):
        return self("PATCH", f"/v2/images/{uuid}", json=list(changes), headers={"Content-Type": kind})

    def ids(self, query=""):
        answer = self("GET", f"/v2/images{query}")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json["images"]]


@pytest.fixture
def actors(monkeypatch):
    def known_caller(_context):
        g.actor = ALL[auth.bearer()]

    monkeypatch.setattr(auth, "known_caller", known_caller)


@pytest.fixture
def app(appliance, actors):
    return appliance.operators()


@pytest.fixture
def admin(app):
    return Client(app, ADMIN)


@pytest.fixture
def blue(app):
    return Client(app, BLUE)


@pytest.fixture
def red(app):
    return Client(app, RED)


def digests(data):
    return {name: hashlib.new(name, data).hexdigest() for name in ("md5", "sha256", "sha512")}
