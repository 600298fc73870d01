"""Fetching, listing, reading and laying out, with real git over https."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.git_server import GitServer, Link, Repository, Submodule, git

from webops_host import repository
from webops_host.errors import AddressRefused, BadValue, Cancelled, FetchFailed, HostError, NotFound
from webops_host.layout import Layout
from webops_host.names import CommitId, DeploymentName, GitRef
from webops_host.sources import LocalSources
from webops_host.values import Console, Credential, FetchSpec, GitHost

NAME = DeploymentName("site")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "sites")


@pytest.fixture
def sources(layout: Layout) -> LocalSources:
    return LocalSources(layout)


@pytest.fixture
def site(server: GitServer) -> Repository:
    return server.repository("team/site", {"index.html": "one", "css/site.css": "body {}"})


def spec(server: GitServer, ref: str = "", path: str = "team/site", **more) -> FetchSpec:
    host: GitHost = more.pop("git_host", server.git_host)
    url, _ = repository.parse(server.url(path), [server.git_host])
    return FetchSpec(url, host, GitRef(ref) if ref else None, **more)


def quiet() -> Console:
    return Console(lambda line: None)


def refused(sources: LocalSources, wanted: FetchSpec, lines: list[str] | None = None) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        sources.fetch(NAME, wanted, Console((lines if lines is not None else []).append))
    return caught.value


# --- fetching ---


def test_the_default_branch_is_found_and_fetched(server: GitServer, site: Repository, sources: LocalSources):
    lines: list[str] = []
    found = sources.fetch(NAME, spec(server), Console(lines.append))
    assert (found.commit, found.ref, found.subject, found.author) == (site.resolve("main"), "main", "First", "Ada")
    assert found.committed_at == 1_700_000_060
    assert any("objects" in line for line in lines)


def test_fetching_again_brings_what_is_new_and_asks_less(server: GitServer, site: Repository, sources: LocalSources):
    first = sources.fetch(NAME, spec(server), quiet())
    asked = len(server.requests)
    assert sources.fetch(NAME, spec(server), quiet()) == first
    assert len(server.requests) - asked <= 3
    newest = site.commit({"index.html": "two"})
    assert sources.fetch(NAME, spec(server), quiet()).commit == newest


def test_a_default_branch_that_changes_is_followed(server: GitServer, site: Repository, sources: LocalSources):
    sources.fetch(NAME, spec(server), quiet())
    newest = site.commit({"index.html": "trunk"}, branch="trunk")
    git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=site.path)
    found = sources.fetch(NAME, spec(server), quiet())
    assert (found.commit, found.ref) == (newest, "trunk")


def test_a_branch_a_tag_and_a_commit_are_found(server: GitServer, site: Repository, sources: LocalSources):
    first = site.resolve("main")
    site.tag("v1", annotated=True)
    middle = site.commit({"index.html": "two"})
    last = site.commit({"index.html": "three"}, branch="feature/x#1")
    assert sources.fetch(NAME, spec(server, "feature/x#1"), quiet()).commit == last
    assert sources.fetch(NAME, spec(server, "v1"), quiet()).commit == first
    assert sources.fetch(NAME, spec(server, middle), quiet()).commit == middle


def test_a_commit_that_is_here_needs_no_server(server: GitServer, site: Repository, sources: LocalSources):
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    asked = len(server.requests)
    assert sources.fetch(NAME, spec(server, commit), quiet()).commit == commit
    assert len(server.requests) == asked


def test_a_commit_is_found_on_a_server_that_only_gives_branches(
    server: GitServer, site: Repository, sources: LocalSources
):
    git("config", "uploadpack.allowAnySHA1InWant", "false", cwd=site.path)
    first = site.resolve("main")
    site.commit({"index.html": "two"})
    assert sources.fetch(NAME, spec(server, first), quiet()).commit == first


def test_rewritten_history_is_followed(server: GitServer, site: Repository, sources: LocalSources):
    sources.fetch(NAME, spec(server), quiet())
    git("update-ref", "-d", "refs/heads/main", cwd=site.path)
    other = site.commit({"index.html": "begun anew"})
    assert sources.fetch(NAME, spec(server), quiet()).commit == other


def test_a_missing_ref_is_answered_with_the_default_branch(server: GitServer, site: Repository, sources: LocalSources):
    error = refused(sources, spec(server, "master"))
    assert error.facts["reason"] == "ref_not_found"
    assert "main" in error.hint
    assert refused(sources, spec(server, "1" * 40)).facts["reason"] == "ref_not_found"


def test_a_missing_and_an_empty_repository_are_told_apart(server: GitServer, sources: LocalSources):
    server.repository("team/empty")
    assert refused(sources, spec(server, path="team/none")).facts["reason"] == "not_found"
    error = refused(sources, spec(server, path="team/empty"))
    assert error.facts["reason"] == "ref_not_found"
    assert "empty" in error.message


def test_a_private_repository_needs_its_token(server: GitServer, site: Repository, sources: LocalSources):
    server.token = ("ada", "right-t0ken")
    assert refused(sources, spec(server)).facts["reason"] == "credentials"
    assert refused(sources, spec(server, credential=Credential("ada", "wrong"))).facts["reason"] == "credentials"
    sources.fetch(NAME, spec(server, credential=Credential("ada", "right-t0ken")), quiet())


def test_sec_05_a_token_is_left_nowhere(server: GitServer, site: Repository, sources: LocalSources, layout: Layout):
    server.token = ("ada", "right-t0ken")
    lines: list[str] = []
    wanted = spec(server, credential=Credential("ada", "right-t0ken"))
    found = sources.fetch(NAME, wanted, Console(lines.append))
    sources.checkout(NAME, 1, found.commit)
    encoded = base64.b64encode(b"ada:right-t0ken")
    for folder, _, names in os.walk(layout.root):
        for name in names:
            content = Path(folder, name).read_bytes()
            assert b"right-t0ken" not in content
            assert encoded not in content
    assert "right-t0ken" not in "\n".join(lines) + repr(wanted)


def test_rel_20_a_repository_over_the_limit_is_refused_and_leaves_room(
    server: GitServer, sources: LocalSources, layout: Layout
):
    big = server.repository("team/site", {"big.bin": os.urandom(3 << 20)})
    error = refused(sources, spec(server, limit_mib=1))
    assert error.facts["reason"] == "too_large"
    big.commit({"big.bin": None, "index.html": "small again"})
    git("update-ref", "refs/heads/main", git("commit-tree", "main^{tree}", "-m", "x", cwd=big.path), cwd=big.path)
    sources.fetch(NAME, spec(server, limit_mib=1), quiet())


def test_rel_20_a_server_that_hangs_is_given_up(server: GitServer, site: Repository, sources: LocalSources):
    server.hang = True
    assert refused(sources, spec(server, timeout=0.5)).facts["reason"] == "too_slow"


def test_rel_20_a_server_that_trickles_is_given_up(server: GitServer, site: Repository, sources: LocalSources):
    server.trickle = True
    error = refused(sources, spec(server, timeout=6.0))
    assert error.facts["reason"] == "too_slow"


def test_cancelling_stops_a_fetch(server: GitServer, site: Repository, sources: LocalSources):
    server.hang = True
    with pytest.raises(Cancelled):
        sources.fetch(NAME, spec(server), Console(lambda line: None, lambda: bool(server.requests)))


def test_rel_20_a_certificate_that_nobody_vouches_for_is_refused(
    server: GitServer, site: Repository, sources: LocalSources
):
    stranger = GitHost(server.git_host.name, server.port, private=True)
    assert refused(sources, spec(server, git_host=stranger)).facts["reason"] == "tls"


def test_a_server_that_only_knows_the_git_suffix_is_understood(
    server: GitServer, site: Repository, sources: LocalSources
):
    server.only_git_suffix = True
    assert sources.fetch(NAME, spec(server), quiet()).commit == site.resolve("main")


def test_another_servers_repository_is_not_fetched_with_this_servers_rights(
    server: GitServer, site: Repository, sources: LocalSources
):
    other = GitHost(server.git_host.name, server.port + 1, private=True)
    with pytest.raises(BadValue):
        sources.fetch(NAME, spec(server, git_host=other), quiet())


# --- where it connects to ---


def test_ssrf_03_git_connects_to_the_address_that_was_checked(server: GitServer, site: Repository, layout: Layout):
    sources = LocalSources(layout, resolver=lambda host, port: ["127.0.0.9"])  # where nobody listens
    assert refused(sources, spec(server, timeout=10.0)).facts["reason"] == "unreachable"
    assert server.requests == []


def test_ssrf_04_a_name_with_a_private_address_among_others_is_refused(
    server: GitServer, site: Repository, layout: Layout
):
    public_only = GitHost(server.git_host.name, server.port, ca_pem=server.ca_pem)
    sources = LocalSources(layout, resolver=lambda host, port: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(AddressRefused):
        sources.fetch(NAME, spec(server, git_host=public_only), quiet())
    assert server.requests == []


def test_ssrf_05_a_redirect_is_not_followed(server: GitServer, site: Repository, sources: LocalSources, tmp_path: Path):
    with GitServer(tmp_path / "inner") as inner:
        inner.repository("team/site", {"index.html": "inside"})
        server.redirect_to = f"https://localhost:{inner.port}"
        error = refused(sources, spec(server))
        assert inner.requests == []
    assert "redirect" in error.message


@pytest.mark.parametrize("status", [200, 404, 500])
def test_ssrf_07_what_a_server_answers_is_not_shown(
    server: GitServer, site: Repository, sources: LocalSources, status: int
):
    server.page = (status, "SECRET BANNER")
    lines: list[str] = []
    error = refused(sources, spec(server), lines)
    assert "BANNER" not in f"{error} {error.hint} {error.facts} {lines}"


# --- what was fetched ---


def test_a_commit_is_listed_with_kinds_and_sizes(server: GitServer, sources: LocalSources):
    server.repository("team/site", {"a/b.txt": "12345", "link": Link("a/b.txt"), "vendor": Submodule()})
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    listed = {entry.path: (entry.kind, entry.size) for entry in sources.listing(NAME, commit)}
    assert listed == {"a/b.txt": ("file", 5), "link": ("link", 7), "vendor": ("submodule", 0)}


def test_only_small_regular_files_are_read(server: GitServer, sources: LocalSources):
    server.repository("team/site", {"a": "x\n", "empty": "", "big": b"x" * ((1 << 20) + 1), "link": Link("a")})
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    wanted = ["a", "empty", "big", "link", "missing", "../a"]
    assert sources.read(NAME, commit, wanted) == {"a": b"x\n", "empty": b""}


def test_an_unknown_commit_is_not_found(server: GitServer, site: Repository, sources: LocalSources):
    sources.fetch(NAME, spec(server), quiet())
    with pytest.raises(NotFound):
        sources.listing(NAME, CommitId("1" * 40))
    with pytest.raises(NotFound):
        sources.checkout(NAME, 1, CommitId("1" * 40))


def test_a_checkout_is_the_tree_and_is_made_anew(
    server: GitServer, site: Repository, sources: LocalSources, layout: Layout
):
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    source = layout.source(NAME, 1)
    source.mkdir(parents=True)
    (source / "left-over").touch()
    for _ in range(2):
        sources.checkout(NAME, 1, commit)
        assert sorted(path.name for path in source.rglob("*")) == ["css", "index.html", "site.css"]
    assert [path.name for path in layout.release(NAME, 1).iterdir()] == ["source"]


def test_inj_06_hostile_file_names_are_only_names(server: GitServer, sources: LocalSources, layout: Layout):
    names = ("'; touch x #.conf", "--help", "-rf", "a\nb", "$(touch canary)", "`id`", "ünï", "a\tb")
    server.repository("team/site", {name: name for name in names})
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    assert {entry.path for entry in sources.listing(NAME, commit)} == set(names)
    assert sources.read(NAME, commit, names) == {name: name.encode() for name in names}
    sources.checkout(NAME, 1, commit)
    assert {path.name for path in layout.source(NAME, 1).iterdir()} == set(names)


# --- hostile trees ---


def test_fs_01_a_link_that_leads_outside_is_left_out(
    server: GitServer, sources: LocalSources, layout: Layout, tmp_path: Path
):
    links = {
        "shadow": Link("/etc/shadow"), "up": Link("../../x"), "root": Link("/"), "here": Link("."),
        "through": Link("here/../../x"), "a/inside": Link("../index.html"), "a/dangling": Link("nothing-yet"),
        "loop": Link("loop"), "absent": Link("missing/../../../x"),
    }  # fmt: skip
    server.repository("team/site", {"index.html": "x", **links})
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    sources.checkout(NAME, 1, commit)
    source = layout.source(NAME, 1)
    kept = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_symlink()}
    assert kept <= {"here", "a/inside", "a/dangling", "loop"}
    assert (source / "a/inside").read_text() == "x"


def test_fs_02_a_linked_folder_does_not_receive_files(server: GitServer, sources: LocalSources, layout: Layout):
    repo = server.repository("team/site", {"index.html": "x"})
    outside = layout.root.parent / "outside"
    outside.mkdir()
    repo.plant(("static", f"->{outside}"), ("static/", "evil"))
    with suppress(HostError):
        commit = sources.fetch(NAME, spec(server), quiet()).commit
        sources.checkout(NAME, 1, commit)
    assert list(outside.iterdir()) == []


def test_fs_03_submodules_are_left_out_whatever_they_name(server: GitServer, sources: LocalSources, layout: Layout):
    canary = layout.root.parent / "canary"
    modules = f'[submodule "x"]\n\tpath = vendor\n\turl = ext::sh -c touch% {canary}\n'
    server.repository("team/site", {"index.html": "x", ".gitmodules": modules, "vendor": Submodule()})
    commit = sources.fetch(NAME, spec(server), quiet()).commit
    sources.checkout(NAME, 1, commit)
    assert not (layout.source(NAME, 1) / "vendor").exists()
    assert not canary.exists()


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git"])
def test_fs_04_a_path_named_git_is_refused_when_fetched(server: GitServer, sources: LocalSources, name: str):
    repo = server.repository("team/site", {"index.html": "x"})
    repo.plant((name, "gitdir: /elsewhere"))
    error = refused(sources, spec(server))
    assert error.facts["reason"] == "other"
    assert ".git" in error.hint


@pytest.mark.parametrize("name", [".git", ".GIT"])
def test_fs_04_a_path_named_git_is_refused_when_laid_out(sources: LocalSources, layout: Layout, name: str):
    mirror = layout.mirror(NAME)
    mirror.mkdir(parents=True)
    git("init", "--quiet", "--bare", cwd=mirror)
    planted = Repository(mirror)
    planted.plant((name, "gitdir: /elsewhere"))
    commit = CommitId(planted.resolve("main"))
    with pytest.raises(BadValue):
        sources.checkout(NAME, 1, commit)
    assert not layout.source(NAME, 1).exists()


def test_the_authority_of_a_server_is_kept_from_others(sources: LocalSources):
    with sources._authorities("PEM") as file:
        assert file is not None
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()
