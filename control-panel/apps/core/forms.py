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
