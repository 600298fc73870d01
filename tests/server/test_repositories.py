"""Repositories that mean harm, on an installed server: their names, links and lines; and what must not leak of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from tests.server.installed import Installed
from tests.support.git_server import GitServer, Link, Repository, Submodule
from tests.support.words import Words

pytestmark = pytest.mark.server

TOKEN, SECRET = "canary-token-90d3", "canary-secret-90d3"
OWNED = "owned-90d3"
"""What is there once a line ran that must not."""
NAMES = (
    f"'; touch {OWNED} #.conf", "--help", "-rf", f"a\ntouch {OWNED}", f"$(touch {OWNED})", f"`touch {OWNED}`",
    "README.md", "readme.md",
)  # fmt: skip
LINE = (
    f'id -un; echo "at home in $HOME" && echo "it knows $STRIPE_KEY"; touch /etc/{OWNED} /srv/webops/{OWNED} '
    f"../../{OWNED}; cat shadow static/passwd; true"
)
BUILD = f"""[build]
command = '''{LINE}; ln -s /etc public/etc; ln -s /etc/shadow public/shadow; ls -A > public/listing.txt'''
publish = "public"
"""
MODULES = f'[submodule "x"]\n\tpath = vendor\n\turl = ext::sh -c touch% /tmp/{OWNED}\n'
ODD = {
    "public/index.html": "odd", "webops.toml": BUILD, ".gitmodules": MODULES, "vendor": Submodule(),
    "shadow": Link("/etc/shadow"), "static": Link("/etc"), "public/up": Link("../../../../../etc"),
    **{f"public/{name}": name for name in NAMES},
}  # fmt: skip
HARD = " a\"b'c $HOME %n \\n \\ `id` # ünï;\t\nUser=root\n "
SERVE = (
    'mkdir -p "$HOME/site" && cd "$HOME/site"; printf %s "$HARD" > hard; '
    "id -un > who && exec python3 -m http.server $PORT -b 127.0.0.1"
)
LINES = {"app.py": "", "Procfile": f"web: {LINE}; {SERVE}\nrelease: {LINE}\n"}


@dataclass
class Hostile:
    """Two deployments: a static site of a private repository, and an app. `words` is what programs were started with
    meanwhile."""

    installed: Installed
    odd: Repository
    words: set[bytes] = field(default_factory=set)

    def log(self, name: str) -> str:
        lines = self.installed.api.get(f"deployments/{name}/releases/1/log").text.splitlines()
        return "\n".join(json.loads(line)["text"] for line in lines)

    def failed(self) -> str:
        """The next release of the site fails, which changes nothing; what is said of it."""
        release = self.installed.deploy("odd")
        assert release["state"] == "failed", release
        assert self.installed.page("odd").text == "odd"
        return f"{release['cause']} {release['hint']}"


@pytest.fixture(scope="module")
def hostile(installed: Installed, git_host: GitServer) -> Iterator[Hostile]:
    installed.allow(git_host)
    git_host.token = ("ada", TOKEN)
    given = {"username": "ada", "token": TOKEN, "variables": {"STRIPE_KEY": SECRET, "HARD": HARD}}
    made = Hostile(installed, git_host.repository("team/odd", ODD))
    git_host.repository("team/lines", LINES)
    with Words() as words:
        for name in ("odd", "lines"):
            installed.call("POST", "deployments", name=name, repository=git_host.url(f"team/{name}"), **given)
        for name in ("odd", "lines"):
            installed.live(name, 1)
    made.words = words.seen
    yield made
    git_host.token = None


def test_inj_06_file_names_are_only_names(hostile: Hostile) -> None:
    for name in NAMES:
        assert hostile.installed.page("odd", f"/{quote(name)}").text == name
    server = hostile.installed.server
    assert server.run(f"find / -xdev -name {OWNED} -not -path '/proc/*'", check=False).lines == []
    server.run(("nginx", "-t"))


@pytest.mark.parametrize("name", ["odd", "lines"])
def test_inj_07_lines_of_a_project_run_as_the_project_in_its_sandbox(hostile: Hostile, name: str) -> None:
    said = hostile.log(name)
    assert f"wo-{name}" in said
    assert f"at home in /srv/webops/{name}/shared/home" in said, "its shell is a shell"
    assert said.count("touch: cannot touch") == 3
    assert hostile.installed.server.run(f"find / -xdev -name {OWNED} -not -path '/proc/*'", check=False).lines == []


def test_inj_07_a_program_runs_as_the_project(hostile: Hostile) -> None:
    assert hostile.installed.page("lines", "/who").text == "wo-lines\n"


def test_inj_10_a_variable_arrives_byte_for_byte(hostile: Hostile) -> None:
    assert hostile.installed.page("lines", "/hard").content == HARD.encode()


def test_sec_02_what_prints_its_secret_is_masked(hostile: Hostile) -> None:
    texts = [hostile.log("odd"), hostile.log("lines"), hostile.installed.api.get("deployments/lines/logs").text]
    for text in texts:
        assert "it knows [hidden]" in text
        assert SECRET not in text


def test_sec_05_a_token_is_in_no_words_and_no_file(hostile: Hostile, git_host: GitServer) -> None:
    words = b"\n".join(hostile.words).decode(errors="replace")
    assert f"https://{git_host.name}/team/odd" in words, "the control: git was seen at work"
    server, encoded = hostile.installed.server, base64.b64encode(f"ada:{TOKEN}".encode()).decode()
    for secret in (TOKEN, encoded):
        assert secret not in words
        places = "/etc /home /opt/webops/current /root /run /srv /tmp /var/lib /var/log /var/tmp"
        assert server.run(f"grep -rlsaF -D skip {secret} {places}", check=False).lines == []
        assert server.run(f"journalctl --no-pager -q | grep -cF {secret}", check=False).stdout.strip() == "0"


def test_fs_01_links_that_lead_outside_are_left_out(hostile: Hostile) -> None:
    assert "cat: shadow: No such file" in hostile.log("odd")
    for path in ("/shadow", "/etc/passwd", "/up/passwd"):
        assert hostile.installed.page("odd", path).status_code == 404


def test_fs_02_a_linked_folder_is_neither_filled_nor_served(hostile: Hostile) -> None:
    assert "cat: static/passwd: No such file" in hostile.log("odd")
    hostile.odd.commit({"webops.toml": '[build]\ncommand = "rm -r public; ln -s /etc public"\npublish = "public"\n'})
    assert "public" in hostile.failed()
    hostile.odd.plant(("index.html", "planted"), ("static", "->/srv/webops/odd/shared"), ("static/", "evil"))
    hostile.failed()
    assert hostile.installed.server.run("find /srv/webops -name inside").lines == []


def test_fs_03_submodules_are_left_out(hostile: Hostile) -> None:
    listed = hostile.installed.page("odd", "/listing.txt").text.splitlines()
    assert ".gitmodules" in listed
    assert "vendor" not in listed
    assert ".git" not in listed


@pytest.mark.parametrize("name", [".git", ".GIT"])
def test_fs_04_a_path_named_git_is_refused(hostile: Hostile, name: str) -> None:
    hostile.odd.plant(("index.html", "planted"), (name, "gitdir: /srv/webops/lines/repo.git"))
    assert ".git" in hostile.failed()
