"""What Celery hears Redis through, in the few words of `core/broker`.

A message counts as heard when it is taken: a worker that dies with it loses a doorbell, and the row is still there.
"""

from __future__ import annotations

import json
from queue import Empty
from typing import Any

from kombu.transport import virtual

from apps.core.broker import Broker, BrokerDown, Ear

HELD_SECONDS = 10  # how long Redis holds a question that nothing answers
PAUSE_SECONDS = 0.01  # between two questions


class Channel(virtual.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel over a connection of its own, made when it is first used."""

    do_restore = False

    def __init__(self, connection: Transport, **words: Any) -> None:
        super().__init__(connection, **words)
        self._ear: Ear | None = None

    @property
    def ear(self) -> Ear:
        if self._ear is None:
            self._ear = self.connection.broker.ear()
        return self._ear

    def close(self) -> None:
        super().close()
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        message = self.ear.take(queue, HELD_SECONDS)
        if message is None:
            raise Empty
        return json.loads(message)

    def _put(self, queue: str, message: Any, **words: Any) -> None:
        self.connection.broker.push(queue, json.dumps(message).encode())

    def _size(self, queue: str) -> int:
        return self.ear.waiting(queue)

    def _purge(self, queue: str) -> int:
        size = self._size(queue)
        self.ear.forget(queue)
        return size


class Transport(virtual.Transport):  # type: ignore[misc]  # kombu has no types
    """Celery's way to the Redis that stands in its transport options as `broker`."""

    Channel = Channel
    polling_interval = PAUSE_SECONDS
    driver_type = driver_name = "redis"
    connection_errors = (BrokerDown, OSError)
    channel_errors = ()
    can_parse_url = True  # there is none to parse

    @property
    def broker(self) -> Broker:
        found: Broker = self.client.transport_options["broker"]
        return found

    def establish_connection(self) -> Any:
        """Raises BrokerDown when Redis can not be reached now."""
        self.broker.ping()
        return super().establish_connection()

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """Where it is, for the log."""
        return str(self.broker)
