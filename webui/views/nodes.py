"""The page that opens first: all nodes, filtered and ordered by the URL."""

from flask import render_template, request

from appliance.services import nodes
from webui import listing, states
from webui.site import Site

COLUMNS = (
    ("name", "Name"), ("state", "State"), ("", "Now"), ("since", "Since"), ("power", "Power"), ("", "Instance"),
    ("address", "Address"), ("place", "Place"), ("bmc", "BMC"),
)  # fmt: skip
"""(key to sort by, heading) of each column."""


def page(site: Site) -> str:
    wanted = listing.parse(request.args)
    with site.database.read() as session:
        found = listing.find(session, wanted)
        counts = nodes.counts(session)
    return render_template(
        "nodes.html", found=found, wanted=wanted, columns=COLUMNS, counts=counts, groups=states.GROUPS,
        by_group=states.count_by_group(counts), everything=sum(counts.values()), group_of=states.group,
    )  # fmt: skip
