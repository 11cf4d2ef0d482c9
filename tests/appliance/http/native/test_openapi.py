"""The document says what the API does: each route is in it, and answers are as it says."""

import re

import jsonschema

from appliance.http.native.nodes import VERBS
from appliance.http.native.openapi import document
from tests.appliance.http.native.test_nodes import NODE

DOCUMENT = document()


def registered(app):
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "{").replace(">", "}")
        for method in rule.methods - {"HEAD", "OPTIONS"} if path.startswith("/v1/") else ():
            for verb in VERBS if "{verb}" in path else ("",):
                yield method.lower(), path.replace("{verb}", verb)


def test_every_route_is_described_and_nothing_else(appliance):
    described = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == set(registered(appliance.operators()))


def test_references_lead_somewhere_and_schemas_are_schemas():
    names = set(re.findall(r"#/components/schemas/(\w+)", str(DOCUMENT)))
    assert names <= set(DOCUMENT["components"]["schemas"])
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def answered_as_described(path, method, answer):
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, (method, path, answer.status_code)
    content = responses[str(answer.status_code)].get("content", {})
    for kind, described in content.items():
        assert answer.mimetype == kind
        if kind == "application/json":
            schema = described["schema"] | {"components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.get_json())


def test_answers_are_as_described(operators):
    """Over a small life: a node, a subnet, an image, and every GET."""
    made = operators.post("/v1/nodes", json=NODE)
    answered_as_described("/v1/nodes", "post", made)
    answered_as_described("/v1/nodes", "post", operators.post("/v1/nodes", json=NODE))
    answered_as_described("/v1/nodes", "post", operators.post("/v1/nodes", json={"driver": 7}))
    subnet = {"name": "lab", "cidr": "10.7.0.0/24", "pool": "10.7.0.10-10.7.0.20", "interface": "eth0"}
    answered_as_described("/v1/subnets", "post", operators.post("/v1/subnets", json=subnet))
    answered_as_described("/v1/images", "post", operators.post("/v1/images", json={"name": "debian-12"}))
    manage = operators.post(f"/v1/nodes/{NODE['name']}/manage", json={})
    answered_as_described("/v1/nodes/{ref}/manage", "post", manage)
    flow = manage.get_json()["flow"]["uuid"]
    words = {"uuid": flow, "mac": "52:54:00:00:00:01"}
    for path, item in DOCUMENT["paths"].items():
        if "get" not in item or path.endswith("/console"):
            continue
        names = {"name": "lab", "ref": "debian-12" if "/images/" in path else NODE["name"]} | words
        answered_as_described(path, "get", operators.get(path.format(**names)))


def test_the_faces_are_listed_too(operators):
    faces = {face["face"]: face["routes"] for face in operators.get("/v1/routes").get_json()["faces"]}
    assert {"method": "POST", "path": "/identity/v3/auth/tokens"} in faces["identity"]
    assert {"method": "PUT", "path": "/baremetal/v1/nodes/{ident}/states/provision"} in faces["baremetal"]
    assert {"method": "GET", "path": "/image/v2/images"} in faces["image"]
