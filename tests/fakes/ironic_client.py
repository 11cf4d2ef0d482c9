"""A client of `/baremetal` for tests, without a network."""

import json


class Client:
    """Speaks Bare Metal v1: paths below /baremetal, a token, a version; None for either leaves the header out."""

    def __init__(self, app, token, version="1.112"):
        self._client, self._token, self.version = app.test_client(), token, version

    def __call__(self, method, path, body=None, *, version=..., **more):
        version = self.version if version is ... else version
        headers = more.pop("headers", {})
        if version is not None:
            headers["X-OpenStack-Ironic-API-Version"] = version
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            more["json"] = body
        return self._client.open(f"/baremetal{path}", method=method, headers=headers, **more)

    def get(self, path, **more):
        return self("GET", path, **more)

    def post(self, path, body=None, **more):
        return self("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self("PUT", path, body, **more)

    def patch(self, path, body=None, **more):
        return self("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self("DELETE", path, **more)


def fault(answer):
    """The inner object of a refusal."""
    return json.loads(answer.get_json()["error_message"])
