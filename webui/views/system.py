"""What serves the nodes: images, networks, work in progress, and the appliance's own health."""

import ipaddress
from datetime import datetime
from typing import Any

from flask import render_template
from sqlalchemy import func, select

from appliance.domain.images import COMING
from appliance.models.flow import Flow
from appliance.models.network import Lease, Subnet
from appliance.models.node import Node, Port
from appliance.services import events, images, network
from webui import listing, words
from webui.site import Site

ENDED_SHOWN = 50


def images_page(site: Site) -> str:
    with site.database.read() as session:
        found = list(images.named(session))
        held = session.scalars(select(Node.instance).where(Node.instance.is_not(None)))
        used: dict[str, int] = {}
        for instance in held:
            uuid = str((instance or {}).get("image_uuid"))
            used[uuid] = used.get(uuid, 0) + 1
    waits = {image.uuid: site.import_waits_for(image.uuid) for image in found if image.status in COMING}
    return render_template("images.html", images=found, used=used, waits=waits)


def network_page(site: Site) -> str:
    now = site.clock()
    with site.database.read() as session:
        subnets, leases = network.subnets(session), network.leases(session)
        macs = [lease.mac for lease in leases]
        owners = {
            mac: name or uuid
            for mac, name, uuid in session.execute(
                select(Port.mac, Node.name, Node.uuid).join(Node).where(Port.mac.in_(macs))
            )
        }
    return render_template(
        "network.html", subnets=[_use(subnet, leases, now) for subnet in subnets], owners=owners,
        leases=sorted(leases, key=lambda lease: ipaddress.ip_address(lease.address)),
        over={lease.address for lease in leases if lease.expires_at <= now},
    )  # fmt: skip


def _use(subnet: Subnet, leases: Any, now: datetime) -> dict[str, Any]:
    """A subnet with how much of its pool is leased out."""
    first, last = ipaddress.ip_address(subnet.pool_start), ipaddress.ip_address(subnet.pool_end)
    size = int(last) - int(first) + 1
    used = sum(_is_held(lease, int(first), int(last), now) for lease in leases)
    return {"subnet": subnet, "size": size, "used": used, "share": 100 * used / size}


def _is_held(lease: Lease, first: int, last: int, now: datetime) -> bool:
    return lease.expires_at > now and first <= int(ipaddress.ip_address(lease.address)) <= last


def activity(site: Site) -> str:
    with site.database.read() as session:
        running = session.execute(
            select(Flow, Node.name, Node.uuid).join(Node).where(Flow.status == "active").order_by(Flow.id).limit(500)
        ).all()
        ended = session.execute(
            select(Flow, Node.name, Node.uuid).join(Node).where(Flow.status != "active")
            .order_by(Flow.finished_at.desc(), Flow.id.desc()).limit(ENDED_SHOWN)
        ).all()  # fmt: skip
        active = session.scalar(select(func.count()).select_from(Flow).where(Flow.status == "active")) or 0
        log = events.newest(session, limit=30, node=None)
        labels = events.labels(session, log)
    return render_template(
        "activity.html", running=[_line(*row) for row in running], ended=[_line(*row) for row in ended],
        active=active, log=log[::-1], labels=labels,
    )  # fmt: skip


def _line(work: Flow, name: str | None, uuid: str) -> dict[str, Any]:
    finished = work.finished_at
    return {
        "work": work,
        "label": name or uuid,
        "kind": words.WORK.get(work.kind, work.kind),
        "doing": listing.now_doing(work, None) if work.status == "active" else work.note or "",
        "took": words.took((finished - work.created_at).total_seconds()) if finished else "",
    }


def health(site: Site) -> str:
    with site.database.read() as session:
        checks = site.doctor(session)
    return render_template("health.html", checks=checks, problems=[check for check in checks if not check["ok"]])
