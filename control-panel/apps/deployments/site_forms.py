"""Forms of the pages of domains, the site, processes and commands. They only parse; actions check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from apps.deployments.actions.commands import LONGEST_LIMIT, SHORTEST_LIMIT, USUAL_LIMIT
from apps.deployments.actions.scaling import LEAST, MOST_COPIES, Standing
from apps.deployments.forms import MONO, PLAIN
from apps.deployments.sites import MOST_SLEEP_MINUTES, Kept
from webops_host.site_options import MOST_BODY_MIB, Cdn, WwwRule

CERTIFICATE_BYTES = 64 * 1024


class DomainForm(forms.Form):
    name = forms.CharField(
        label="Domain",
        max_length=300,
        strip=False,
        widget=forms.TextInput(attrs={**MONO, "placeholder": "www.example.com", "inputmode": "url"}),
    )


class RedirectForm(forms.Form):
    www = forms.ChoiceField(
        label="www and bare",
        choices=(
            (WwwRule.AS_IS, "Both answer"),
            (WwwRule.TO_BARE, "www.example.com leads to example.com"),
            (WwwRule.TO_WWW, "example.com leads to www.example.com"),
        ),
        help_text="For every domain that is here with www. and without.",
    )
    one_name = forms.BooleanField(
        label="Lead all other domains to the primary one",
        required=False,
        help_text="The platform’s own name goes on answering.",
    )


class SiteForm(forms.Form):
    """How a site behaves."""

    NAMES = ("maintenance", "allow", "body_limit_mib", "fallback", "cdn", "hsts", "sleep_minutes")

    maintenance = forms.BooleanField(
        label="Maintenance page",
        required=False,
        help_text="Everybody gets a page that says so, with status 503. The processes go on running.",
    )
    allow = forms.CharField(
        label="Let in only these addresses",
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 3, "placeholder": "203.0.113.0/24\n2001:db8::/32"}),
        help_text="One address or network per line. Left empty, everybody may visit.",
    )
    body_limit_mib = forms.IntegerField(
        label="Largest upload, in MiB",
        min_value=1,
        max_value=MOST_BODY_MIB,
        help_text="Larger requests are refused before the app sees them.",
    )
    fallback = forms.TypedChoiceField(
        label="Single-page app",
        required=False,
        choices=(("", "As the release says"), ("true", "Yes"), ("false", "No")),
        coerce=lambda text: text == "true",
        empty_value=None,
        help_text="Of a static site: unknown pages are answered with index.html.",
    )
    cdn = forms.ChoiceField(
        label="Behind a CDN",
        choices=((Cdn.NONE, "No"), (Cdn.CLOUDFLARE, "Cloudflare")),
        help_text="Then its servers are believed about the visitor’s address.",
    )
    hsts = forms.BooleanField(
        label="HTTPS only, remembered by browsers (HSTS)",
        required=False,
        help_text="Leave it on unless this domain has to answer without HTTPS again one day.",
    )
    sleep_minutes = forms.IntegerField(
        label="Sleep after minutes without a visitor",
        min_value=0,
        max_value=MOST_SLEEP_MINUTES,
        help_text="0 is never. The next visitor wakes it and waits about as long as the app takes to start.",
    )

    @classmethod
    def of(cls, kept: Kept) -> dict[str, Any]:
        """What the form begins with."""
        found = {name: getattr(kept, name) for name in cls.NAMES}
        fallback = "" if kept.fallback is None else str(kept.fallback).lower()
        return {**found, "allow": "\n".join(kept.allow), "fallback": fallback}

    def chosen(self) -> dict[str, Any]:
        """In the form that the action takes."""
        given = {name: self.cleaned_data[name] for name in self.NAMES}
        return {**given, "allow": given["allow"].split()}


class WallForm(forms.Form):
    """Somebody who may pass the password wall."""

    visitor = forms.CharField(
        label="Name", max_length=100, widget=forms.TextInput(attrs={**MONO, "placeholder": "guest"})
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 8 signs. Only its hash is kept.",
    )


class ScaleForm(forms.Form):
    """Copies of each process, and the limits of all of them together."""

    memory_mib = forms.IntegerField(label="Memory, in MiB")
    cpu_percent = forms.IntegerField(label="CPU, in percent of one core")
    tasks = forms.IntegerField(label="Processes and threads")

    def __init__(self, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._standing = standing
        for name in LEAST:
            field = self.fields[name]
            field.initial, field.help_text = standing.limits[name], f"{LEAST[name]} to {standing.most[name]}."
            field.widget.attrs.update(min=LEAST[name], max=standing.most[name])
        for process in standing.processes:
            if process.is_web and process.workers is not None:
                self.fields["workers"] = forms.IntegerField(
                    label="web: workers", min_value=1, max_value=16, initial=process.workers
                )
            elif not process.is_web:
                self.fields[f"copies-{process.kind}"] = forms.IntegerField(
                    label=f"{process.kind}: copies", min_value=0, max_value=MOST_COPIES, initial=process.copies
                )

    @property
    def copies_fields(self) -> Iterable[forms.BoundField]:
        return [self[name] for name in self.fields if name not in LEAST]

    @property
    def limit_fields(self) -> Iterable[forms.BoundField]:
        return [self[name] for name in LEAST]

    def copies(self) -> dict[str, int]:
        """What differs from how it is."""
        now = {process.kind: process.copies for process in self._standing.processes}
        given = {name[7:]: self.cleaned_data[name] for name in self.fields if name.startswith("copies-")}
        return {kind: count for kind, count in given.items() if count != now[kind]}

    def workers(self) -> int | None:
        given: int | None = self.cleaned_data.get("workers")
        return None if given is None or given == self.fields["workers"].initial else given

    def limits(self) -> dict[str, int]:
        return {
            name: self.cleaned_data[name] for name in LEAST if self.cleaned_data[name] != self._standing.limits[name]
        }


class CommandForm(forms.Form):
    command = forms.CharField(
        label="Command",
        max_length=4000,
        widget=forms.TextInput(attrs={**MONO, "placeholder": "python manage.py check --deploy"}),
    )
    limit_seconds = forms.IntegerField(
        label="Time limit, in seconds", initial=USUAL_LIMIT, min_value=SHORTEST_LIMIT, max_value=LONGEST_LIMIT
    )


class CertificateForm(forms.Form):
    """A certificate of one's own."""

    chain = forms.CharField(
        label="Certificate and those above it",
        max_length=CERTIFICATE_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 5, "placeholder": "-----BEGIN CERTIFICATE-----"}),
        help_text="In PEM form, the certificate of the site first.",
    )
    key = forms.CharField(
        label="Private key",
        max_length=CERTIFICATE_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 5, "placeholder": "-----BEGIN PRIVATE KEY-----"}),
        help_text="In PEM form, without a password. It is handed to the server and never shown again.",
    )
