"""Command lines of a Procfile or contract: what the platform can run better itself, and what stays as it is written.

A line that stays is data: nothing here runs it, expands it or passes it to anything but a ProjectLine.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field

from webops_host.errors import BadValue
from webops_host.names import DottedName
from webops_host.values import Gunicorn, ProjectLine

_SHELL = re.compile(r"[;|<>`\n\\]|&|\$\(|\$\{(?!PORT|WEB_CONCURRENCY)")
_PREFIXES = (
    ("pipenv", "run"),
    ("poetry", "run"),
    ("uv", "run"),
    ("python", "-m"),
    ("python3", "-m"),
    ("exec",),
    ("bin/start-nginx",),
    ("bin/start-pgbouncer",),
    ("bin/start-stunnel",),
    ("env",),
)
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_DONE_BY_PLATFORM = frozenset({"migrate", "collectstatic", "makemigrations", "check", "compilemessages_"})
_IGNORED = frozenset(
    {
        "-b",
        "--bind",
        "--log-file",
        "--access-logfile",
        "--error-logfile",
        "--log-level",
        "--access-logformat",
        "--worker-tmp-dir",
        "--name",
        "-n",
        "--keep-alive",
        "--forwarded-allow-ips",
        "--pid",
        "-p",
        "--user",
        "-u",
        "--group",
        "-g",
        "--proxy-headers",
        "--host",
        "--port",
        "--listen",
        "--graceful-timeout",
        "--chdir",
        "--pythonpath",
        "--loop",
        "--http",
        "--interface",
        "--lifespan",
        "--root-path",
        "-e",
        "--env",
    }
)
_FLAGS = frozenset(
    {
        "--reload",
        "--proxy-headers",
        "--capture-output",
        "--enable-stdio-inheritance",
        "--daemon",
        "-D",
        "--no-access-log",
        "--no-sendfile",
        "--preload",
        "--check-config",
        "-v",
        "--strip-header-spaces",
    }
)
_SERVERS = frozenset({"gunicorn", "uvicorn", "daphne", "hypercorn", "waitress-serve"})
# servers that the platform leaves out, behind whatever launcher or folder
_ABSENT = re.compile(r"(?:^|[\s/;&])(?:uwsgi|mod_wsgi-express|runmodwsgi|apachectl|httpd|supervisord)(?=\s|$)")


@dataclass(frozen=True)
class Web:
    """A web line understood: an application to serve, or None for the project's own default."""

    application: str = ""
    asgi: bool = False
    workers: int = 1
    threads: int = 4
    settings: str = ""
    chdir: str = ""
    dropped: tuple[str, ...] = ()
    default: bool = False


@dataclass
class _Options:
    values: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


def line(text: str) -> ProjectLine | None:
    """The text as a project's line; None when it is not one line."""
    try:
        return ProjectLine(text)
    except BadValue:
        return None


def from_folder(text: str, start: str, root: str) -> str:
    """The line as it has to be written when it was meant for another folder than the one it starts in."""
    if start == root:
        return text
    return f"cd {shlex.quote(posixpath.relpath(start or '.', root or '.'))} && {text}"


def split(text: str) -> list[str]:
    """Commands joined with && (outside of quotes), in order."""
    try:
        lexer = shlex.shlex(text, posix=False, punctuation_chars="&")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return [text]
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part) for part in parts if part]


def management(text: str) -> str:
    """The name of the manage.py command that this line runs, or ""."""
    text = re.sub(r"^(?:yes|echo)(?: \S+)? *\| *", "", text.strip())  # it answers a question of the command after it
    match = re.fullmatch(
        r"(?:(?:pipenv|poetry|uv) run )?(?:python[\d.]* )?(?:\./)?(?:[\w./-]*/)?"
        r"(?:manage\.py|django-admin(?:\.py)?) (\w+)(.*)",
        text.strip(),
    )
    return match[1] if match and not _SHELL.search(text) else ""


def without_platform_work(text: str) -> tuple[str, tuple[str, ...]]:
    """The line without migrate and collectstatic, which the platform does before; and what was taken out."""
    kept: list[str] = []
    gone: list[str] = []
    for part in split(text):
        (gone if management(part) in _DONE_BY_PLATFORM else kept).append(part)
    return " && ".join(kept), tuple(gone)


def web(text: str) -> Web | None:
    """What a web line serves, when the platform's own gunicorn can do the same; None when the line has to stay."""
    if _ABSENT.search(text):
        return Web(default=True, dropped=(text,))
    if management(text) == "runserver":
        return Web(default=True, dropped=(text,))
    folder = re.match(r"cd\s+([\w./-]+)\s*&&\s*(.+)", text)
    inner = folder[2] if folder else text
    if _SHELL.search(inner):
        return None
    try:
        words = shlex.split(inner)
    except ValueError:
        return None
    words, settings, dropped = _strip(words)
    if management(" ".join(words)) == "runserver":
        return Web(default=True, settings=settings, chdir=folder[1] if folder else "", dropped=(text,))
    if not words or words[0] not in _SERVERS:
        return None
    found = _server(words[0], words[1:], settings, dropped)
    return found if found is None or not folder else _moved(found, folder[1])


def _moved(found: Web, folder: str) -> Web:
    chdir = posixpath.normpath(posixpath.join(folder, found.chdir))
    return Web(found.application, found.asgi, found.workers, found.threads, found.settings, chdir, found.dropped)


def _strip(words: list[str]) -> tuple[list[str], str, list[str]]:
    """Words without launchers and NAME=value before them; a settings module set there is kept."""
    settings, dropped, before = "", [], None
    while words and words != before:
        before = words
        match = re.fullmatch(r"([A-Z_][A-Z0-9_]*)=(.*)", words[0])
        if match:
            settings = match[2] if match[1] == "DJANGO_SETTINGS_MODULE" else settings
            dropped += [] if settings == match[2] else [words[0]]
            words = words[1:]
        for prefix in _PREFIXES:
            if tuple(words[: len(prefix)]) == prefix:
                words = words[len(prefix) :]
    return words, settings, dropped


def _server(name: str, words: list[str], settings: str, dropped: list[str]) -> Web | None:
    options = _options(words)
    apps = [word for word in options.words if _application(word)]
    kind = options.values.pop("-k", "") or options.values.pop("--worker-class", "")
    uvicorn = "uvicorn" in kind.lower()
    fixed = options.strange or (kind and not uvicorn and kind not in ("sync", "gthread"))
    if len(apps) != 1 or len(options.words) != 1 or fixed:
        return None
    for value in (options.values.get("-e", ""), options.values.get("--env", "")):
        settings = value.partition("=")[2] if value.startswith("DJANGO_SETTINGS_MODULE=") else settings
    return Web(
        application=apps[0],
        asgi=uvicorn or name in ("uvicorn", "daphne", "hypercorn"),
        workers=_number(options.values, ("-w", "--workers"), 1),
        threads=_number(options.values, ("--threads",), 4),
        settings=settings,
        chdir=options.values.get("--chdir", "") or options.values.get("--pythonpath", ""),
        dropped=tuple([*dropped, *options.dropped]),
    )


def _options(words: list[str]) -> _Options:
    found = _Options()
    known = _IGNORED | {"-w", "--workers", "--threads", "-k", "--worker-class"}
    todo = list(words)
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            found.words.append(word)
        elif word in _FLAGS or name in ("--expose-tracebacks",):
            found.dropped.append(word)
        elif name in known:
            value = value if equals else todo.pop(0) if todo else ""
            found.values[name] = value
            if name in ("--keep-alive", "--graceful-timeout"):
                found.dropped.append(f"{name} {value}")
        elif re.fullmatch(r"-[wbk].+", word) and word[:2] in known:
            found.values[word[:2]] = word[2:]
        else:
            found.strange.append(word)
    return found


def _number(values: dict[str, str], names: tuple[str, ...], default: int) -> int:
    text = next((values[name] for name in names if name in values), "")
    return min(int(text), 8) if re.fullmatch(r"[1-9]\d?", text) else default


def _application(word: str) -> bool:
    try:
        DottedName(word)
    except BadValue:
        return False
    return True


def gunicorn(found: Web, application: str) -> Gunicorn:
    return Gunicorn(DottedName(application), found.asgi, found.workers, found.threads)


def on_port(text: str) -> str:
    """A gunicorn line with a fixed address, put on the port that it will be asked on."""
    if "gunicorn" not in text or "$PORT" in text or "${PORT" in text:
        return text
    return re.sub(r"(?<=\s)(?:-b|--bind)[ =]?\s*[\w.\[\]:/*-]+", "--bind 127.0.0.1:$PORT", text, count=1)
