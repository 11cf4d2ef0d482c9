"""/agent/v1: the face that agents speak to (agent.wire). Its own listener and app: no operator route lives here."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson
from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from agent import wire
from appliance.domain.errors import Unauthenticated, Unavailable
from appliance.http.auth import bearer
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, read_object, reply
from appliance.models import agent_command
from appliance.models.database import Database, announce
from appliance.services import agents, events

log = logging.getLogger(__name__)

GATHER_S = 0.5
SPARE_THREADS = 64
"""Threads of the door that no long poll may hold: for look-ups, reports and results."""


def install(app: Flask, context: Context) -> None:
    polls = threading.BoundedSemaphore(polls_at_once(context.config.agent.threads))
    beats = Beats(context.database)
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("POST", "/agent/v1/lookup", "lookup", lambda: _lookup(context)),
        ("POST", "/agent/v1/inventory", "inventory", lambda: _inventory(context)),
        ("POST", "/agent/v1/heartbeat", "heartbeat", lambda: _heartbeat(context, beats)),
        ("GET", "/agent/v1/command", "command", lambda: _command(context, polls)),
        ("POST", "/agent/v1/command/<uuid>", "update", lambda uuid: _update(context, uuid)),
        ("POST", "/agent/v1/log", "log", lambda: _log(context)),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def polls_at_once(threads: int) -> int:
    """How many agents may wait for a command; the rest are sent away and come again after a pause."""
    return max(1, threads - SPARE_THREADS, threads // 2)


def _known(context: Context) -> str:
    """The session token, once somebody holds it: a stranger costs neither a body in memory nor a write."""
    token = bearer()
    with context.database.read() as session:
        agents.authenticate(session, token)
    return token


def _peer() -> str:
    return (request.remote_addr or "").removeprefix("::ffff:")


@contextlib.contextmanager
def _keeping_alarms(context: Context) -> Iterator[Session]:
    """A transaction that is committed even when the caller is refused, so that the alarm it recorded survives."""
    refusal: Unauthenticated | None = None
    with context.database.write() as session:
        try:
            yield session
        except Unauthenticated as error:
            refusal = error
        announce(session, events.TOPIC)
    if refusal is not None:
        raise refusal


def _lookup(context: Context) -> Response:
    body = read_object(65536)
    with context.database.read() as session:
        agents.holder_of(session, body.get("boot_secret"))  # a guess costs no write
    answer: wire.LookupReply | None = None
    with _keeping_alarms(context) as session:
        answer = agents.lookup(session, body, address=_peer(), now=context.clock())
    return reply(answer)


def _inventory(context: Context) -> Response:
    token = _known(context)
    body = read_object(wire.MAX_BODY_BYTES)
    with context.database.write() as session:
        speaker = agents.authenticate_to_write(session, token)
        agents.report(session, context.vault, speaker, body, policy=context.discovery, now=context.clock())
        announce(session, events.TOPIC)
    return reply({})


def _heartbeat(context: Context, beats: "Beats") -> Response:
    now, token = context.clock(), _known(context)
    read_object(65536)
    with context.database.read() as session:
        pulse = agents.pulse(session, token, now=now)
        sighting = agents.authenticate(session, token).sighting if pulse is None else None
        is_due = sighting is not None and agents.is_old(sighting.last_seen_at, now)
    if pulse is None:
        if is_due:
            with context.database.write() as session:
                agents.sighting_seen(session, token, now=now)
        return reply({"commands": 0})
    if pulse.is_due:
        beats.note(pulse.node_id, now)
    return reply({"commands": int(pulse.has_command)})


class Beats:
    """Collects who was seen for GATHER_S, then writes all in one transaction: a crash loses half a second of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._seen: dict[int, datetime] = {}

    def note(self, node_id: int, at: datetime) -> None:
        with self._lock:
            is_first = not self._seen
            self._seen[node_id] = at
        if is_first:
            timer = threading.Timer(GATHER_S, self.write)
            timer.daemon = True
            timer.start()

    def write(self) -> None:
        with self._lock:
            seen, self._seen = self._seen, {}
        try:
            with self._database.write() as session:
                agents.seen(session, seen)
        except SQLAlchemyError:
            log.exception("heartbeats were not noted count=%d", len(seen))


def _command(context: Context, polls: threading.BoundedSemaphore) -> Response:
    wait_s = number("wait", default=0, lowest=0, highest=wire.POLL_WAIT_S)
    token = bearer()
    if not polls.acquire(blocking=False):
        _known(context)
        raise Unavailable("too many machines wait for work at once")
    try:
        return _next(context, token, wait_s)
    finally:
        polls.release()


def _next(context: Context, token: str, wait_s: int) -> Response:
    end = time.monotonic() + wait_s
    while True:
        with context.database.read() as session:
            speaker = agents.authenticate(session, token)
            topic = agent_command.topic(speaker.node.id) if speaker.node else "sighted"
            seen = context.database.bells.count(topic)
            found = speaker.node is not None and agents.pending(session, speaker.node) is not None
        if found:
            return _deliver(context, token)
        left = end - time.monotonic()
        if left <= 0:
            return nothing()
        context.database.bells.wait(topic, seen=seen, timeout_s=min(left, 2.0))


def _deliver(context: Context, token: str) -> Response:
    with context.database.write() as session:
        node = agents.authenticate_to_write(session, token).node
        row = agents.pending(session, node) if node is not None else None
        if node is None or row is None:
            return nothing()
        command = agents.deliver(session, context.vault, node, row, now=context.clock())
    return Response(orjson.dumps(command), mimetype="application/json")


def _update(context: Context, uuid: str) -> Response:
    token = _known(context)
    body = read_object(wire.MAX_BODY_BYTES)
    with context.database.write() as session:
        node = agents.authenticate_to_write(session, token).node
        if node is None:
            raise Unavailable("this machine is not enrolled yet")
        cancelled = agents.update(session, context.vault, node, uuid, body, now=context.clock())
        announce(session, events.TOPIC)
    return reply({"cancelled": cancelled})


def _log(context: Context) -> Response:
    token = _known(context)
    body = read_object(wire.MAX_BODY_BYTES)
    with context.database.write() as session:
        speaker = agents.authenticate(session, token)
        agents.log_lines(session, speaker, body.get("lines"), now=context.clock())
    return nothing()
