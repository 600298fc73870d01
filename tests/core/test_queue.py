"""The doorbell: what is put into Redis, and that nothing is lost and nobody let in when Redis is away."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from tests.conftest import PASSWORD
from tests.support import redis
from tests.support.inline import Inline
from tests.support.pages import browser

from apps.core import broker, queue
from apps.core.access import Actor
from apps.core.bells import FlagBell, SocketBell
from apps.core.broker import Broker, BrokerDown
from apps.deployments import actions
from apps.deployments.models import State
from apps.deployments.worker import Worker

NOWHERE = "unix:///nowhere/redis.sock?db=0"


def over(settings, url: str) -> None:
    settings.ENV = replace(settings.ENV, redis_url=url)


@pytest.fixture
def short(tmp_path_factory):
    return tmp_path_factory.mktemp("r")


# --- where it is ---


@pytest.mark.parametrize(
    ("url", "found", "told"),
    [
        ("unix:///run/r.sock", Broker(path="/run/r.sock"), "unix:///run/r.sock?db=0"),
        (
            "unix://:p%40ss@/run/r.sock?db=3",
            Broker(path="/run/r.sock", db=3, password="p@ss"),
            "unix:///run/r.sock?db=3",
        ),
        (
            "redis://:secret@redis.example.org:6380/2",
            Broker(name="redis.example.org", port=6380, db=2, password="secret"),
            "redis://redis.example.org:6380/2",
        ),
        ("redis://localhost", Broker(name="localhost"), "redis://localhost:6379/0"),
    ],
)
def test_an_address_is_read_once_and_told_without_its_password(url, found, told):
    assert broker.parse(url) == found
    assert str(found) == told
    assert "secret" not in repr(found)


@pytest.mark.parametrize("url", ["unix:", "redis://", "rediss://host", "http://host", "unix:///x?db=a", "redis://h/x"])
def test_an_address_that_is_none_is_refused_by_name(url):
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL"):
        broker.parse(url)


# --- what is said ---


@pytest.mark.parametrize("password", ["", "p@ss word"])
def test_a_message_arrives_whole_in_the_queue_of_its_host(password, short, settings):
    with redis.running(short, password=password) as server:
        over(settings, server.url)
        queue.ring_now("local", 7)
        queue.ring_now("second", 8)
        with pytest.raises(BrokerDown, match=r"WRONGPASS|AUTH"):
            replace(server.broker, password="wrong").ping()
        if not password:
            assert (server.waiting("webops.local"), server.waiting("webops.second")) == (1, 1)
            stored = server.ask("LRANGE", "webops.second", "0", "-1").split("\r\n")[2]
            whole = json.loads(stored)
            assert json.loads(base64.b64decode(whole["body"])) == [[8], {}, {}]
            assert whole["headers"]["task"] == "deployments.ring"
            assert whole["properties"]["delivery_info"]["routing_key"] == "webops.second"


def test_doorbells_that_nobody_hears_do_not_fill_the_memory(short, settings):
    with redis.running(short) as server:
        over(settings, server.url)
        for number in range(broker.KEPT + 50):
            server.broker.push("webops.local", b"%d" % number)
        assert server.waiting("webops.local") == broker.KEPT


def test_a_redis_that_hangs_costs_half_a_second_and_not_the_request(short, settings, caplog):
    path = short / "silent.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        over(settings, f"unix://{path}")
        with caplog.at_level(logging.WARNING):
            queue.ring_now("local", 1)
        assert queue.is_down()
    assert "the doorbell can not be rung" in caplog.text


@pytest.mark.parametrize("answer", [b"", b"-OOM command not allowed\r\n"], ids=["hangs up", "refuses"])
def test_a_redis_that_refuses_is_down(answer, short):
    path = short / "rude.sock"

    def answering() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=answering)
        thread.start()
        with pytest.raises(BrokerDown):
            Broker(path=str(path)).push("webops.local", b"x")
        thread.join()


# --- Redis is away ---


def test_rel_05_a_deploy_is_accepted_without_redis_and_the_workers_look_finds_it(
    settings, blog, host, owner, django_capture_on_commit_callbacks
):
    over(settings, NOWHERE)
    with django_capture_on_commit_callbacks(execute=True):
        release = actions.releases.deploy(Actor(owner), blog)
    Worker(connect=lambda row: host, executor=Inline()).work_once()
    release.refresh_from_db()
    assert release.state == State.LIVE


def test_rel_05_pages_say_that_the_queue_is_down(settings, owner, blog, short):
    queue.beat("a worker")
    assert b"The queue is down" not in browser(owner).get("/deployments/").content
    over(settings, NOWHERE)
    assert b"The queue is down" in browser(owner).get("/deployments/").content
    with redis.running(short) as server:
        over(settings, server.url)
        assert b"The queue is down" not in browser(owner).get("/deployments/").content


@pytest.mark.parametrize("way", ["page", "api"])
def test_auth_05_sign_ins_are_limited_without_redis(way, settings, mate):
    over(settings, NOWHERE)

    def sign_in(password: str) -> int:
        if way == "page":
            answer = Client().post("/account/login/", {"login": "mika", "password": password})
            return 429 if b"Too many failed" in answer.content else answer.status_code
        body = {"username": "mika", "password": password}
        return Client().post("/api/v1/session", body, content_type="application/json").status_code

    assert 429 not in [sign_in("wrong") for _ in range(10)]
    assert sign_in(PASSWORD) == 429


# --- bells ---


@pytest.mark.parametrize("kind", ["socket", "flag"])
def test_a_ring_before_the_wait_is_heard(kind, short):
    bell = SocketBell(short / "worker.sock") if kind == "socket" else FlagBell()
    with bell:
        bell.ring()
        bell.wait(60)
        bell.wait(0.01)  # nothing rang since: it ends by itself


def test_ringing_where_nobody_is_does_nothing(short):
    SocketBell(short / "nobody.sock").ring()


def test_each_host_has_a_worker_of_its_own(settings, db):
    queue.beat("one")
    assert queue.worker_seen() is not None
    assert queue.worker_seen("second") is None
