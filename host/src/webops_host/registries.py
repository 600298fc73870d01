"""Where packages come from, as this machine's administrator set it: indexes, proxies, certificates.

Installers run with an environment of their own, so what they need to know of the machine is picked by name from the
daemon's environment and from pip's and uv's own files. Nothing else of that environment reaches a build.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
UV = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY",
    "UV_NO_INDEX", "UV_OFFLINE", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT",
    "UV_KEYRING_PROVIDER", "UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_BUILDS", "UV_PYTHON_INSTALL_MIRROR",
    "UV_EXCLUDE_NEWER",
)  # fmt: skip
INDEXES = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"})
PIP = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
NPM = ("NODE_EXTRA_CA_CERTS",)
NPM_PREFIX = "npm_config_"
NPM_REFUSED = frozenset({"npm_config_cache", "npm_config_prefix", "npm_config_userconfig", "npm_config_globalconfig"})


def for_uv(environ: Mapping[str, str], home: Path, system: Path = Path("/etc")) -> dict[str, str]:
    """What uv has to know. pip's settings count where nothing is said to uv itself."""
    # The machine's own certificates, as git uses them: a company's proxy may be among them.
    chosen = {"UV_SYSTEM_CERTS": "true", **_picked(environ, (*NETWORK, *UV))}
    config = _uv_config(environ, home, system)
    if config is not None:
        chosen["UV_CONFIG_FILE"] = str(config)
        return chosen
    chosen["UV_NO_CONFIG"] = "1"  # a pyproject.toml in some folder above is nobody's wish
    if not INDEXES & set(chosen):
        chosen |= _from_pip(environ, home, system)
    return chosen


def for_npm(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """What npm has to know."""
    chosen = _picked(environ, (*NETWORK, *NPM))
    for key, value in environ.items():
        if key.lower().startswith(NPM_PREFIX) and key.lower() not in NPM_REFUSED:
            chosen[key] = value
    config = Path(environ.get("NPM_CONFIG_USERCONFIG") or environ.get("npm_config_userconfig") or home / ".npmrc")
    if config.is_file():
        chosen["NPM_CONFIG_USERCONFIG"] = str(config)
    return chosen


def _picked(environ: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: environ[name] for name in names if environ.get(name)}


def _uv_config(environ: Mapping[str, str], home: Path, system: Path) -> Path | None:
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [Path(environ["UV_CONFIG_FILE"])] if environ.get("UV_CONFIG_FILE") else []
    places += [folder / "uv/uv.toml", system / "uv/uv.toml"]
    return next((place for place in places if place.is_file()), None)


def _from_pip(environ: Mapping[str, str], home: Path, system: Path) -> dict[str, str]:
    """pip looks at all indexes and takes the best version of any; uv is told to do the same."""
    values = _pip_files(environ, home, system)
    for option in PIP:
        given = environ.get(f"PIP_{option.upper().replace('-', '_')}")
        if given:
            values[option] = given
    chosen = {}
    for option, name in PIP.items():
        words = values.get(option, "").split()
        if words:
            chosen[name] = (" " if name != "UV_FIND_LINKS" else ",").join(words)
    if "UV_INDEX" in chosen:
        chosen["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return chosen


def _pip_files(environ: Mapping[str, str], home: Path, system: Path) -> dict[str, str]:
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [system / "pip.conf", home / ".pip/pip.conf", folder / "pip/pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        places.append(Path(environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    try:
        parser.read(os.fspath(place) for place in places)
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return {
        option: parser[section][option]
        for section in ("global", "install")
        if parser.has_section(section)
        for option in PIP
        if option in parser[section]
    }
