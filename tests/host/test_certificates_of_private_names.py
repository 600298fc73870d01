"""Certificates of a platform whose names exist in a private network only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.host.test_linux_certificates import Case
from tests.host.test_linux_sites import BLOG, app
from tests.support.machine import QUIET
from tests.support.nginx import PLATFORM

from webops_host.linux.certificates import LinuxCertificates
from webops_host.linux.nginx_parts import Flavour
from webops_host.linux.platform import LETS_ENCRYPT
from webops_host.linux.sites import LinuxSites
from webops_host.names import Domain, HostName

OWN = "blog.apps.internal"


@pytest.mark.parametrize(
    ("authority", "asked"),
    [(LETS_ENCRYPT, ("blog.example",)), ("https://ca.apps.internal/dir", (OWN, "blog.example"))],
)
def test_a_public_authority_is_not_asked_about_private_names(authority, asked, tmp_path):
    case = Case(tmp_path)
    platform = replace(PLATFORM, domain=HostName("apps.internal"), acme_server=authority)
    sites = LinuxSites(case.layout, platform, case.server.units, nginx=case.server.nginx, flavour=Flavour())
    certificates = LinuxCertificates(
        case.layout, platform, sites, authority=case.authority, ask=case.answer, clock=lambda: case.now
    )
    sites.publish(app())
    certificates.issue(BLOG, QUIET)
    sites.publish(app(domains=(Domain("blog.example"),)))
    certificates.issue(BLOG, QUIET)
    certificates.issue(BLOG, QUIET)
    assert case.authority.asked[-1] == ("blog", asked)
    assert {host for _, hosts in case.authority.asked for host in hosts} == set(asked)
