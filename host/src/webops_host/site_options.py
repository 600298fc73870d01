"""How a site behaves towards its visitors, beyond which release it shows: frozen values of checked texts."""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass, field

from webops_host.errors import BadValue
from webops_host.names import Domain, Name

MOST_BODY_MIB = 10_240
MOST_NETWORKS = MOST_USERS = 200


class Network(Name):
    """Addresses that may visit a site: one, or a network, in its canonical form."""

    __slots__ = ()
    pattern = re.compile(r"[0-9a-f:.]{2,43}(/\d{1,3})?", re.ASCII)
    rule = "Use an address or a network such as “203.0.113.7”, “203.0.113.0/24” or “2001:db8::/32”."

    @classmethod
    def check(cls, text: str) -> None:
        try:
            found = ipaddress.ip_network(text)
        except ValueError:
            raise BadValue(f"{text!r:.80} is not a network.", hint=cls.rule) from None
        plain = str(found.network_address) if "/" not in text else str(found)
        if plain != text:
            raise BadValue(f"{text!r:.80} is not written plainly.", hint=f"Write “{plain}”.")


class Visitor(Name):
    """The name that a visitor types at a password wall. A colon would end it (RFC 7617)."""

    __slots__ = ()
    pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
    rule = "Use up to 64 letters, digits and . _ @ + -, beginning with a letter or a digit."


class PasswordHash(Name):
    """A password as crypt(5) keeps it: SHA-512, SHA-256, bcrypt or yescrypt. Never the password."""

    __slots__ = ()
    pattern = re.compile(
        r"\$[56]\$(rounds=\d{4,6}\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{43,86}"
        r"|\$2[aby]\$(0[4-9]|1[0-2])\$[./0-9A-Za-z]{53}"
        r"|\$y\$[./0-9A-Za-z]{1,8}\$[./0-9A-Za-z]{1,86}\$[./0-9A-Za-z]{43}"
    )
    rule = "Give a hash as crypt makes it, for example with “openssl passwd -6”."


@dataclass(frozen=True, slots=True)
class WallEntry:
    """Somebody who may pass the password wall."""

    visitor: Visitor
    password: PasswordHash = field(repr=False)


class WwwRule(enum.StrEnum):
    """What becomes of a domain and the same with `www.` before it, when the deployment has both."""

    AS_IS = "as_is"
    TO_BARE = "to_bare"
    TO_WWW = "to_www"


class Cdn(enum.StrEnum):
    """Whose servers may tell the visitor's address."""

    NONE = "none"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """Behaviour that a person chooses. Every default is what a site does that nobody thought about.

    `canonical` is the one of the site's domains that the others are redirected to; the platform's own name for the
    site goes on answering. `allow` lets in only these networks, `wall` only who knows a password. `maintenance` answers
    everybody with a page that says so, and leaves the units running.
    """

    maintenance: bool = False
    canonical: Domain | None = None
    www: WwwRule = WwwRule.AS_IS
    allow: tuple[Network, ...] = ()
    wall: tuple[WallEntry, ...] = ()
    body_limit_mib: int = 100
    cdn: Cdn = Cdn.NONE
    hsts: bool = True

    def __post_init__(self) -> None:
        if type(self.body_limit_mib) is not int or not 1 <= self.body_limit_mib <= MOST_BODY_MIB:
            raise BadValue(
                f"{self.body_limit_mib!r} is not a limit for uploads.",
                hint=f"Use whole MiB from 1 to {MOST_BODY_MIB}.",
            )
        visitors = [entry.visitor for entry in self.wall]
        if len(set(visitors)) != len(visitors) or len(visitors) > MOST_USERS or len(self.allow) > MOST_NETWORKS:
            raise BadValue(
                "The list of visitors or networks is too long, or names somebody twice.",
                hint=f"At most {MOST_USERS} visitors, each once, and {MOST_NETWORKS} networks.",
            )
