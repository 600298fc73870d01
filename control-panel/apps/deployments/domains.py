"""Domains: what may be one, who owns it, which records its owner has to set, and what was found of them.

A name is turned into its ASCII form once (IDNA 2008), where it comes in; everything after that sees only that form.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import idna
from django.conf import settings

from apps.core.clock import now
from apps.core.dns import Kind, Look, Unanswered, addresses
from apps.core.errors import Conflict, Invalid
from apps.core.models import Team
from apps.deployments import sites
from apps.deployments.models import Deployment, DomainName
from webops_host.certificate_values import NameCheck
from webops_host.errors import BadValue, HostError
from webops_host.names import Domain
from webops_host.ports import Host
from webops_host.site_options import Cdn

CHALLENGE = "_webops-challenge"
MOST = 50


class Taken(Conflict):
    code = "domain_taken"


class NotProven(Conflict):
    code = "domain_not_proven"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is to be found, as it says itself. Empty on a computer without a public address."""

    domain: str = ""
    panel: str = ""
    address4: tuple[str, ...] = ()
    address6: tuple[str, ...] = ()

    @property
    def is_public(self) -> bool:
        return bool(self.address4 or self.address6)


def place(host: Host) -> Place:
    """Asked of the host; one that does not answer, or does not say, has no public place."""
    try:
        facts: Mapping[str, str] = host.describe()
    except HostError:
        facts = {}
    return Place(
        domain=facts.get("domain", ""),
        panel=facts.get("panel", "") or settings.ENV.panel_host,
        address4=addresses(facts.get("address4", "").split(",")),
        address6=addresses(facts.get("address6", "").split(",")),
    )


def encode(text: str) -> Domain:
    """The ASCII form of what a person typed. Raises Invalid on the field `name`."""
    plain = text.strip().rstrip(".").lower()
    try:
        ascii_form = plain if plain.isascii() else idna.encode(plain, uts46=True).decode()
        for label in ascii_form.split("."):
            if label.startswith("xn--"):
                idna.decode(label)  # an ASCII form that stands for nothing is refused too
        return Domain(ascii_form)
    except BadValue as error:
        raise Invalid.of("name", error) from None
    except (idna.IDNAError, UnicodeError):
        raise Invalid(
            f"{text!r:.80} is not a domain.",
            hint="Use a domain such as “www.example.com”.",
            fields={"name": ["That is not a domain. Use one such as “www.example.com”."]},
        ) from None


def shown(name: str) -> str:
    """As people write it."""
    try:
        return str(idna.decode(name))
    except (idna.IDNAError, UnicodeError):
        return name


def refuse_platform_names(name: Domain, where: Place) -> None:
    """Raise Invalid for names that are the platform's own."""
    for own, what in ((where.panel, "the panel's own name"), (where.domain, "the platform's own domain")):
        if own and (name == own or name.endswith(f".{own}")):
            raise Invalid(
                f"{name} is {what}, or below it.",
                hint="Every deployment has a name there already. Add a domain of your own.",
                fields={"name": [f"This is {what}, or below it."]},
            )


def refuse_taken(name: Domain, deployment: Deployment) -> None:
    """Raise Taken for what another deployment has, and for what is above or below another team's domain: whoever has
    the one could otherwise take cookies and trust of the other."""
    proven = DomainName.objects.filter(proven_at__isnull=False).exclude(deployment=deployment)
    same = proven.filter(name=name).select_related("deployment").first()
    if same is not None:
        ours = same.deployment.team_id == deployment.team_id
        who = f"the deployment {same.deployment.name}" if ours else "another deployment"
        raise Taken(f"{name} leads to {who}.", hint="Remove it there first.")
    parts = name.split(".")
    parents = [".".join(parts[count:]) for count in range(1, len(parts) - 1)]
    others = proven.exclude(deployment__team=deployment.team)
    if others.filter(name__in=parents).exists() or others.filter(name__endswith=f".{name}").exists():
        raise Taken(
            f"A domain above or below {name} belongs to another team.", hint="Ask an admin of the panel whose it is."
        )


def new_proof() -> str:
    return f"webops-{secrets.token_hex(16)}"


def proves_itself(name: Domain, deployment: Deployment) -> bool:
    """Whether nobody else could want it: the panel has one team only, or the team has proven a domain above it."""
    if Team.objects.count() == 1:
        return True
    parts = name.split(".")
    parents = [".".join(parts[count:]) for count in range(1, len(parts) - 1)]
    mine = DomainName.objects.filter(proven_at__isnull=False, deployment__team=deployment.team)
    return mine.filter(name__in=parents).exists()


# --- records ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A record that has to be there: what was found, whether it is right, and what to do, in a sentence."""

    kind: str
    name: str
    wanted: tuple[str, ...]
    found: tuple[str, ...] = ()
    ok: bool | None = None  # None: not looked yet, or nobody answered
    says: str = ""


def wanted(domain: DomainName, where: Place) -> tuple[Record, ...]:
    """The records to set, before anybody looked."""
    found = []
    if not domain.is_proven:
        found.append(Record("TXT", f"{CHALLENGE}.{domain.name}", (domain.proof,)))
    if where.address4:
        found.append(Record("A", domain.name, where.address4))
    if where.address6:
        found.append(Record("AAAA", domain.name, where.address6))
    return tuple(found)


def look(domain: DomainName, where: Place, ask: Look) -> tuple[Record, ...]:
    """The records with what the DNS says of them now."""
    cdn = sites.kept(domain.deployment).cdn
    return tuple(_judged(record, ask, cdn) for record in wanted(domain, where))


def _judged(record: Record, ask: Look, cdn: Cdn) -> Record:
    kind = Kind[record.kind]
    try:
        found = ask(record.name, kind)
        alias = ask(record.name, Kind.CNAME) if kind is not Kind.TXT else ()
    except Unanswered as error:
        return _with(record, (), None, f"The DNS could not be asked: {error}.")
    if kind is Kind.TXT:
        right = bool(set(found) & set(record.wanted))
        return _with(record, found, right, "The domain is proven to be yours." if right else _says_txt(record, found))
    right = bool(found) and set(found) <= set(record.wanted)
    if kind is Kind.AAAA and not found:
        return _with(record, (), True, f"Not set, which is fine. {_set(record)} for visitors with IPv6.")
    if found and not right and cdn is not Cdn.NONE:
        return _with(record, found, None, f"Points to the CDN, or elsewhere: {', '.join(found)}. Look again.")
    return _with(record, found, right, _says(record, found, alias, right=right))


def _says(record: Record, found: tuple[str, ...], alias: tuple[str, ...], *, right: bool) -> str:
    through = f" through {alias[0]}" if alias else ""
    if right:
        return f"Points here{through}."
    if not found:
        return f"Nothing is set{through}; {_set(record, small=True)}."
    listed = ", ".join(found)
    if set(found) & set(record.wanted):
        return f"Points here and elsewhere: {listed}; remove the others."
    return f"Points elsewhere{through}: {listed}; {_set(record, small=True)}."


def _says_txt(record: Record, found: tuple[str, ...]) -> str:
    before = "Not found yet" if not found else "Another text is there"
    return f"{before}; add a TXT record with the value {record.wanted[0]}."


def _set(record: Record, *, small: bool = False) -> str:
    word = "set" if small else "Set"
    article = "an" if record.kind.startswith("A") else "a"
    return f"{word} {article} {record.kind} record to {' or '.join(record.wanted)}"


def _with(record: Record, found: tuple[str, ...], ok: bool | None, says: str) -> Record:
    return Record(record.kind, record.name, record.wanted, found[:10], ok, says)


def check(domain: DomainName, where: Place, ask: Look) -> bool:
    """Look now and keep what was found; a domain whose proof is there is proven. True: it has been proven by this."""
    records = look(domain, where, ask)
    domain.records = {"shown": shown(domain.name), "items": [_kept(record) for record in records]}
    domain.checked_at = now()
    domain.save(update_fields=["records", "checked_at"])
    if domain.is_proven or not any(record.kind == "TXT" and record.ok for record in records):
        return False
    refuse_taken(Domain(domain.name), domain.deployment)
    domain.proven_at = now()
    domain.save(update_fields=["proven_at"])
    return True


def settle(deployment: Deployment, checks: Iterable[NameCheck]) -> None:
    """Keep, for domains behind a CDN, whether it fetches from here: the DNS does not say it, the host asked."""
    found = {check.host: check for check in checks}
    for domain in deployment.domains.all():
        check = found.get(domain.name)
        open_ones = [item for item in domain.records.get("items", []) if item["ok"] is None and item["found"]]
        if check is None or not open_ones:
            continue
        for item in open_ones:
            item["ok"] = check.ok
            mend = f"{check.problem} Have the CDN fetch from {' or '.join(item['wanted'])}."
            item["says"] = "Comes here through the CDN." if check.ok else mend
        domain.save(update_fields=["records"])


def _kept(record: Record) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "name": record.name,
        "wanted": list(record.wanted),
        "found": list(record.found),
        "ok": record.ok,
        "says": record.says,
    }


def known(domain: DomainName, where: Place) -> list[dict[str, Any]]:
    """The records to show: as found last, or, before anybody looked, as they have to be."""
    items: list[dict[str, Any]] = domain.records.get("items", [])
    fresh = [_kept(record) for record in wanted(domain, where)]
    before = {(item["kind"], tuple(item["wanted"])): item for item in items}
    return [before.get((item["kind"], tuple(item["wanted"])), item) for item in fresh]


def points_here(domain: DomainName, where: Place) -> bool | None:
    """Whether visitors come here, as found last. None: not known."""
    judged = [item["ok"] for item in known(domain, where) if item["kind"] in ("A", "AAAA")]
    if not judged or None in judged:
        return None
    return all(judged)
