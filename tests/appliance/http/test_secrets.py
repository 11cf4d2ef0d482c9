"""Canaries: what is planted as a secret is found in no table, no answer and no log, in the clear."""

import base64
import logging

from sqlalchemy import text

from appliance.http.app import agent_app, internal_app
from appliance.models.database import Base
from tests.fakes.rack import MAC, inventory

BMC, USER_DATA = "canary-bmc-password", "canary-user-data"


def test_no_secret_is_found_in_the_clear(appliance, operators, caplog):
    caplog.set_level(logging.DEBUG)
    agents, netboot = agent_app(appliance.context).test_client(), internal_app(appliance.context).test_client()
    answers = []

    def ask(client, method, path, **more):
        answer = getattr(client, method)(path, **more)
        answers.append(answer.get_data())
        return answer

    bmc = {"address": "10.77.0.201", "username": "admin", "password": BMC}
    node = {"name": "n1", "driver": "ipmi", "bmc": bmc, "macs": [MAC]}
    for body in (node, node, node | {"colour": 1}, node | {"bmc": bmc | {"address": "x"}}):
        ask(operators, "post", "/v1/nodes", json=body)
    ask(operators, "patch", "/v1/nodes/n1", json={"bmc": {"password": BMC}})
    script = netboot.get("/internal/boot/script", query_string={"mac": MAC, "server": "10.77.0.1"}).get_data(
        as_text=True
    )
    boot = script.partition("rackwright.boot=")[2].split()[0]
    session = agents.post("/agent/v1/lookup", json={"boot_secret": boot}).get_json()["session"]
    me = {"Authorization": f"Bearer {session}"}
    ask(agents, "post", "/agent/v1/inventory", headers=me, json=inventory())
    ask(agents, "post", "/agent/v1/lookup", json={"boot_secret": boot}, environ_base={"REMOTE_ADDR": "10.77.0.66"})
    ask(operators, "post", "/v1/nodes/n1/deploy", json={"image": "x", "user_data": f"#cloud-config\nx: {USER_DATA}\n"})
    ask(operators, "post", "/v1/nodes/n1/deploy", json={"user_data": USER_DATA})
    for path in (
        "nodes",
        "nodes/n1",
        "nodes/n1/timeline",
        "nodes/n1/why",
        "nodes/n1/inventory",
        "events",
        "flows",
        "images",
    ):
        ask(operators, "get", f"/v1/{path}")
    bearer = operators.environ_base["HTTP_AUTHORIZATION"].partition(" ")[2]

    tables = []
    with appliance.database.read() as looked:
        for table in Base.metadata.sorted_tables:
            for row in looked.execute(text(f'SELECT * FROM "{table.name}"')):
                tables += [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row]
    for name, canary in {"bmc": BMC, "user-data": USER_DATA, "boot": boot, "agent": session, "token": bearer}.items():
        assert len(canary) > 10, name
        for spelled in (canary.encode(), base64.b64encode(canary.encode()).rstrip(b"=")):
            assert not any(spelled in value for value in tables), f"{name} in a table"
            assert not any(spelled in value for value in answers), f"{name} in an answer"
        assert canary not in caplog.text, f"{name} in the log"
