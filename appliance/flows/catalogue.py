"""All kinds of flows, listed."""

from collections.abc import Mapping

from appliance.flows.adopt import adopt
from appliance.flows.clean import clean
from appliance.flows.deploy import deploy
from appliance.flows.fake import FAKE_FLOWS
from appliance.flows.inspect import inspect
from appliance.flows.procedure import Procedure
from appliance.flows.rescue import rescue
from appliance.flows.service import service
from appliance.flows.undeploy import undeploy
from appliance.flows.unrescue import unrescue
from appliance.flows.verify import verify

REAL = (verify, inspect, clean, deploy, undeploy, adopt, rescue, unrescue, service)

FLOWS: Mapping[str, Procedure] = {
    **{procedure.kind: procedure for procedure in REAL},
    **FAKE_FLOWS,
}
