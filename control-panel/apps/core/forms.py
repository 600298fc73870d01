"""Forms of the platform's own pages. They only parse; actions check."""

from __future__ import annotations

from django import forms


class GitServerForm(forms.Form):
    name = forms.CharField(
        label="Host name",
        max_length=253,
        widget=forms.TextInput(
            attrs={"placeholder": "git.example.com", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    port = forms.IntegerField(label="Port", initial=443, min_value=1, max_value=65535)
    private = forms.BooleanField(
        label="It has a private address",
        required=False,
        help_text="Lets this name and port, and nothing else there, have an address inside your network.",
    )
    ca_pem = forms.CharField(
        label="Certificate authority",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="Only for a server with its own authority: the certificate in PEM form.",
    )


class EntranceForm(forms.Form):
    """A name and a password of one's own. The name is fixed when the account is there already."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. A sentence is easier to remember than a puzzle.",
    )
    again = forms.CharField(
        label="The same password again",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, object]:
        given = self.cleaned_data
        if "again" in given and given.get("password") != given["again"]:
            self.add_error("again", "This is not the same password.")
        return given
