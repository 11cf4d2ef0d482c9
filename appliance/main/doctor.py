"""Is the appliance healthy? Each check says what is wrong for people, and what to do about it."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from appliance.config import Config
from appliance.domain.clock import Clock
from appliance.models.flow import IS_ACTIVE, Flow, Worker
from appliance.models.image import Image
from appliance.models.node import Node
from appliance.services import bootfiles, clouds, identity, network
from appliance.services.identity import proving

LOW_DISK_BYTES = 2 << 30
SOON = timedelta(days=14)
"""Before the end of a password this is said."""


class Doctor:
    def __init__(self, config: Config, clock: Clock, rules: identity.Rules) -> None:
        self._config, self._clock, self._rules = config, clock, rules

    def checks(self, session: Session) -> list[dict[str, object]]:
        """All checks, each {name, ok, detail, next}; `next` is empty when all is well."""
        parts: tuple[Callable[[Session], Iterator[dict[str, object]]], ...] = (
            self._database, self._disk, self._processes, self._netboot, self._boot_files, self._subnets, self._worker,
            self._images, self._nodes, self._clouds,
        )  # fmt: skip
        return [check for part in parts for check in part(session)]

    def _database(self, session: Session) -> Iterator[dict[str, object]]:
        session.execute(text("SELECT 1"))
        yield _check("database", ok=True, detail=session.get_bind().dialect.name)

    def _disk(self, _session: Session) -> Iterator[dict[str, object]]:
        free = shutil.disk_usage(self._config.state).free
        detail = f"{free / 2**30:.1f} GiB free in {self._config.state}"
        yield _check("disk", ok=free > LOW_DISK_BYTES, detail=detail, nxt="delete images or enlarge the disk")

    def _processes(self, _session: Session) -> Iterator[dict[str, object]]:
        """What the supervisor saw; nothing when no supervisor runs us."""
        children = _read(self._config.places.run / "status.json").get("children") or {}
        loops = [f"{name}: {one.get('last_end')}" for name, one in children.items() if one.get("is_crash_looping")]
        restarts = [f"{name} restarted {one.get('restarts', 0)} times" for name, one in children.items()]
        if children:
            yield _check(
                "processes",
                ok=not loops,
                detail="; ".join(loops or restarts),
                nxt=f"look into {self._config.places.log}",
            )

    def _netboot(self, _session: Session) -> Iterator[dict[str, object]]:
        """What netboot says of itself, when it is one of the processes."""
        if "netboot" not in (_read(self._config.places.run / "status.json").get("children") or {}):
            return
        health = _read(self._config.places.run / "netboot.json")
        faults = [str(fault) for fault in health.get("faults") or []]
        ok = bool(health) and not faults
        detail = "; ".join(faults) or ("it listens wherever it should" if health else "it does not run")
        log = self._config.places.log / "netboot.log"
        nxt = f"give the interface that address (`ip -brief address`), or correct the subnet; details are in {log}"
        yield _check("netboot", ok=ok, detail=detail, nxt=nxt if "interface" in detail else f"look into {log}")

    def _boot_files(self, _session: Session) -> Iterator[dict[str, object]]:
        missing = bootfiles.missing(self._config.state)
        detail = f"missing: {', '.join(missing)}" if missing else "kernel, ramdisk and iPXE are in place"
        yield _check(
            "boot files", ok=not missing, detail=detail, nxt=f"rackwright boot-files build --state {self._config.state}"
        )

    def _subnets(self, session: Session) -> Iterator[dict[str, object]]:
        found = network.subnets(session)
        detail = ", ".join(f"{row.name} {row.cidr} on {row.interface}" for row in found) or "none: DHCP answers nobody"
        yield _check(
            "subnets",
            ok=bool(found),
            detail=detail,
            nxt="rackwright subnet create NAME --cidr … --pool A-B --interface IF",
        )

    def _worker(self, session: Session) -> Iterator[dict[str, object]]:
        alive = session.scalar(select(func.count()).select_from(Worker).where(Worker.expires_at > self._clock())) or 0
        active = session.scalar(select(func.count()).select_from(Flow).where(IS_ACTIVE)) or 0
        yield _check(
            "worker",
            ok=alive > 0,
            detail=f"{alive} alive, {active} flows active",
            nxt=f"look into {self._config.places.log / 'control.log'}",
        )

    def _images(self, session: Session) -> Iterator[dict[str, object]]:
        usable = select(Image).where(Image.status == "active", Image.not_deployable.is_(None)).order_by(Image.id)
        found = list(session.scalars(usable.limit(20)))
        detail = ", ".join(row.label for row in found) or "none"
        yield _check("images", ok=bool(found), detail=detail, nxt="rackwright image build debian-12")

    def _nodes(self, session: Session) -> Iterator[dict[str, object]]:
        faults = list(session.scalars(select(Node).where(Node.fault.is_not(None)).limit(20)))
        detail = "; ".join(f"{node.label}: {node.fault}" for node in faults) or "no node has a fault"
        yield _check("nodes", ok=not faults, detail=detail, nxt="rackwright node why NAME")

    def _clouds(self, session: Session) -> Iterator[dict[str, object]]:
        """Whether OpenStack clients still get in with what clouds.yaml holds; nothing without such a file."""
        now, found = self._clock(), sorted(clouds.logins(self._config.state), key=lambda login: login.name)
        ends = [(login.name, proving.good_until(session, login.name, login.password, self._rules)) for login in found]
        refused = [name for name, end in ends if end is not None and end <= now]
        soon = [f"{name} on {end:%Y-%m-%d}" for name, end in ends if end is not None and now < end < now + SOON]
        detail = "; ".join(
            [f"the password of {name} does not log in any more" for name in refused]
            + [f"the password of {one} expires" for one in soon]
        )
        file = self._config.places.clouds
        nxt = f"put the new password into {file}" if refused else "change it: rackwright login --new-password-file FILE"
        if found:
            yield _check("clouds.yaml", ok=not detail, detail=detail or f"{file} logs in", nxt=nxt)


def _read(path: Path) -> dict[str, Any]:
    """An object that another process left; empty when it did not, or is just writing it."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _check(name: str, *, ok: bool, detail: str, nxt: str = "") -> dict[str, object]:
    return {"name": name, "ok": ok, "detail": detail, "next": "" if ok else nxt}
