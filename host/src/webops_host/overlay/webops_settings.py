# ruff: noqa: UP006, UP035, UP045, RUF005
"""The project's own settings, with what has to differ on a server put right. Nothing else is touched.

Django is pointed at this module; it imports the one that `WEBOPS_DJANGO_SETTINGS` names. Each thing it changes is noted
in `WEBOPS_CHANGES`. It runs inside the project's own environment: Python 3.6 and Django 1.11 or newer, nothing more.
"""

import importlib
import importlib.util
import os
import sys
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import parse_qsl, unquote, urlsplit

Settings = Dict[str, Any]

WEBOPS_CHANGES: List[Tuple[str, str, str, str]] = []

TRUE = ("1", "true", "yes", "on", "y", "t")
SECRET_NAMES = ("SECRET", "PASSWORD", "TOKEN", "KEY")
DEV_ONLY = (
    "debug_toolbar", "django_browser_reload", "django_extensions", "silk", "livereload", "django_watchfiles",
    "template_profiler_panel", "whitenoise.runserver_nostatic",
)  # fmt: skip
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal")  # noqa: S104 - compared only
ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "sqlite3": "django.db.backends.sqlite3",
    "spatialite": "django.contrib.gis.db.backends.spatialite",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "pgsql": "django.db.backends.postgresql",
    "postgis": "django.contrib.gis.db.backends.postgis",
    "mysql": "django.db.backends.mysql",
    "mysql2": "django.db.backends.mysql",
}
DATA_FOLDERS = ("data", "db", "storage", "var", "instance", "uploads", "cache", "tmp", "backups")
KEPT_OPTIONS = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "TIME_ZONE", "TEST")


def _apply(settings: Settings) -> None:
    for fix in (
        _secret_key, _debug, _allowed_hosts, _trusted_origins, _databases, _static, _media, _data, _https, _apps,
        _logging, _email,
    ):  # fmt: skip
        fix(settings)


def _change(settings: Settings, name: str, value: Any, why: str) -> None:
    """Set one setting and note it. A value that is there already is no change."""
    old = settings.get(name)
    if name in settings and old == value:
        return
    settings[name] = value
    hidden = any(word in name for word in SECRET_NAMES)
    shown = ("…", "…") if hidden else (_short(old), _short(value))
    WEBOPS_CHANGES.append((name, shown[0], shown[1], why))


def _short(value: Any) -> str:
    text = repr(str(value) if isinstance(value, os.PathLike) else value)
    return text if len(text) <= 120 else text[:117] + "..."


def _env(name: str) -> str:
    return os.environ.get(name, "")


def _words(name: str) -> List[str]:
    return [word.strip() for word in _env(name).split(",") if word.strip()]


def _from_environment(value: Any) -> bool:
    """Whether the project got a value from its environment, under whatever name."""
    return isinstance(value, str) and value != "" and value in os.environ.values()


# --- who we are and who may ask ---


def _secret_key(settings: Settings) -> None:
    ours, theirs = _env("SECRET_KEY"), settings.get("SECRET_KEY")
    if ours and not _from_environment(theirs):
        why = "a key in the repository is known to everybody who reads it" if theirs else "it was missing"
        _change(settings, "SECRET_KEY", ours, why)


def _debug(settings: Settings) -> None:
    wanted = any(_env(name).lower() in TRUE for name in ("DEBUG", "DJANGO_DEBUG"))
    if settings.get("DEBUG") and not wanted:
        why = "error pages with settings and code are not for visitors; set DEBUG=1 to have it"
        _change(settings, "DEBUG", False, why)


def _allowed_hosts(settings: Settings) -> None:
    hosts = list(settings.get("ALLOWED_HOSTS") or [])
    if "*" not in hosts:
        wanted = _words("WEBOPS_HOSTS") + ["localhost", "127.0.0.1", "[::1]"]
        missing = [host for host in wanted if not _is_allowed(host, hosts)]
        if missing:
            _change(settings, "ALLOWED_HOSTS", hosts + missing, "the site is asked for under these names")


def _is_allowed(host: str, hosts: List[Any]) -> bool:
    return any(
        host == str(entry) or (str(entry).startswith(".") and ("." + host).endswith(str(entry))) for entry in hosts
    )


def _trusted_origins(settings: Settings) -> None:
    import django

    origins = list(settings.get("CSRF_TRUSTED_ORIGINS") or [])
    ours = _words("WEBOPS_ORIGINS")
    if django.VERSION >= (4, 0):
        full = [origin if "://" in origin else "https://" + origin for origin in origins]
    else:
        full, ours = origins, [origin.split("://", 1)[-1] for origin in ours]
    full += [origin for origin in ours if origin not in full]
    if full != origins:
        _change(settings, "CSRF_TRUSTED_ORIGINS", full, "forms are sent from these addresses")


def _https(settings: Settings) -> None:
    https = _env("WEBOPS_HTTPS")
    header = ("HTTP_X_FORWARDED_PROTO", "https")
    _change(settings, "SECURE_PROXY_SSL_HEADER", header, "the web server in front says whether it was https")
    if https == "0":
        why = "this host speaks http: with it on, nobody could open a page or stay signed in"
        for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"):
            if settings.get(name):
                _change(settings, name, False, why)
        if settings.get("SECURE_HSTS_SECONDS"):
            _change(settings, "SECURE_HSTS_SECONDS", 0, why)
    elif https == "1":
        for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"):
            if name not in settings:
                _change(settings, name, True, "the site is https only")


# --- data ---


def _databases(settings: Settings) -> None:
    url = _env("DATABASE_URL")
    if not url:
        return
    ours = _parse_database(url)
    databases = dict(settings.get("DATABASES") or {})
    theirs = databases.get("default") or {}
    why = _why_replace(theirs, ours)
    if ours is None or why is None:
        return
    merged = {key: theirs[key] for key in KEPT_OPTIONS if key in theirs}
    if theirs.get("ENGINE", "").startswith("django.contrib.gis."):
        ours["ENGINE"] = ENGINES["postgis" if "postgresql" in ours["ENGINE"] else "spatialite"]
    if theirs.get("ENGINE") == ours["ENGINE"]:
        ours["OPTIONS"] = dict(theirs.get("OPTIONS") or {}, **ours["OPTIONS"])
    merged.update(ours)
    databases["default"] = merged
    settings["DATABASES"] = databases
    kind = ours["ENGINE"].rsplit(".", 1)[-1]
    old = theirs.get("ENGINE", "none").rsplit(".", 1)[-1]
    WEBOPS_CHANGES.append(("DATABASES['default']", old, kind + " of DATABASE_URL", why))


def _why_replace(theirs: Settings, ours: Optional[Settings]) -> Optional[str]:
    """Why the project's own database can not be used here, or None when it can."""
    if ours is None:
        return None
    engine = theirs.get("ENGINE") or ""
    if not engine or engine.endswith("dummy"):
        return "no database was set"
    if str(theirs.get("NAME")) == ours["NAME"] and str(theirs.get("HOST") or "") == ours["HOST"]:
        return None if _is_sqlite(engine) == _is_sqlite(ours["ENGINE"]) else "the database here is of another kind"
    if _is_sqlite(engine):
        return "a file inside the release would be lost with the next one"
    host = str(theirs.get("HOST") or "")
    if any(_from_environment(theirs.get(key)) for key in ("PASSWORD", "HOST", "NAME")):
        return None
    if host in LOCAL_HOSTS or "." not in host:
        return "the one in the settings is on the developer's own machine"
    return None


def _is_sqlite(engine: str) -> bool:
    return engine.endswith(("sqlite3", "spatialite"))


def _parse_database(url: str) -> Optional[Settings]:
    parts = urlsplit(url)
    engine = ENGINES.get(parts.scheme.split("+")[0])
    if engine is None:
        return None
    if _is_sqlite(engine):
        name = unquote(parts.path[1:]) or ":memory:"
        return {
            "ENGINE": engine, "NAME": name, "HOST": "", "PORT": "", "USER": "", "PASSWORD": "",
            "OPTIONS": _sqlite_options(),
        }  # fmt: skip
    options = dict(parse_qsl(parts.query))
    place = parts.netloc.rsplit("@", 1)[-1]
    socket = unquote(place) if "%" in place else ""  # a Unix socket's folder, written as a host
    return {
        "ENGINE": engine,
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", socket or parts.hostname or ""),
        "PORT": options.pop("port", "") or ("" if socket else str(parts.port or "")),
        "OPTIONS": options,
    }


def _sqlite_options() -> Settings:
    """Wait for other writers instead of failing, and sync the disk as often as a write-ahead log needs."""
    import django

    options: Settings = {"timeout": 20}
    if django.VERSION >= (5, 1):
        options.update(transaction_mode="IMMEDIATE", init_command="PRAGMA synchronous=NORMAL;")
    return options


# --- files ---


def _static(settings: Settings) -> None:
    root, old = _env("STATIC_ROOT"), settings.get("STATIC_ROOT")
    folders = list(settings.get("STATICFILES_DIRS") or [])
    present = [folder for folder in folders if os.path.isdir(_folder(folder)) and not _same(_folder(folder), root)]
    if len(present) != len(folders):
        gone = ", ".join(str(_folder(folder)) for folder in folders if folder not in present)
        _change(settings, "STATICFILES_DIRS", present, "not there: " + gone)
    if root and not _same(old, root):
        if old and os.path.isdir(str(old)) and not any(_same(_folder(folder), old) for folder in present):
            why = "files that the repository keeps in STATIC_ROOT"
            _change(settings, "STATICFILES_DIRS", present + [str(old)], why)
        _change(settings, "STATIC_ROOT", root, "static files belong to their release")
    url = settings.get("STATIC_URL") or "/static/"
    _change(settings, "STATIC_URL", _rooted(url), "the web server serves it under this path")
    if not settings.get("WHITENOISE_MANIFEST_STRICT", False) and "whitenoise" in repr(settings.get("MIDDLEWARE")):
        settings["WHITENOISE_MANIFEST_STRICT"] = False


def _media(settings: Settings) -> None:
    root = _env("MEDIA_ROOT")
    if not root:
        return
    old = settings.get("MEDIA_ROOT")
    if not _same(old, root):
        settings["WEBOPS_OLD_MEDIA_ROOT"] = str(old) if old else ""
        _change(settings, "MEDIA_ROOT", root, "uploads survive releases there")
    url = _rooted(settings.get("MEDIA_URL") or "/media/")
    _change(settings, "MEDIA_URL", url, "the web server serves it under this path")


def _folder(entry: Any) -> str:
    """A folder of STATICFILES_DIRS, which may stand behind a prefix."""
    return str(entry[1] if isinstance(entry, (tuple, list)) and len(entry) == 2 else entry)


def _same(one: Any, other: Any) -> bool:
    return bool(one) and bool(other) and os.path.realpath(str(one)) == os.path.realpath(str(other))


def _rooted(url: Any) -> str:
    text = str(url)
    if not text.startswith(("/", "http://", "https://")):
        text = "/" + text
    return text if text.endswith("/") else text + "/"


def _data(settings: Settings) -> None:
    """A folder for data that the release does not bring is one that survives it."""
    if not _env("WEBOPS_DATA"):
        return
    for name, value in list(settings.items()):
        moved = _moved(value)
        if moved != value:
            _change(settings, name, moved, "data inside the release would be lost with the next one")


def _moved(value: Any) -> Any:
    """The value with every path into such a folder led to the one that is kept, which is made."""
    if type(value) is dict:
        return {key: _moved(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_moved(inner) for inner in value)
    if not isinstance(value, (str, os.PathLike)) or not str(value).startswith(os.getcwd() + os.sep):
        return value
    inside = os.path.relpath(str(value), os.getcwd())
    first = inside.split(os.sep)[0]
    if first not in DATA_FOLDERS or os.path.exists(first):
        return value
    path = os.path.join(_env("WEBOPS_DATA"), "files", inside)
    os.makedirs(os.path.dirname(path) if os.path.splitext(path)[1] else path, exist_ok=True)
    return type(value)(path)  # type: ignore[call-arg]  # a path type takes its path


# --- programs ---


def _apps(settings: Settings) -> None:
    """Leave out development tools that the requirements do not install, and the toolbar without DEBUG."""
    apps = list(settings.get("INSTALLED_APPS") or [])
    dropped = [app for app in apps if _is_absent_tool(app)]
    if dropped:
        kept = [app for app in apps if app not in dropped]
        _change(settings, "INSTALLED_APPS", kept, "not installed: " + ", ".join(dropped))
    if not settings.get("DEBUG") and "DEBUG_TOOLBAR_CONFIG" in settings:
        config = dict(settings["DEBUG_TOOLBAR_CONFIG"], SHOW_TOOLBAR_CALLBACK=lambda request: False)
        _change(settings, "DEBUG_TOOLBAR_CONFIG", config, "the toolbar is for DEBUG only")
    for name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES"):
        entries = list(settings.get(name) or [])
        kept = [entry for entry in entries if entry.split(".")[0] not in {app.split(".")[0] for app in dropped}]
        if kept != entries:
            _change(settings, name, kept, "they belong to apps that are not installed")


def _is_absent_tool(app: Any) -> bool:
    if not isinstance(app, str) or not app.startswith(DEV_ONLY):
        return False
    try:
        return importlib.util.find_spec(app.split(".")[0]) is None
    except (ImportError, ValueError):
        return True


def _logging(settings: Settings) -> None:
    """Have errors on standard error, and no handler that writes where nothing can be written."""
    config = dict(settings.get("LOGGING") or {})
    handlers = dict(config.get("handlers") or {})
    why = "errors are kept with the site's other output"
    for name, handler in list(handlers.items()):
        filename = handler.get("filename") if isinstance(handler, dict) else None
        if filename and not _is_writable_place(str(filename)):
            handlers[name] = {"class": "logging.StreamHandler", "level": handler.get("level", "NOTSET")}
            why = "a log file inside the release would be lost"
    root = dict(config.get("root") or {})
    if not _prints_errors(config, handlers):
        handlers["webops_console"] = {"class": "logging.StreamHandler"}
        root["handlers"] = list(root.get("handlers") or []) + ["webops_console"]
        root.setdefault("level", "WARNING")
        config["root"] = root
    if handlers != (config.get("handlers") or {}):
        config["version"] = 1
        config.setdefault("disable_existing_loggers", False)
        config["handlers"] = handlers
        settings["LOGGING"] = config
        WEBOPS_CHANGES.append(("LOGGING", "…", "to standard error", why))


def _prints_errors(config: Settings, handlers: Settings) -> bool:
    loggers = config.get("loggers") or {}
    used = list((config.get("root") or {}).get("handlers") or [])
    for name in ("", "django", "django.request"):
        used += list((loggers.get(name) or {}).get("handlers") or [])
    return any(
        str(handlers.get(name, {}).get("class", "")).endswith((".StreamHandler", "RichHandler"))
        and "require_debug_true" not in (handlers[name].get("filters") or [])
        for name in used
    )


def _is_writable_place(filename: str) -> bool:
    folder = os.path.dirname(os.path.realpath(filename))
    source = os.path.realpath(_env("WEBOPS_SOURCE") or os.getcwd())
    return os.path.isdir(folder) and os.access(folder, os.W_OK) and not (folder + os.sep).startswith(source + os.sep)


def _email(settings: Settings) -> None:
    console = "django.core.mail.backends.console.EmailBackend"
    why = "no mail server was set; mails appear in the site's output"
    if "MAILERS" in settings:  # Django 6.1: beside it, none of the older settings may be there
        mailers = dict(settings["MAILERS"] or {})
        default = mailers.get("default") or {}
        host = (default.get("OPTIONS") or {}).get("host", "")
        if str(default.get("BACKEND", "")).endswith("smtp.EmailBackend") and host in LOCAL_HOSTS:
            _change(settings, "MAILERS", dict(mailers, default={"BACKEND": console}), why)
        return
    backend = settings.get("EMAIL_BACKEND") or "django.core.mail.backends.smtp.EmailBackend"
    if backend.endswith("smtp.EmailBackend") and settings.get("EMAIL_HOST", "localhost") in LOCAL_HOSTS:
        _change(settings, "EMAIL_BACKEND", console, why)


def _load() -> Settings:
    module = importlib.import_module(_env("WEBOPS_DJANGO_SETTINGS"))
    settings = {name: getattr(module, name) for name in dir(module) if name.isupper()}
    before = dict(settings)
    _apply(settings)
    for name, value in settings.items():  # for code that imports the project's settings module by its name
        if name not in before or before[name] is not value:
            setattr(module, name, value)
    return settings


if os.getcwd() not in sys.path:
    sys.path.insert(1, os.getcwd())
globals().update(_load())
