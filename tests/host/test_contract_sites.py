"""What every host promises about sites."""

from __future__ import annotations

import pytest
from tests.support.machine import BLOG, web

from webops_host.errors import NotFound
from webops_host.names import DeploymentName
from webops_host.values import Site

STATIC = Site(BLOG, 1)


@pytest.fixture(autouse=True)
def _published_files(machine):
    machine.host.accounts.ensure(BLOG)
    for release in (1, 2):
        machine.lay_public(BLOG, release, {"index.html": f"release {release}"})


def test_nothing_is_served_before_it_is_published(machine):
    assert machine.host.sites.address(BLOG) is None


def test_a_published_site_has_an_address_and_a_release(machine):
    address = machine.host.sites.publish(STATIC)
    assert address.release == 1
    assert machine.host.sites.address(BLOG) == address


def test_publishing_again_changes_nothing(machine):
    assert machine.host.sites.publish(STATIC) == machine.host.sites.publish(STATIC)


def test_the_next_release_has_the_same_url(machine):
    first = machine.host.sites.publish(STATIC)
    second = machine.host.sites.publish(Site(BLOG, 2))
    assert (first.url, second.release) == (second.url, 2)


def test_a_reserved_url_is_the_one_it_will_have(machine):
    url = machine.host.sites.reserve(BLOG)
    assert machine.host.sites.reserve(BLOG) == url
    assert machine.host.sites.address(BLOG) is None
    assert machine.host.sites.publish(STATIC).url == url


def test_two_deployments_have_two_urls(machine):
    assert machine.host.sites.reserve(BLOG) != machine.host.sites.reserve(DeploymentName("shop"))


def test_an_unpublished_site_keeps_its_url(machine):
    url = machine.host.sites.publish(STATIC).url
    machine.host.sites.unpublish(BLOG)
    machine.host.sites.unpublish(BLOG)
    assert machine.host.sites.address(BLOG) is None
    assert machine.host.sites.reserve(BLOG) == url


def test_a_site_needs_its_unit(machine):
    with pytest.raises(NotFound):
        machine.host.sites.publish(Site(BLOG, 1, unit=web().ref))


def test_an_idle_unit_is_drained(machine):
    assert machine.host.sites.drain(web().ref, 1.0) is True
