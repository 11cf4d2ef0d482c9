"""Hears the NOTIFY of other processes on PostgreSQL. A hint only: where it stays silent (a pooler), the poll does."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from appliance.models.flow import CHANNEL

log = logging.getLogger(__name__)

WAKE_S = 60.0
RETRY_S = 5.0


class Listener:
    def __init__(self, engine: Engine, ring: Callable[[], None]) -> None:
        self._engine = engine
        self._ring = ring
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="flow-listen", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}")  # wakes our own thread, which then sees that it is over
        self._thread.join(5.0)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (SQLAlchemyError, psycopg.Error, OSError) as problem:
                log.info("no notifications: %s; next try in %.0f s", problem, RETRY_S)
                self._stopping.wait(RETRY_S)

    def _listen(self) -> None:
        pooled = self._engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # it never goes back to the pool: its session listens
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            while not self._stopping.is_set():
                for _ in driver.notifies(timeout=WAKE_S, stop_after=1):
                    self._ring()
        finally:
            driver.close()
