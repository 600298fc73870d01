"""Forms of the pages of deployments. They only parse; actions check, and the host's own types check again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from apps.core.models import Team
from apps.databases.models import Database
from apps.deployments.models import Deployment
from apps.deployments.plan import Wanted

PLAIN = {"autocapitalize": "none", "autocorrect": "off", "spellcheck": "false", "autocomplete": "off"}
MONO = {**PLAIN, "class": "mono"}
CHOOSE = (("", "As detected"), ("true", "Yes"), ("false", "No"))


class SourceForm(forms.Form):
    """Where the code comes from."""

    repository = forms.CharField(
        label="Repository",
        max_length=500,
        strip=False,
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "url", "placeholder": "https://github.com/owner/site"}),
    )
    ref = forms.CharField(
        label="Branch, tag or commit",
        required=False,
        strip=False,
        max_length=300,
        widget=forms.TextInput(attrs=MONO),
        help_text="Left empty, it is the repository’s default branch.",
    )
    root = forms.CharField(
        label="Folder",
        required=False,
        strip=False,
        max_length=400,
        widget=forms.TextInput(attrs=MONO),
        help_text="Where the site is inside the repository. Left empty, it is the whole repository.",
    )
    username = forms.CharField(
        label="User name",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Most Git servers need none beside the token.",
    )
    token = forms.CharField(
        label="Access token",
        required=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="For a private repository: a token that may only read it. It is kept encrypted and never shown.",
    )


class NewForm(SourceForm):
    """A new deployment."""

    name = forms.CharField(
        label="Name",
        required=False,
        strip=False,
        max_length=100,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Lower-case letters, digits and hyphens; made from the repository’s if empty. It never changes.",
    )
    team: forms.ModelChoiceField[Team] = forms.ModelChoiceField(
        label="Team", queryset=Team.objects.none(), to_field_name="slug", required=False, empty_label=None
    )

    def __init__(self, teams: Iterable[Team], *args: Any, **kwargs: Any) -> None:  # what forms.Form takes
        super().__init__(*args, **kwargs)
        keys = [team.pk for team in teams]
        self.fields["team"].queryset = Team.objects.filter(pk__in=keys).order_by("name")  # type: ignore[attr-defined]
        self.several = len(keys) > 1


class WantedForm(forms.Form):
    """The variables that the code reads, and a `.env` to paste."""

    dotenv = forms.CharField(
        label="Paste a .env file",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 6, "placeholder": "KEY=value"}),
        help_text="Values given in a field above win.",
    )

    def __init__(self, wanted: Iterable[Wanted], given: frozenset[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wanted = {str(item.key): item for item in wanted}
        self.given = given
        asked = sorted(self.wanted.values(), key=lambda item: (not self.is_needed(item), item.key in given))
        for item in asked:
            self.fields[f"var-{item.key}"] = _variable(item, given=item.key in given)
        self.order_fields([f"var-{item.key}" for item in asked])

    def is_needed(self, item: Wanted) -> bool:
        return item.required and not item.generate and item.key not in self.given

    @property
    def rows(self) -> list[tuple[Wanted, forms.BoundField, bool]]:
        """Each wanted variable with its field, and whether it is needed before anything can run."""
        return [(item, self[name], self.is_needed(item)) for name, item in self._named()]

    @property
    def can_wait(self) -> list[forms.BoundField]:
        """Fields of those that nothing needs at once."""
        return [bound for _, bound, needed in self.rows if not needed and not bound.errors]

    def values(self) -> dict[str, str]:
        """What was typed into the fields."""
        return {str(item.key): text for name, item in self._named() if (text := self.cleaned_data.get(name, ""))}

    def _named(self) -> list[tuple[str, Wanted]]:
        return [(name, self.wanted[name[4:]]) for name in self.fields if name.startswith("var-")]


def _variable(item: Wanted, *, given: bool) -> forms.CharField:
    hint = "set already" if given else "made by the platform" if item.generate else item.default
    kind: type[forms.TextInput] | type[forms.PasswordInput] = forms.PasswordInput if item.secret else forms.TextInput
    attrs = {**MONO, "placeholder": hint}
    where = f" ({item.where})" if item.where else ""
    return forms.CharField(
        label=str(item.key), required=False, strip=False, widget=kind(attrs=attrs), help_text=f"{item.reason}{where}"
    )


class VariableForm(forms.Form):
    """One variable."""

    key = forms.CharField(
        label="Name", max_length=200, strip=False, widget=forms.TextInput(attrs={**MONO, "placeholder": "API_KEY"})
    )
    value = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 1}),
    )
    secret = forms.BooleanField(
        label="Secret", required=False, initial=True, help_text="Its value is hidden until somebody asks for it."
    )


class DotenvForm(forms.Form):
    """Text of a `.env` file, to look at before it is saved."""

    dotenv = forms.CharField(
        label="Text of a .env file",
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 8, "placeholder": "DEBUG=off\nAPI_KEY='a b c'"}),
    )
    replace = forms.BooleanField(
        label="Remove variables that it does not name",
        required=False,
        help_text="Those that the platform made are kept.",
    )


def _choose(label: str, help_text: str = "") -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=label,
        choices=CHOOSE,
        required=False,
        coerce=lambda text: text == "true",
        empty_value=None,
        help_text=help_text,
    )


def _line(label: str, placeholder: str = "", help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=4000,
        widget=forms.TextInput(attrs={**MONO, "placeholder": placeholder}),
        help_text=help_text,
    )


class SettingsForm(SourceForm):
    """Where the code comes from, how it is built and run. Empty means: as detected, or as the contract says."""

    OVERRIDES = (
        "kind",
        "python",
        "publish",
        "build",
        "web",
        "release",
        "settings",
        "health_path",
        "health_timeout",
        "memory_mib",
        "cpu_percent",
        "workers",
        "overlay",
        "migrate",
        "collectstatic",
    )

    forget_token = forms.BooleanField(label="Forget the access token", required=False)
    keep_releases = forms.IntegerField(
        label="Releases to keep",
        min_value=1,
        max_value=50,
        help_text="How many earlier releases stay on disk to go back to.",
    )
    kind = forms.ChoiceField(
        label="Kind",
        required=False,
        choices=(("", "As detected"), ("static", "Static site"), ("django", "Django"), ("python", "Other Python app")),
    )
    python = _line("Python", "3.12")
    publish = _line("Folder to publish", "public", "Of a static site: the folder that holds index.html.")
    build = _line(
        "Build command", "npm run build", "Runs in a copy of the repository, before anything of the new release starts."
    )
    web = _line("Web command", "gunicorn shop.wsgi", "Starts the process that serves. It listens on $PORT.")
    release = _line("Release command", "python manage.py check", "Runs before the new version gets traffic.")
    health_path = _line("Health check path", "/", "Must answer below 400 before traffic moves.")
    health_timeout = forms.FloatField(
        label="Health check timeout, in seconds", required=False, min_value=1, max_value=900
    )
    memory_mib = forms.IntegerField(label="Memory, in MiB", required=False, min_value=64, max_value=8192)
    cpu_percent = forms.IntegerField(label="CPU, in percent of one core", required=False, min_value=10, max_value=800)
    workers = forms.IntegerField(label="Web workers", required=False, min_value=1, max_value=16)
    settings = _line("Settings module", "shop.settings")
    overlay = _choose(
        "Settings overlay",
        "Adjusts allowed hosts, static files, proxy and cookie settings without changing the repository.",
    )
    migrate = _choose("Run migrate")
    collectstatic = _choose("Run collectstatic")

    @classmethod
    def of(cls, deployment: Deployment) -> dict[str, Any]:
        """What the form begins with."""
        kept = {key: _text(value) for key, value in deployment.overrides.items()}
        named = ("repository", "ref", "root", "username", "keep_releases")
        return {**kept, **{name: getattr(deployment, name) for name in named}}

    def overrides(self) -> dict[str, Any]:
        """The part that is kept as overrides, without what is not set."""
        chosen = {name: self.cleaned_data[name] for name in self.OVERRIDES}
        return {name: value for name, value in chosen.items() if value not in ("", None)}


def _text(value: Any) -> Any:
    """A choice of yes or no as the text its field has."""
    return str(value).lower() if isinstance(value, bool) else value


class UploadForm(forms.Form):
    """A dump that was made elsewhere."""

    file = forms.FileField(
        label="File",
        help_text="What “pg_dump --format=custom” wrote, or plain SQL. It is restored with this database’s own rights.",
    )


class CloneForm(forms.Form):
    """Which database to fill this one from."""

    source = forms.TypedChoiceField(label="Database")

    def __init__(self, *args: Any, sources: Iterable[Database] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {str(row.pk): row for row in sources}
        field = self.fields["source"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [(key, row.name) for key, row in known.items()]
        field.coerce = known.__getitem__
