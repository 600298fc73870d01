"""How states, timelines and log lines look."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from django import template
from django.templatetags.static import static
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.deployments.models import Release

register = template.Library()

LOOKS: dict[str, tuple[str, str, str]] = {
    # of a deployment
    "running": ("ok", "ok", "Running"),
    "deploying": ("busy", "busy", "Deploying"),
    "degraded": ("warn", "warn", "Degraded"),
    "crashed": ("bad", "bad", "Crashed"),
    "failed": ("bad", "bad", "Failed"),
    "stopped": ("idle", "stopped", "Stopped"),
    "draft": ("idle", "draft", "Draft"),
    "deleting": ("warn", "trash", "Deleting"),
    "unknown": ("warn", "unknown", "Unknown"),
    # of a unit, beside some of those above
    "starting": ("busy", "busy", "Starting"),
    "asleep": ("idle", "pause", "Asleep"),
    "absent": ("idle", "draft", "Absent"),
}
RELEASES: dict[str, tuple[str, str, str]] = {
    "queued": ("busy", "waiting", "Queued"),
    "running": ("busy", "busy", "Running"),
    "live": ("ok", "ok", "Live"),
    "retired": ("idle", "ok", "Was live"),
    "failed": ("bad", "bad", "Failed"),
    "cancelled": ("idle", "stopped", "Cancelled"),
    "superseded": ("idle", "skipped", "Superseded"),
    "ready": ("ok", "ok", "Looked at"),
}
STEPS: dict[str, tuple[str, str, str]] = {
    "waiting": ("idle", "draft", "Waiting"),
    "running": ("busy", "busy", "Running"),
    "done": ("ok", "ok", "Done"),
    "skipped": ("idle", "skipped", "Skipped"),
    "failed": ("bad", "bad", "Failed"),
}
WORK: dict[str, tuple[str, str, str]] = {
    "queued": ("busy", "waiting", "Waiting"),
    "running": ("busy", "busy", "Running"),
    "done": ("ok", "ok", "Done"),
    "failed": ("bad", "bad", "Failed"),
    "cancelled": ("idle", "stopped", "Cancelled"),
}
TONES = {"live": "ok", "retired": "ok", "failed": "bad", "queued": "busy", "running": "busy"}


def _picture(name: str, turning: bool = False) -> SafeString:
    spin = " turning" if turning else ""
    return format_html(
        '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        spin,
        static("icons.svg"),
        name,
    )


@register.simple_tag
def status(condition: str, css: str = "") -> SafeString:
    """The state of a deployment or a unit: icon, word, colour."""
    return _state(LOOKS, condition, css)


@register.simple_tag
def release_state(state: str, css: str = "") -> SafeString:
    return _state(RELEASES, state, css)


@register.simple_tag
def work_state(state: str, css: str = "") -> SafeString:
    """Of a command or an errand."""
    return _state(WORK, state, css)


def _state(looks: dict[str, tuple[str, str, str]], value: str, css: str) -> SafeString:
    tone, picture, word = looks.get(str(value), ("idle", "unknown", str(value).capitalize()))
    return format_html(
        '<span class="state tone-{} {}">{}{}</span>', tone, css, _picture(picture, picture == "busy"), word
    )


@register.simple_tag
def step_icon(state: str) -> SafeString:
    tone, picture, word = STEPS[str(state)]
    return format_html(
        '<span class="tone-{}">{}<span class="unseen">{}:</span></span>',
        tone,
        _picture(picture, picture == "busy"),
        word,
    )


@register.simple_tag
def bars(releases: Sequence[Release], places: int = 12, css: str = "") -> SafeString:
    """A timeline: one bar a release, as high as it took long, in the colour of how it ended. In lists it ends right."""
    if not releases:
        return mark_safe("")
    width = 9 * places - 3
    longest = max(1.0, *(_took(release) for release in releases))
    drawn = []
    for place, release in enumerate(releases, start=0 if css else places - len(releases)):
        height = round(8 + 20 * math.log1p(_took(release)) / math.log1p(longest), 1)
        what = RELEASES.get(release.state, ("", "", release.state))[2]
        drawn.append((9 * place, 28 - height, height, TONES.get(release.state, "idle"), release.number, what))
    counts = Counter(RELEASES.get(release.state, ("", "", release.state))[2].lower() for release in releases)
    words = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return format_html(
        '<svg class="bars {}" viewBox="0 0 {} 28" preserveAspectRatio="xMinYMid meet" role="img" '
        'aria-label="Last releases: {}">{}</svg>',
        css,
        width,
        words,
        format_html_join(
            "",
            '<rect x="{}" y="{}" width="6" height="{}" rx="1.5" class="tone-{}"><title>#{}: {}</title></rect>',
            drawn,
        ),
    )


def _took(release: Release) -> float:
    return max(release.seconds or 1.0, 0.0)


CODE = re.compile(
    r"\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]"
)
KNOWN = re.compile(r"[1-4]|3[0-7]|9[0-7]")


@register.filter
def ansi(text: str) -> SafeString:
    """A line that a program printed: its colours as classes, everything else escaped, other control codes dropped."""
    made: list[str] = []
    classes: list[str] = []
    at = 0
    for found in CODE.finditer(text):
        made.append(_piece(text[at : found.start()], classes))
        at = found.end()
        if found[1] is not None:
            classes = _after(classes, found[1])
    made.append(_piece(text[at:], classes))
    return mark_safe("".join(made))  # noqa: S308 - every piece was escaped


def _piece(text: str, classes: list[str]) -> str:
    if not text or not classes:
        return escape(text)
    return f'<span class="{" ".join(f"a{code}" for code in classes)}">{escape(text)}</span>'


def _after(classes: list[str], codes: str) -> list[str]:
    """The classes in force after one colour code."""
    for code in codes.split(";"):
        if code in ("38", "48"):  # a colour out of 256 or more: what follows are its numbers
            break
        if code in ("", "0"):
            classes = []
        elif code == "39":
            classes = [one for one in classes if len(one) == 1]
        elif KNOWN.fullmatch(code):
            classes = [*(one for one in classes if len(one) != len(code)), code]
    return classes


@register.filter
def of_key(mapping: dict[str, str], key: str) -> str:
    """The entry of a mapping, or nothing."""
    return mapping.get(str(key), "")
