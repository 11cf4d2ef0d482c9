"""Builds the control process out of its parts, by hand: what depends on what can be read here from top to bottom."""

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from appliance.config import Config
from appliance.domain.boot import Discovery
from appliance.domain.clock import Clock
from appliance.domain.power import PowerPolicy
from appliance.flows.catalogue import FLOWS
from appliance.flows.engine import Engine
from appliance.flows.resources import FlowPolicy, Resources
from appliance.http.context import Context
from appliance.main.doctor import Doctor
from appliance.main.packing import checker, drive_fetcher, pack_image, timed_fetcher
from appliance.models.database import Database, JsonObject, Session
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services import (
    config_drive,
    deployment,
    identity,
    inspection_rules,
    nodes,
    rescue,
    retention,
    tls,
    vault,
)
from appliance.services.discovery import Policy
from appliance.services.image_claims import HOST_MOST
from appliance.services.image_sources import ImageSources
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault
from appliance.worker import power_sync, pretend
from appliance.worker.background import Background
from appliance.worker.imports import Imports
from appliance.worker.loop import Loop, Reconciler
from bmc.api import Bmc
from bmc.errors import BmcError
from bmc.registry import Connections
from bmc.sweep import sweep
from bmc.types import BmcTarget, PowerState
from images.fetch import Limits

log = logging.getLogger(__name__)

BACKGROUND_THREADS = 8
ENGINE_THREADS = 11
FETCHES_AT_ONCE, IMAGES_AT_ONCE = 4, HOST_MOST + 1
"""Config-drives and images fetched at the same time: four threads stay for other steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The parts of a control process; `context` is what the HTTP faces see of them."""

    config: Config
    database: Database
    context: Context
    engine: Engine
    loop: Loop
    background: Background
    imports: Imports
    connections: Connections
    images: ImageStore


def build(config: Config, clock: Clock) -> Control:
    """Everything wired, nothing started. Raises when the database or the master key cannot be used."""
    database = Database.at(config.database_url)
    keys = Vault.load(config.state)
    with database.read() as session:
        vault.check_canary(session, keys)
    connections = Connections()
    bmcs = Bmcs(connections, keys)
    limits = Limits(trusted=config.images.trusted_networks)
    store = ImageStore(
        config.places.images, database=database, vault=keys, pack=pack_image, fetch=timed_fetcher(limits),
        check=checker(limits), clock=clock, name=f"{socket.gethostname()}:{config.state}",
    )  # fmt: skip
    tokens = identity.Tokens(database, keys, clock, _login_policy(config), state=config.state)
    doctor = Doctor(config, clock, tokens.policy.passwords)
    background = Background(BACKGROUND_THREADS)
    imports = Imports()
    sources = ImageSources(database, keys, store, opened=timed_fetcher(limits), clock=clock)
    resources = _resources(config, store, bmcs, clock, database=database, sources=sources)
    engine = Engine(database, FLOWS, resources, clock=clock, threads=ENGINE_THREADS)
    context = Context(
        state=config.state, config=config, database=database, vault=keys, clock=clock, connect=bmcs.connect,
        background=background, imports=imports, discovery=_discovery(config), images=store, doctor=doctor.checks,
        ca_fingerprint=tls.ca_fingerprint(config.state), tokens=tokens,
    )  # fmt: skip
    sweeps = [
        *_reconcilers(config, tokens, bmcs, clock),
        Reconciler(name="images", every_s=5, run=store.settle, is_shared=False),
        Reconciler(name="image_sources", every_s=600, run=sources.sweep),
    ]
    loop = Loop(database, sweeps, owner=_process_name(), clock=clock)
    return Control(
        config=config, database=database, context=context, engine=engine, loop=loop,
        background=background, imports=imports, connections=connections, images=store,
    )  # fmt: skip


class Bmcs:
    """Kept connections by node; opens the sealed password only here."""

    def __init__(self, connections: Connections, keys: Vault) -> None:
        self._connections, self.keys = connections, keys

    def target(self, node: Node) -> BmcTarget:
        password = self.keys.open(node.bmc_secret, nodes.bmc_context(node)).decode() if node.bmc_secret else ""
        options = node.driver_options
        told = {PowerState.ON.value: "on", PowerState.OFF.value: "off"}.get(node.power_state or "")
        if node.driver == "fake" and told:  # it lives in this process's memory: after a restart it is as it was left
            options = {"power": told, **options}
        return BmcTarget(
            driver=node.driver, address=node.bmc_address or node.uuid, udp_port=node.bmc_udp_port,
            username=node.bmc_username or "", password=password, options=options,
        )  # fmt: skip

    def connect(self, node: Node) -> Bmc:
        return self._connections.connect(self.target(node))

    def sweep(
        self, targets: Iterable[BmcTarget], *, deadline_s: float, concurrency: int
    ) -> Iterator[tuple[BmcTarget, PowerState | BmcError]]:
        return sweep(self._connections, targets, deadline_s=deadline_s, concurrency=concurrency)


def _resources(
    config: Config, store: ImageStore, bmcs: Bmcs, clock: Clock, *, database: Database, sources: ImageSources
) -> Resources:
    keys, open_drive = bmcs.keys, drive_fetcher(config.images.trusted_networks)

    def write_params(session: Session, node: Node, _flow: Flow) -> tuple[JsonObject, bytes | None]:
        return deployment.write_params(session, keys, store, node, http_port=config.netboot.http_port, now=clock())

    def rescue_params(_session: Session, node: Node) -> bytes | None:
        return rescue.params(keys, node)

    def forget_rescue(_session: Session, node: Node) -> None:
        rescue.forget(keys, node)

    def fetch_drive(node: Node) -> None:
        config_drive.fetch(database, keys, node, open_drive)

    limits = config.lifecycle
    policy = FlowPolicy(
        agent_boot_s=limits.agent_boot_s, agent_silence_s=limits.agent_lost_s, hearing_since=clock(),
        power_s=limits.power_change_s,
        inspect_s=limits.inspect_s, erase_s=limits.clean_s, write_image_s=limits.write_image_s,
        fetch_image_s=limits.fetch_image_s,
        kexec_home_s=limits.kexec_home_s, fake_delays=config.fake.delays,
        automated_clean=limits.automated_clean, call_home_s=limits.call_home_s, hoped_home_s=limits.hoped_home_s,
        add_ports=config.inspection.add_ports, keep_ports=config.inspection.keep_ports,
        at_once={"bmc": config.bmc.concurrency, "image_write": limits.image_writes_at_once, "fetch": FETCHES_AT_ONCE,
                 "image_fetch": IMAGES_AT_ONCE},
    )  # fmt: skip
    return Resources(
        connect=bmcs.connect, make_write_params=write_params, make_rescue_params=rescue_params,
        forget_rescue=forget_rescue, fetch_config_drive=fetch_drive, image_sources=sources, policy=policy,
        inspection_rules=lambda session: inspection_rules.in_order(session, keys),
    )  # fmt: skip


def _discovery(config: Config) -> Policy:
    return Policy(discovery=Discovery(config.netboot.discovery), in_band_bmc=config.bmc.in_band_setup)


def _login_policy(config: Config) -> identity.Policy:
    asked = config.identity
    return identity.Policy(
        token_lifetime=timedelta(seconds=asked.token_lifetime_s), lockout_failures=asked.lockout_failures,
        session_lifetime=timedelta(seconds=asked.session_lifetime_s), lockout=timedelta(seconds=asked.lockout_s),
        passwords=identity.Rules(
            pattern=asked.password_regex, description=asked.password_regex_description,
            history=asked.password_history,
            expires=timedelta(seconds=asked.password_expires_s) if asked.password_expires_s else None,
        ),
    )  # fmt: skip


def _reconcilers(config: Config, tokens: identity.Tokens, bmcs: Bmcs, clock: Clock) -> list[Reconciler]:
    database = tokens.database

    def ask(targets: Iterable[BmcTarget]) -> Iterator[tuple[BmcTarget, PowerState | BmcError]]:
        return bmcs.sweep(targets, deadline_s=config.bmc.deadline_s, concurrency=config.bmc.concurrency)

    def sync_power() -> int:
        return power_sync.sweep(database, ask, bmcs.target, PowerPolicy(), clock)

    def sweep_tokens() -> int:
        with database.write() as session:
            return identity.sweep_revocations(session, clock())

    def rotate_keys() -> int:
        with database.write() as session:
            return int(tokens.rotate_when_old(session, timedelta(seconds=config.identity.key_rotation_s)))

    def sweep_old() -> int:
        return retention.sweep(database, retention.Policy(), now=clock())

    return [
        Reconciler(name="power", every_s=config.bmc.sweep_interval_s, run=sync_power),
        Reconciler(name="pretend", every_s=0.25, run=lambda: pretend.sweep(database, now=clock()), is_shared=False),
        Reconciler(name="tokens", every_s=3600, run=sweep_tokens),
        Reconciler(name="token_keys", every_s=3600, run=rotate_keys),
        Reconciler(name="retention", every_s=600, run=sweep_old),
    ]


def _process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
