"""The environment that a release's programs see: the same for its build, its release work and its units.

The project's variables arrive byte for byte. What the platform owns (where to find programs, where files go, which
settings module runs) stands above them; what it merely suggests stands below.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from webops_host.layout import Layout
from webops_host.names import DeploymentName, Digest
from webops_host.values import Runtime

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
OVERLAY_MODULE = "webops_settings"
READY = ".ready"  # the marker of an environment that is whole


def runtime_environment(layout: Layout, runtime: Runtime, *, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a program of the release. `extra` is the caller's own and wins over everything.

    Its folder to run in is `working_folder`.
    """
    suggested = {
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    variables = {str(key): value for key, value in runtime.variables.items()}
    return {**suggested, **variables, **_owned(layout, runtime, variables), **(extra or {})}


def working_folder(layout: Layout, runtime: Runtime) -> Path:
    return layout.source(runtime.name, runtime.release) / runtime.root


def home(layout: Layout, name: DeploymentName) -> Path:
    """The home folder of a deployment's programs; it survives releases."""
    return layout.shared(name) / "home"


def python_home(layout: Layout, name: DeploymentName, digest: Digest) -> Path:
    """Where the environment is: the sealed one when it is whole, else the deployment's own."""
    sealed = layout.sealed_env(digest)
    return sealed if (sealed / READY).exists() else layout.own_env(name, digest)


def search_path(layout: Layout, runtime: Runtime) -> str:
    """PATH: the release's own programs first."""
    folders: list[str] = []
    if runtime.environment is not None:
        folders.append(str(python_home(layout, runtime.name, runtime.environment) / "bin"))
    if runtime.node:
        folders.append(str(working_folder(layout, runtime) / "node_modules/.bin"))
        node = shutil.which("node")
        folders += [os.path.dirname(node)] if node is not None else []
    return os.pathsep.join(dict.fromkeys((*folders, *SYSTEM_PATH)))


def _owned(layout: Layout, runtime: Runtime, variables: Mapping[str, str]) -> dict[str, str]:
    name, release = runtime.name, runtime.release
    paths = [variables.get("PYTHONPATH", "")]
    if (working_folder(layout, runtime) / "src").is_dir():
        paths.insert(0, str(working_folder(layout, runtime) / "src"))  # this release's code before an installed copy
    owned = {
        "PATH": search_path(layout, runtime),
        "HOME": str(home(layout, name)),
        "STATIC_ROOT": str(layout.static(name, release)),
        "MEDIA_ROOT": str(layout.media(name)),
        "WEBOPS_NAME": str(name),
        "WEBOPS_DATA": str(layout.data(name)),
        "WEBOPS_SOURCE": str(layout.source(name, release)),
    }
    if runtime.environment is not None:
        owned["VIRTUAL_ENV"] = str(python_home(layout, name, runtime.environment))
    if runtime.settings is not None:
        paths.insert(0, str(layout.overlay(name, release)))
        owned["DJANGO_SETTINGS_MODULE"] = OVERLAY_MODULE
        owned["WEBOPS_DJANGO_SETTINGS"] = str(runtime.settings)
    if any(paths):
        owned["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return owned
