"""Late callers are kept out of a host in this very process, too."""

from __future__ import annotations

import pytest

from webops_host.errors import Stale
from webops_host.fake import FakeHost
from webops_host.fences import FencedHost, Fences
from webops_host.names import DeploymentName
from webops_host.operations import deployment_of

BLOG, SHOP = DeploymentName("blog"), DeploymentName("shop")


def test_priv_05_a_change_passes_its_fence_and_a_look_does_not_need_to() -> None:
    fences, fake = Fences(), FakeHost()
    new, old = FencedHost(fake, BLOG, 5, fences), FencedHost(fake, BLOG, 4, fences)
    new.accounts.ensure(BLOG)
    with pytest.raises(Stale):
        old.accounts.ensure(BLOG)
    assert old.accounts.releases(BLOG) == ()
    old.accounts.ensure(SHOP)  # the fence is for the blog alone
    assert old.fenced(BLOG, 6).describe()["kind"] == "fake"


def test_after_it_was_removed_a_deployment_counts_anew(tmp_path) -> None:
    fences = Fences(tmp_path / "fences.json")
    host = FencedHost(FakeHost(), BLOG, 5, fences)
    host.accounts.remove(BLOG)
    fences.forget(BLOG)
    FencedHost(FakeHost(), BLOG, 1, Fences(tmp_path / "fences.json")).accounts.ensure(BLOG)
    assert (tmp_path / "fences.json").read_text() == '{"blog": 1}'


def test_what_is_no_operation_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no operation chmod"):
        FencedHost(FakeHost(), BLOG, 1, Fences()).accounts.chmod  # noqa: B018


def test_the_deployment_of_a_call_is_found_wherever_it_stands() -> None:
    assert deployment_of({"timeout": 1.0, "name": BLOG}) == BLOG
    assert deployment_of({"timeout": 1.0}) is None
