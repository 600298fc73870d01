"""Where packages come from, as the machine's administrator said."""

from __future__ import annotations

from pathlib import Path

from webops_host import registries


def test_installers_see_named_variables_and_nothing_else(tmp_path: Path):
    environ = {
        "HTTPS_PROXY": "http://proxy:3128", "UV_INDEX_URL": "https://mirror/simple", "SECRET_KEY": "x",
        "npm_config_registry": "https://npm.mirror/", "npm_config_cache": "/root/.npm", "PYTHONPATH": "/evil",
    }  # fmt: skip
    for_uv = registries.for_uv(environ, tmp_path, tmp_path)
    given = {"HTTPS_PROXY": "http://proxy:3128", "UV_INDEX_URL": "https://mirror/simple"}
    assert for_uv == {**given, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "true"}
    for_npm = registries.for_npm(environ, tmp_path)
    assert for_npm == {"HTTPS_PROXY": "http://proxy:3128", "npm_config_registry": "https://npm.mirror/"}


def test_the_settings_of_pip_count_where_uv_has_none(tmp_path: Path):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://a/simple\nextra-index-url =\n  https://b\n  https://c\n"
    )
    environ = {"PIP_FIND_LINKS": "/wheels /more"}
    assert registries.for_uv(environ, tmp_path / "home", tmp_path) == {
        "UV_NO_CONFIG": "1",
        "UV_SYSTEM_CERTS": "true",
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_INDEX": "https://b https://c",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_the_administrators_uv_configuration_is_used(tmp_path: Path):
    config = tmp_path / ".config/uv/uv.toml"
    config.parent.mkdir(parents=True)
    config.touch()
    chosen = registries.for_uv({}, tmp_path, tmp_path / "etc")
    assert chosen == {"UV_CONFIG_FILE": str(config), "UV_SYSTEM_CERTS": "true"}


# --- what programs see ---
