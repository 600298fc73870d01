"""Celery, which carries doorbells through Redis to the worker of each host. The rows are the truth; see `core/queue`.

Only the worker loads this: the panel puts its messages into Redis by itself.
"""

from __future__ import annotations

from celery import Celery
from django.conf import settings

from apps.core import broker, queue

app = Celery("webops", fixups=[], set_as_current=False)  # no fixup: the engine looks after its own connections
app.conf.update(
    broker_url="redis",  # only a name: where it is, its transport has from the option
    broker_transport="apps.core.carrier:Transport",
    broker_transport_options={"broker": broker.parse(settings.ENV.redis_url)} if settings.ENV.redis_url else {},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue=queue.name_of(settings.ENV.host),
    worker_prefetch_multiplier=1,
    worker_pool="solo",  # a doorbell is heard in no time; the work itself has threads of its own
    worker_concurrency=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)
