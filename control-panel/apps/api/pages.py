"""The page of a person's own API tokens."""

from __future__ import annotations

from django import forms
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_http_methods, require_POST

from apps.api import actions
from apps.api.models import ApiToken
from apps.core.access import Actor
from apps.core.doors import Request, refuse
from apps.core.errors import Forbidden, Invalid
from apps.core.models import Team

SCOPES = (
    ("deploy", "Deploy: look, deploy, roll back, start and stop"),
    ("read", "Read: look only, no values of variables"),
    ("write", "Write: also change settings and variables"),
    ("admin", "Admin: everything your role allows"),
)
EXPIRIES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never"))


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?", max_length=80, widget=forms.TextInput(attrs={"placeholder": "Laptop, CI of the blog"})
    )
    scope = forms.ChoiceField(label="What may it do?", choices=SCOPES)
    days = forms.TypedChoiceField(
        label="How long?", choices=EXPIRIES, coerce=int, empty_value=None, required=False, initial="90"
    )
    team: forms.ModelChoiceField[Team] = forms.ModelChoiceField(
        label="Which team?",
        queryset=Team.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="All of mine",
    )

    def __init__(self, actor: Actor, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # forms.Form takes the posted data first
        self.fields["team"].queryset = actor.teams().order_by("name")  # type: ignore[attr-defined]  # ModelChoiceField


@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: Request) -> HttpResponse:
    """One's own tokens. A new one is shown in the answer to its own form, and never again."""
    form = TokenForm(request.actor, request.POST if request.method == "POST" else None)
    secret = ""
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        try:
            _, secret = actions.issue(
                request.actor, name=wanted["name"], scope=wanted["scope"], team=wanted["team"], days=wanted["days"]
            )
        except (Invalid, Forbidden) as error:
            refuse(form, error)
        else:
            form = TokenForm(request.actor)
    rows = ApiToken.objects.filter(user=request.actor.user).select_related("team")
    shown = {"form": form, "tokens": rows, "secret": secret}
    return render(request, "api/tokens.html", shown, status=400 if form.errors else 200)


@require_POST
def revoke(request: Request, pk: int) -> HttpResponse:
    actions.revoke(request.actor, pk)
    return redirect("api-pages:tokens")


app_name = "api-pages"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", tokens, name="tokens"),
    path("<int:pk>/revoke/", revoke, name="revoke"),
]
