"""Which Pythons a pinned version can live with: old pins on a new Python break in well-known ways.

Two kinds of limits. `CODE`: the package itself fails on a later Python (a removed module or argument), whatever is
installed. `WHEELS`: a compiled package has no ready-made file for a later Python and would have to be built from
source, which needs compilers and often fails; the pin may then move to the first version that has one.

`FLOOR` is the oldest Python a version accepts.
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

Pair = tuple[int, int]
Row = tuple[str, Pair]


def _rows(text: str) -> tuple[Row, ...]:
    """“8.0:3.9 8.4:3.10” as rows."""
    pairs = (word.split(":") for word in text.split())
    return tuple((first, (int(python.split(".")[0]), int(python.split(".")[1]))) for first, python in pairs)


# (below this version, the last Python it was made for): what Django's own release notes promise.
DJANGO_MADE_FOR: tuple[Row, ...] = (
    ("1.11", (3, 5)),
    ("2.0", (3, 7)),
    ("2.2", (3, 7)),
    ("3.0", (3, 9)),
    ("3.2", (3, 9)),
    ("4.1", (3, 10)),
    ("4.2", (3, 11)),
    ("5.1", (3, 12)),
    ("5.2", (3, 13)),
    ("6.1", (3, 14)),
)

# (below this version, the last Python it works on at all).
CODE: dict[str, tuple[Row, ...]] = {
    "django": (
        ("1.11", (3, 7)),
        ("2.1", (3, 9)),
        ("2.2", (3, 10)),
        ("4.1", (3, 12)),
        ("5.0", (3, 13)),
    ),  # collections, gettext, cgi
    "celery": (("4.3", (3, 6)), ("5.0", (3, 9)), ("5.2", (3, 11))),  # `async` became a keyword in 3.7
    "kombu": (("4.2", (3, 6)), ("5.0", (3, 9))),
    "jinja2": (("2.11", (3, 9)),),  # collections.Mapping
    "html5lib": (("1.1", (3, 9)),),
    "beautifulsoup4": (("4.7", (3, 9)),),
    "djangorestframework": (("3.9", (3, 9)),),
    "pyjwt": (("1.7", (3, 9)),),
    "flask": (("1.0", (3, 9)),),
    "werkzeug": (("1.0", (3, 9)),),
    "aiohttp": (("3.7", (3, 9)),),
    "six": (("1.16", (3, 11)),),  # the old import hooks went in 3.12
    "urllib3": (("1.26.5", (3, 11)),),
    "future": (("1.0", (3, 11)),),
    "sqlalchemy": (("1.4", (3, 11)), ("2.0.31", (3, 12))),
    "pydantic": (("1.10.13", (3, 11)), ("1.10.18", (3, 12)), ("2.0", (3, 13))),
    "django-allauth": (("0.40", (3, 11)),),
    "channels": (("2.0", (3, 9)),),
    "babel": (("2.12", (3, 12)),),  # cgi
    "sphinx": (("3.0", (3, 9)), ("6.2", (3, 12))),  # imghdr
    "django-haystack": (("3.0", (3, 11)),),
    "gunicorn": (("19.10", (3, 9)),),  # collections, and `inspect` in the asyncio worker
}

# (first version with wheels, from this Python on): the last row at or below the pin is its limit.
WHEELS: dict[str, tuple[Row, ...]] = {
    name: _rows(text)
    for name, text in {
        "pillow": "6.2.1:3.8 8.0:3.9 8.4:3.10 9.3:3.11 10.1:3.12 10.4:3.13 12.0:3.14",
        "psycopg2-binary": "2.8.4:3.8 2.8.6:3.9 2.9.2:3.10 2.9.5:3.11 2.9.9:3.12 2.9.10:3.13 2.9.11:3.14",
        "psycopg-binary": "3.0.8:3.10 3.1.4:3.11 3.1.12:3.12 3.2.3:3.13 3.2.11:3.14",
        "numpy": "1.17.3:3.8 1.19.3:3.9 1.21.3:3.10 1.23.3:3.11 1.26.0:3.12 2.1.0:3.13 2.3.3:3.14",
        "pandas": "0.25.3:3.8 1.1.4:3.9 1.3.4:3.10 1.5.1:3.11 2.1.1:3.12 2.2.3:3.13 2.3.3:3.14",
        "scipy": "1.5.4:3.9 1.7.2:3.10 1.9.3:3.11 1.11.3:3.12 1.14.1:3.13 1.16.2:3.14",
        "scikit-learn": "0.24.0:3.9 1.0.1:3.10 1.2.0:3.11 1.3.2:3.12 1.5.2:3.13 1.7.2:3.14",
        "matplotlib": "3.3.3:3.9 3.5.0:3.10 3.6.2:3.11 3.8.0:3.12 3.9.2:3.13 3.10.5:3.14",
        "lxml": "4.5.0:3.8 4.6.2:3.9 4.7.1:3.10 4.9.2:3.11 4.9.3:3.12 5.3.0:3.13 6.0.1:3.14",
        "cffi": "1.13.2:3.8 1.14.4:3.9 1.15.0:3.10 1.15.1:3.11 1.16.0:3.12 1.17.1:3.13 2.0.0:3.14",
        "greenlet": "1.0:3.9 1.1.2:3.10 2.0.1:3.11 3.0.1:3.12 3.1.0:3.13 3.2.4:3.14",
        "gevent": "20.12.0:3.9 21.8.0:3.10 22.10.2:3.11 23.9.1:3.12 24.10.3:3.13 25.8.1:3.14",
        "pyyaml": "5.1:3.8 5.4:3.9 6.0:3.10 6.0.1:3.12 6.0.2:3.13 6.0.3:3.14",
        "aiohttp": "3.7.3:3.9 3.8.1:3.10 3.8.4:3.11 3.9.0:3.12 3.10.11:3.13 3.13.0:3.14",
        "reportlab": "3.5.55:3.9 3.6.2:3.10 3.6.13:3.11 4.0:3.14",
        "grpcio": "1.33.2:3.9 1.41.1:3.10 1.50.0:3.11 1.59.2:3.12 1.67.0:3.13 1.75.1:3.14",
        "pydantic-core": "2.6.3:3.12 2.23.4:3.13 2.41.1:3.14",
        "httptools": "0.5.0:3.11 0.6.1:3.12 0.6.4:3.13 0.7.1:3.14",
        "uvloop": "0.16.0:3.10 0.17.0:3.11 0.19.0:3.12 0.21.0:3.13 0.22.1:3.14",
        "tensorflow": "2.8.0:3.10 2.12.0:3.11 2.16.1:3.12 2.20.0:3.13",
        "torch": "1.11.0:3.10 2.0.0:3.11 2.2.0:3.12 2.6.0:3.13 2.9.0:3.14",
        "typed-ast": "1.4.1:3.8 1.4.2:3.9 1.5.0:3.10 1.5.4:3.11",
        "rpds-py": "0.10.3:3.12 0.20.0:3.13 0.27.1:3.14",
        "hiredis": "2.0.0:3.9 2.1.0:3.11 2.3.2:3.12 3.0.0:3.13 3.2.1:3.14",
    }.items()
}  # fmt: skip

FLOOR: dict[str, tuple[Row, ...]] = {  # (from this version on, the oldest Python)
    "django": (("2.0", (3, 4)), ("2.2", (3, 5)), ("3.0", (3, 6)), ("4.0", (3, 8)), ("5.0", (3, 10)), ("6.0", (3, 12))),
    "numpy": (("1.22", (3, 8)), ("1.25", (3, 9)), ("2.1", (3, 10)), ("2.3", (3, 11))),
    "pandas": (("1.4", (3, 8)), ("2.1", (3, 9)), ("3.0", (3, 11))),
    "wagtail": (("7.3", (3, 10)),),
    "pillow": (("10.0", (3, 8)), ("11.0", (3, 9)), ("12.0", (3, 10))),
    "celery": (("5.3", (3, 8)), ("5.6", (3, 9))),
    "djangorestframework": (("3.15", (3, 8)), ("3.16", (3, 9)), ("3.17", (3, 10))),
    "django-allauth": (("65.0", (3, 8)), ("65.13", (3, 10))),
}

# Long-term releases of Django, oldest first: what an undeclared Django is matched to.
LONG_TERM = ("1.11", "2.2", "3.2", "4.2", "5.2")


def version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _below(rows: tuple[Row, ...], pinned: Version) -> Pair | None:
    return next((pair for limit, pair in rows if pinned < Version(limit)), None)


def made_for(django: Version) -> Pair | None:
    """The last Python that this Django was released for."""
    return _below(DJANGO_MADE_FOR, django)


def works_until(name: str, pinned: Version) -> Pair | None:
    """The last Python on which this version works, or None when no limit is known."""
    return _below(CODE.get(name, ()), pinned)


def wheels_until(name: str, pinned: Version) -> Pair | None:
    """The last Python for which this version of a compiled package comes ready-made; None when not in the table."""
    rows = WHEELS.get(name)
    if rows is None:
        return None
    fitting = [pair for first, pair in rows if pinned >= Version(first)]
    return fitting[-1] if fitting else (rows[0][1][0], rows[0][1][1] - 1)


def floor(name: str, pinned: Version) -> Pair | None:
    """The oldest Python that this version accepts."""
    fitting = [pair for first, pair in FLOOR.get(name, ()) if pinned >= Version(first)]
    return fitting[-1] if fitting else None


def first_with_wheels(name: str, python: Pair) -> Version | None:
    """The first version of a compiled package that comes ready-made for this Python."""
    return next((Version(first) for first, pair in WHEELS.get(name, ()) if pair >= python), None)
