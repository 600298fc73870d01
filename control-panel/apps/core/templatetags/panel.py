"""Small parts of every page: icons, times, sizes, fields, buttons that know who may press them."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.forms import BoundField, CheckboxInput
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.clock import now
from apps.core.doors import Allowed

register = template.Library()

UNITS = ((86_400 * 365, "y"), (86_400 * 30, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A picture from the sprite; always beside a word, so it is hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        css,
        static("icons.svg"),
        name,
    )


@register.filter
def age(at: datetime | float | None) -> SafeString | str:
    """“5 min ago” in a time element that carries the exact moment; a script keeps it true while one looks."""
    if not at:
        return "—"
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, tz=UTC)
    return format_html(
        '<time datetime="{}" title="{}" data-age>{}</time>',
        moment.isoformat(),
        moment.strftime("%-d %B %Y, %H:%M:%S UTC"),
        _ago((now() - moment).total_seconds()),
    )


def _ago(seconds: float) -> str:
    for size, unit in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now" if seconds < 10 else f"{int(seconds)} s ago"


@register.filter
def duration(seconds: float | None) -> str:
    """“0.4 s”, “12 s”, “3 min 05 s”."""
    if seconds is None:
        return "—"
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@register.filter
def size(count: int | None) -> str:
    """Bytes for people, in binary units."""
    if count is None:
        return "—"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


@register.filter
def words(value: object) -> str:
    """A value of a record for people: lists with commas, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, css: str = "") -> dict[str, object]:
    """A form field with its label, help and errors."""
    return {"field": bound, "css": css, "check": isinstance(bound.field.widget, CheckboxInput)}


@register.inclusion_tag("parts/button.html")
def button(
    label: str, allowed: Allowed, icon: str = "", css: str = "", name: str = "", value: str = ""
) -> dict[str, object]:
    """A submit button; for somebody whose role does not allow it, it is off and says which role does."""
    return {"label": label, "allowed": allowed, "icon": icon, "css": css, "name": name, "value": value}
