# ruff: noqa: UP006, UP032, UP035, UP045, T201
"""The release work of a Django project in one process: set up, check, migrate, collect static files, report.

`WEBOPS_WORK` names the optional parts, `WEBOPS_REPORT` the file that says how far it came and what the settings are.
It runs inside the project's own environment: Python 3.6 and Django 1.11 or newer, nothing more.
"""

import importlib
import json
import os
import re
import shutil
import sys
import time
from typing import Any, Dict, List, Optional

Facts = Dict[str, Any]
MAX_SEED = 20000  # files


def main() -> int:
    work = os.environ.get("WEBOPS_WORK", "").split(",")
    sys.path.insert(0, os.getcwd())
    sys.argv = ["manage.py", "migrate" if "migrate" in work else "collectstatic"]  # settings look at it
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        os.environ["DJANGO_SETTINGS_MODULE"] = _named_in_manage()
    report("setup")
    import django

    django.setup()
    _print_changes()
    facts: Facts = {"django": django.get_version()}
    report("check")
    facts["warnings"] = _check()
    if facts["warnings"] is None:
        return 3
    if "migrate" in work:
        report("migrate")
        facts["migrations_applied"] = _timed("migrate", _migrate)
    if "collectstatic" in work:
        report("collectstatic")
        _timed("collectstatic", _collect)
    _seed_media()
    report("done", dict(facts, **_settings_facts()))
    return 0


def report(phase: str, facts: Optional[Facts] = None) -> None:
    """Write how far we are, in one step."""
    path = os.environ["WEBOPS_REPORT"]
    with open(path + ".new", "w") as file:
        json.dump({"phase": phase, "facts": facts}, file)
    os.replace(path + ".new", path)


def _named_in_manage() -> str:
    """The settings that manage.py would use."""
    try:
        with open("manage.py") as file:
            found = re.search(r"DJANGO_SETTINGS_MODULE['\"]\s*[,\]]\s*=?\s*['\"]([\w.]+)['\"]", file.read())
    except OSError:
        found = None
    return found.group(1) if found else "settings"


def _print_changes() -> None:
    overlay = sys.modules.get("webops_settings")
    for name, old, new, why in getattr(overlay, "WEBOPS_CHANGES", []):
        print("Settings overlay: {}: {} -> {} ({})".format(name, old, new, why))


def _check() -> Optional[List[str]]:
    """Warnings; None when there are errors, which are printed."""
    checks = importlib.import_module("django.core.checks")
    found = [message for message in checks.run_checks() if not message.is_silenced()]
    errors = [message for message in found if message.level >= checks.ERROR]
    for message in errors:
        print("System check: {}".format(message))
    warnings = [message for message in found if checks.WARNING <= message.level < checks.ERROR]
    for message in warnings[:20]:
        print("System check (warning): {}".format(message))
    if errors:
        return None
    return ["{}: {}".format(message.id or "warning", message.msg)[:300] for message in warnings[:20]]


def _migrate() -> int:
    """Apply migrations; tables of apps that have none are made too. Returns how many were applied: by the table of
    migrations, since reading all migration files once more would take as long as the rest."""
    connection = importlib.import_module("django.db").connection
    management = importlib.import_module("django.core.management")
    recorder = importlib.import_module("django.db.migrations.recorder").MigrationRecorder(connection)
    before = len(recorder.applied_migrations())
    management.call_command("migrate", interactive=False, verbosity=1, run_syncdb=True)
    return len(recorder.applied_migrations()) - before


def _collect() -> None:
    apps = importlib.import_module("django.apps").apps
    management = importlib.import_module("django.core.management")
    if not apps.is_installed("django.contrib.staticfiles"):
        print("django.contrib.staticfiles is not installed: nothing to collect.")
        return
    management.call_command("collectstatic", interactive=False, verbosity=1)
    settings = importlib.import_module("django.conf").settings
    if apps.is_installed("compressor") and getattr(settings, "COMPRESS_OFFLINE", False):
        management.call_command("compress", force=True, verbosity=1)  # without it every page fails


def _timed(name: str, act: Any) -> Any:
    began = time.time()
    result = act()
    print("{} took {:.2f} s".format(name, time.time() - began))
    return result


def _seed_media() -> None:
    """Bring uploads that the repository ships to where uploads live now. What is there already stays."""
    settings = importlib.import_module("django.conf").settings
    source = getattr(settings, "WEBOPS_OLD_MEDIA_ROOT", "")
    target = os.environ.get("MEDIA_ROOT", "")
    if not target:
        return
    os.makedirs(target, exist_ok=True)
    release = os.path.realpath(os.environ.get("WEBOPS_SOURCE") or os.getcwd())
    if not source or not os.path.realpath(source).startswith(release + os.sep):
        return
    copied = 0
    for folder, _, names in os.walk(source):
        place = os.path.join(target, os.path.relpath(folder, source))
        for name in names:
            origin, copy = os.path.join(folder, name), os.path.join(place, name)
            if copied < MAX_SEED and not os.path.lexists(copy) and not os.path.islink(origin):
                os.makedirs(place, exist_ok=True)
                shutil.copyfile(origin, copy)
                copied += 1
    if copied:
        print("{} files of the repository's own media folder were copied to the uploads.".format(copied))


def _settings_facts() -> Facts:
    settings = importlib.import_module("django.conf").settings
    apps = importlib.import_module("django.apps").apps
    connection = importlib.import_module("django.db").connection
    root = settings.STATIC_ROOT
    count = sum(len(names) for _, _, names in os.walk(str(root))) if root else 0
    has_static = apps.is_installed("django.contrib.staticfiles")
    return {
        "static_url": _own_path(settings.STATIC_URL) if has_static else "",
        "media_url": _own_path(settings.MEDIA_URL),
        "static_files": count,
        "database": connection.vendor,
    }


def _own_path(url: Optional[str]) -> str:
    """A path of the site itself; nothing for another server's address, or for everything."""
    return url if url and url.startswith("/") and not url.startswith("//") and url != "/" else ""


if __name__ == "__main__":
    sys.exit(main())
