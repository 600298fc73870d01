"""PostgreSQL without a server: scripts taken apart, its files as text, passwords as it keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.errors import BadValue, NotFound
from webops_host.linux import postgres_hba, postgres_prepare
from webops_host.linux.pgd import DatabaseHost
from webops_host.linux.postgres_cluster import Cluster, Visitor, dump, fresh, kept, login, owner, restore, url
from webops_host.linux.postgres_passwords import Key, Keys, Passwords, other
from webops_host.linux.postgres_scram import Proof, verifier
from webops_host.linux.postgres_script import statements
from webops_host.names import DeploymentName

NAME = DeploymentName("my-shop")


def read(script: str) -> list[tuple[str, list[bytes] | None]]:
    found = statements(script.encode().splitlines(keepends=True))
    return [(one.text.decode().strip(), None if one.rows is None else list(one.rows)) for one in found]


def texts(script: str) -> list[str]:
    return [text for text, _ in read(script)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1;",
        "SELECT 'a;b', 'it''s; fine', '\\';",
        "SELECT E'it\\'s; \\\\', e'\\';';",
        'SELECT "a;b", "c"";d";',
        "SELECT $$a;b$$, $tag$ $$ ; ' $tag$;",
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 ELSE 2 END; SELECT 2; END;",
        "/* a; /* nested; */ still; */ SELECT 1;",
        "SELECT a$b$c, 'x;';",
        "SELECT\n'over\nseveral;\nlines'\n;",
    ],
)
def test_a_statement_is_read_whole(statement):
    assert texts(f"{statement}\nSELECT 2;") == [statement, "SELECT 2;"]


def test_rows_of_a_copy_belong_to_it():
    script = (
        "COPY t (a) FROM stdin;\nit's; \\N\n\\\\.\n-- no comment\n\\.\n\n"
        "COPY u FROM STDIN WITH (FORMAT text);\n\\.\nSELECT 1;\n"
    )
    assert read(script) == [
        ("COPY t (a) FROM stdin;", [b"it's; \\N\n", b"\\\\.\n", b"-- no comment\n"]),
        ("COPY u FROM STDIN WITH (FORMAT text);", []),
        ("SELECT 1;", None),
    ]


def test_comments_and_what_pg_dump_says_to_psql_are_left_out():
    assert texts("-- it's; a comment\n\\restrict abc\nSELECT 1; -- more;\n\\unrestrict abc\n") == ["SELECT 1;"]


@pytest.mark.parametrize(
    "script",
    [
        "\\! id",
        "SELECT 1 \\gexec",
        "SELECT '' \\g |id",
        "\\connect x",
        "SELECT 1; \\restrict x",
        "\\copy t from program 'x'",
    ],
)
def test_fs_07_no_command_of_psql_is_taken_for_sql(script):
    with pytest.raises(BadValue, match="a command of psql"):
        texts(script + "\n")


@pytest.mark.parametrize("script", ["SELECT 'a", "SELECT 1", "/* a", "COPY t FROM stdin;\n1\n", "SELECT (1;\n"])
def test_rel_15_a_script_that_was_cut_off_is_not_whole(script):
    with pytest.raises(BadValue, match="ends in the middle"):
        texts(script)


@given(st.lists(st.text(alphabet="ab;'\"\\$\n-/*() E", max_size=12), max_size=4))
def test_fs_07_any_text_is_read_or_refused_and_nothing_is_lost(parts):
    """A text in quotes, doubled as SQL wants it, is always one statement with all that was in it."""
    for part in parts:
        quoted = "'" + part.replace("'", "''") + "'"
        assert texts(f"SELECT {quoted};") == [f"SELECT {quoted};"]


def test_the_servers_side_of_a_password_is_that_of_the_standard():
    """The example of RFC 7677, section 3."""
    proof = Proof("pencil", "rOprNGfwEbeRWgbNEkqO")
    proof._bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"  # PostgreSQL sends the user elsewhere
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert proof.final(challenge).endswith(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    proof.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(ValueError, match="did not prove"):
        proof.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=")
    with pytest.raises(ValueError, match="does not fit"):
        Proof("pencil", "other").final(challenge)
    assert verifier("pencil", b"salt") == verifier("pencil", b"salt") != verifier("pencil")


def test_db_04_every_name_in_the_server_comes_from_the_deployments_name_and_no_two_meet():
    names = [DeploymentName(text) for text in ("a1", "a-1", "a1-new", "a1-old", "a1-a", "a-b", "ab", "x" * 31)]
    made = [
        text for name in names for text in (owner(name), fresh(name), kept(name), login(name, "a"), login(name, "b"))
    ]
    assert len(set(made)) == len(made)
    assert all(len(text) <= 63 and text.replace("_", "").isalnum() for text in made)


def test_sec_01_no_password_is_among_the_words_of_a_program(tmp_path):
    here, visitor = Cluster(tmp_path), Visitor("wo_x__v1", "s3cret")
    for command in (dump(here, visitor, "wo_x", tmp_path), restore(here, visitor, "wo_x", tmp_path, tmp_path)):
        assert "s3cret" not in f"{' '.join(command.argv)}{command}{command!r}{visitor!r}"
        assert command.env["PGPASSWORD"] == "s3cret"


def test_the_address_says_where_the_socket_is_and_another_port():
    assert url(Cluster(None), NAME, "r", "p") == "postgres://r:p@/wo_my_shop?host=/run/postgresql"
    assert url(Cluster(None, port=5433), NAME, "r", "p").endswith("?host=/run/postgresql&port=5433")


def test_nobody_signs_in_over_a_network_or_without_proof():
    text = postgres_hba.hba()
    rules = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert rules[-2:] == [["local", "all", "all", "reject"], ["host", "all", "all", "all", "reject"]]
    assert {rule[3] for rule in rules if rule[0] == "local"} == {"peer", "scram-sha-256", "reject"}
    assert not {"trust", "password", "md5", "ident"} & set(text.split())


def test_an_administrators_own_rules_stay_where_they_are_marked():
    own = "local  reports  ada  scram-sha-256"
    marked = postgres_hba.hba().replace(postgres_hba.BEGIN, f"{postgres_hba.BEGIN}\n{own}")
    assert own in postgres_hba.hba(marked)
    assert postgres_hba.hba(postgres_hba.hba(marked)) == postgres_hba.hba(marked)
    assert "trust" not in postgres_hba.hba("local all all trust\n")


@pytest.mark.parametrize(("version", "reserved"), [(14, False), (15, False), (16, True), (17, True)])
def test_settings_are_those_that_the_version_knows(version, reserved):
    text = postgres_hba.settings(version)
    assert "listen_addresses = ''" in text
    assert ("\nreserved_connections = " in text) is reserved


def test_the_platforms_user_and_worker_are_one_role():
    lines = [line.split() for line in postgres_hba.ident().splitlines() if not line.startswith("#")]
    assert ["webops_panel", "webops", "webops"] in lines
    assert ["webops_panel", "webops-worker", "webops"] in lines
    assert [line[1] for line in lines if line[2] == "postgres"] == ["postgres"]


def test_the_cluster_at_the_usual_port_is_the_one():
    listing = (
        "14  main    5433 online   postgres /var/lib/postgresql/14/main /var/log/postgresql/postgresql-14-main.log\n"
        "15  main    5432 down     postgres /var/lib/postgresql/15/main /var/log/postgresql/postgresql-15-main.log\n"
        "17  other   5434 online,recovery postgres /x /y\n"
    )
    found = postgres_prepare.choose(postgres_prepare.parse(listing))
    assert (found.version, found.name, found.is_online) == (15, "main", False)
    with pytest.raises(NotFound):
        postgres_prepare.choose(postgres_prepare.parse(""))


@pytest.mark.parametrize(
    ("before", "changed", "act"),
    [
        ("", set(), ""),
        ("", {"pg_hba.conf"}, "reload"),
        ("", {"pg_hba.conf", postgres_prepare.SETTINGS}, "restart"),
        ("restart", set(), "restart"),
        ("restart", {"pg_ident.conf"}, "restart"),
        ("reload", set(), "reload"),
    ],
)
def test_what_a_run_that_was_broken_off_left_to_do_still_is(before: str, changed: set[str], act: str):
    assert postgres_prepare.due(before, changed) == act


def test_passwords_are_kept_and_a_damaged_file_is_said_to_be_that(tmp_path):
    passwords = Passwords(tmp_path / "state")
    assert passwords.find(NAME) is None
    keys = passwords.keep(NAME, Keys(Key.new("b"), Key.new("a"), 7.0))
    assert passwords.find(NAME) == keys
    assert (other("a"), other("b")) == ("b", "a")
    assert keys.now.password not in repr(keys)
    for text in ("", "{}", '{"now": {"letter": "c", "password": "x"}, "before": null, "kept_since": 0}'):
        (tmp_path / "state" / f"{NAME}.json").write_text(text)
        with pytest.raises(BadValue, match="damaged"):
            passwords.find(NAME)
    passwords.forget(NAME)
    assert passwords.find(NAME) is None


def test_a_host_of_databases_knows_nothing_else():
    from webops_host.errors import NotSupported
    from webops_host.fake import FakeHost

    host = DatabaseHost(FakeHost().databases)
    host.fenced(NAME, 3).databases.ensure(NAME)
    assert host.explain(NAME) == {"database": "4096 bytes"}
    with pytest.raises(NotSupported):
        host.accounts.ensure(NAME)
