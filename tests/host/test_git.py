"""Git as commands: what is in the words, what is in the environment, and that git agrees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from webops_host import git, git_failures, runner
from webops_host.command import Command
from webops_host.names import CommitId, HostName
from webops_host.values import Credential, RepositoryUrl

MIRROR = Path("/srv/webops/site/repo.git")
URL = RepositoryUrl(HostName("git.example.com"), 8443, "team/site")
CONNECTION = git.Connection(URL, ("8.8.8.8", "2606:4700::1"), Path("/tmp/ca.pem"), Credential("ada", "t0ken"))
COMMIT = CommitId("a" * 40)


@dataclass(frozen=True)
class Unchecked:
    """A URL as it would be if nobody had checked it."""

    text: str
    host: str = "git.example.com"
    port: int = 443

    def __str__(self) -> str:
        return self.text


def unchecked(text: str) -> git.Connection:
    return git.Connection(cast(RepositoryUrl, Unchecked(text)), ("127.0.0.1",))


def config(command: Command) -> dict[str, str]:
    env = command.env
    numbers = range(int(env["GIT_CONFIG_COUNT"]))
    return {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in numbers}


def every_command(connection: git.Connection = CONNECTION) -> list[Command]:
    return [
        git.init(MIRROR),
        git.advertised(MIRROR, connection, ["refs/tags/v1"], timeout=5),
        git.fetch(MIRROR, connection, ["+refs/heads/main:refs/webops/fetched"], timeout=5),
        git.show(MIRROR, COMMIT),
        git.tree(MIRROR, COMMIT),
        git.blobs(MIRROR, [COMMIT]),
        git.lay_out(MIRROR, COMMIT, Path("/srv/x"), Path("/srv/index")),
        git.repack(MIRROR),
        git.remember_default(MIRROR, "refs/heads/main"),
    ]


def test_every_git_runs_without_any_configuration_prompt_hook_or_other_protocol():
    for command in every_command():
        settings = config(command)
        assert command.env["GIT_CONFIG_NOSYSTEM"] == "1"
        assert command.env["GIT_CONFIG_GLOBAL"] == "/dev/null"
        assert command.env["GIT_TERMINAL_PROMPT"] == "0"
        assert command.env["GIT_ALLOW_PROTOCOL"] == "https"
        assert settings["core.hooksPath"] == "/dev/null"
        assert settings["protocol.allow"] == "never"
        assert settings["protocol.https.allow"] == "always"
        assert settings["http.followRedirects"] == "false"
        assert settings["submodule.recurse"] == "false"
        assert settings["gc.auto"] == "0"


def test_git_connects_to_the_checked_addresses_only():
    assert config(git.fetch(MIRROR, CONNECTION, [], timeout=5))["http.curloptResolve"] == (
        "git.example.com:8443:8.8.8.8,[2606:4700::1]"
    )


@pytest.mark.parametrize("index", [1, 2])
def test_inj_02_what_was_typed_stands_behind_the_end_of_options(index: int):
    argv = every_command(unchecked("--upload-pack=touch x"))[index].argv
    assert argv.index("--end-of-options") < argv.index("--upload-pack=touch x")


@pytest.mark.parametrize("typed", ["--upload-pack=touch {canary}", "-utouch {canary}", "--exec=touch {canary}"])
def test_inj_02_an_unchecked_url_runs_nothing(tmp_path: Path, typed: str):
    mirror, canary = tmp_path / "repo.git", tmp_path / "canary"
    runner.run(git.init(mirror))
    connection = unchecked(typed.format(canary=canary))
    for command in (
        git.advertised(mirror, connection, timeout=10),
        git.fetch(mirror, connection, ["main"], timeout=10),
    ):
        assert runner.run(command, check=False).status != 0
    assert not canary.exists()


@pytest.mark.parametrize("ref", ["--output={canary}", "--upload-pack=touch {canary}"])
def test_inj_02_an_unchecked_ref_runs_and_writes_nothing(tmp_path: Path, ref: str):
    mirror, canary = tmp_path / "repo.git", tmp_path / "canary"
    runner.run(git.init(mirror))
    typed: Any = ref.format(canary=canary)
    for command in (
        git.show(mirror, typed),
        git.tree(mirror, typed),
        git.lay_out(mirror, typed, tmp_path, tmp_path / "index"),
        git.fetch(mirror, unchecked("https://git.example.com/x"), [typed], timeout=0.5),
    ):
        assert runner.run(command, check=False).status != 0
    assert not canary.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {canary}",
        "file://{other}",
        "{other}",
        "git://127.0.0.1/x",
        "http://127.0.0.1/x",
        "ssh://127.0.0.1/x",
    ],
)
def test_inj_03_git_itself_refuses_other_transports(tmp_path: Path, url: str):
    mirror, other, canary = tmp_path / "repo.git", tmp_path / "other.git", tmp_path / "canary"
    runner.run(git.init(mirror))
    runner.run(git.init(other))
    connection = unchecked(url.format(canary=canary, other=other))
    result = runner.run(git.advertised(mirror, connection, timeout=10), check=False)
    assert result.status == 128
    assert "not allowed" in result.output
    assert not canary.exists()


def test_sec_05_a_credential_is_in_no_word_and_not_printed():
    for command in every_command():
        assert "t0ken" not in " ".join(command.argv) + str(command) + repr(command)
    header = config(git.fetch(MIRROR, CONNECTION, [], timeout=5))["http.https://git.example.com:8443/.extraHeader"]
    assert header.startswith("Authorization: Basic ")
    assert "t0ken" in git.fetch(MIRROR, CONNECTION, [], timeout=5).hide


def test_commands_that_stay_here_carry_no_credential():
    assert not any("Authorization" in value for value in git.show(MIRROR, COMMIT).env.values())


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", "credentials"),
        ("fatal: Authentication failed for 'https://github.com/a/b/'", "credentials"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "credentials"),
        ("fatal: repository 'https://github.com/a/b/' not found", "not_found"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 302", "other"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 503", "unreachable"),
        ("fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection refused", "unreachable"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "unreachable"),
        ("error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec", "too_slow"),
        ("fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate", "tls"),
        ("fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none", "tls"),
        ("error: object 1234: hasDotgit: contains '.git'\nfatal: fsck error in packed object", "other"),
        ("fatal: something nobody has seen before", "other"),
    ],
)
def test_what_git_says_becomes_a_reason(output: str, reason: str):
    error = git_failures.explain(output, URL)
    assert error.facts["reason"] == reason
    assert error.hint


def test_ssrf_07_what_a_server_says_is_not_repeated():
    error = git_failures.explain("remote: SECRET BANNER\nfatal: unable to access: error: 500 SECRET BANNER", URL)
    assert "BANNER" not in f"{error} {error.hint} {error.facts}"
    assert git_failures.PROGRESS.fullmatch("remote: SECRET BANNER") is None
    assert git_failures.PROGRESS.fullmatch("remote: Counting objects: 100% (3/3), done.")
