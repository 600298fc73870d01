"""The embedded web server: files of a site, and nothing else of the disk."""

from __future__ import annotations

import gzip
import os

import pytest
from tests.support import file_names
from tests.support.machine import BLOG
from tests.support.raw import ask, hear, say

from webops_host.values import Site


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("/", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/?a=b", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/index.html", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/about", b"about", "text/html; charset=utf-8"),
        ("/notes/", b"notes", "text/html; charset=utf-8"),
        ("/letters.txt", b"abcdefghij", "text/plain; charset=utf-8"),
        ("/lett%65rs.txt", b"abcdefghij", "text/plain; charset=utf-8"),
        ("/%C3%BCn%C3%AF%20c%C3%B6de.txt", b"unicode", "text/plain; charset=utf-8"),
        ("/.well-known/security.txt", b"contact", "text/plain; charset=utf-8"),
        ("/app.1234abcd.js", b"1", "text/javascript; charset=utf-8"),
        ("/nothing.bin", b"", "application/octet-stream"),
        ("http://blog.test/letters.txt", b"abcdefghij", "text/plain; charset=utf-8"),
    ],
)
def test_files_are_served(pages, target, body, kind):
    heard = ask(pages, target)
    assert (heard.status, heard.body, heard.get("content-type")) == (200, body, kind)
    assert heard.get("content-length") == str(len(body))


@pytest.mark.parametrize(
    "target",
    [
        "/../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/notes/../../secret", "/notes/%2E%2E/",
        "/./", "//", "//etc/passwd", "/notes//index.html", "/.env", "/%2eenv", "/.git/config", "/notes/.hidden",
        "/.well-known/../.env", "/..\\secret", "/%5c..%5csecret", "/letters.txt%00.html", "/letters.txt/",
        "/letters.txt/x", "/link.txt", "/root/etc/passwd", "/inside.txt", "/pipe", "/missing", "/empty/", "/%ff%fe",
        "/" + "a" * 300, "/.", "/..", "/.well-known/", "/.well-known",
    ],
)  # fmt: skip
def test_fs_05_nothing_outside_the_tree_is_served(pages, target):
    heard = ask(pages, target)
    assert heard.status == 404
    assert b"secret" not in heard.body


def test_fs_05_a_tree_that_is_itself_a_link_is_not_served(real, own_pages):
    public = real.layout.public(BLOG, 1)
    public.rename(public.with_name("moved"))
    public.symlink_to("/etc")
    assert ask(own_pages, "/passwd").status == 404


def test_a_site_shows_its_own_404_page(pages):
    heard = ask(pages, "/missing")
    assert (heard.status, heard.body) == (404, b"<h1>lost</h1>")


def test_a_folder_is_redirected_to_its_slash(pages):
    heard = ask(pages, "/notes?a=b")
    assert (heard.status, heard.get("location")) == (301, "/notes/?a=b")


def test_a_single_page_app_answers_every_page_and_no_file(real, own_pages):
    real.host.sites.publish(Site(BLOG, 1, fallback=True))
    assert ask(own_pages, "/deep/link").body == b"<h1>home</h1>"
    for target in ("/missing.js", "/.env", "/.git/config", "/a/../b"):
        assert ask(own_pages, target).status == 404


@pytest.mark.parametrize(
    ("wanted", "status", "body", "where"),
    [
        ("bytes=0-0", 206, b"a", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"cde", "bytes 2-4/10"),
        ("bytes=7-", 206, b"hij", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"hij", "bytes 7-9/10"),
        ("bytes=-3", 206, b"hij", "bytes 7-9/10"),
        ("bytes=-99", 206, b"abcdefghij", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, b"abcdefghij", ""),
        ("bytes=0-1,3-4", 200, b"abcdefghij", ""),
        ("lines=1-2", 200, b"abcdefghij", ""),
        ("bytes=x-y", 200, b"abcdefghij", ""),
        (f"bytes={'9' * 30}-", 200, b"abcdefghij", ""),
    ],
)
def test_ranges(pages, wanted, status, body, where):
    heard = ask(pages, "/letters.txt", f"Range: {wanted}")
    assert (heard.status, heard.body, heard.get("content-range")) == (status, body, where)


def test_a_range_of_another_version_is_the_whole(pages):
    tag = ask(pages, "/letters.txt").get("etag")
    assert ask(pages, "/letters.txt", "Range: bytes=0-1", f"If-Range: {tag}").status == 206
    assert ask(pages, "/letters.txt", "Range: bytes=0-1", 'If-Range: "other"').status == 200


def test_what_did_not_change_is_not_sent_again(pages):
    first = ask(pages, "/letters.txt")
    tag, date = first.get("etag"), first.get("last-modified")
    for field in (
        f"If-None-Match: {tag}",
        f'If-None-Match: "x", W/{tag}',
        "If-None-Match: *",
        f"If-Modified-Since: {date}",
    ):
        heard = ask(pages, "/letters.txt", field)
        assert (heard.status, heard.body, heard.get("etag")) == (304, b"", tag)
    for fields in ([f'If-None-Match: "{tag}x"', f"If-Modified-Since: {date}"], ["If-Modified-Since: soon"]):
        assert ask(pages, "/letters.txt", *fields).status == 200


def test_a_file_that_changed_has_another_tag(real, own_pages):
    before = ask(own_pages, "/letters.txt").get("etag")
    real.lay_public(BLOG, 1, {"letters.txt": "other"})
    assert ask(own_pages, "/letters.txt", f"If-None-Match: {before}").body == b"other"


@pytest.mark.parametrize(
    ("target", "forever"),
    [("/app.1234abcd.js", True), ("/app-B3f_9aZk.css", True), ("/letters.txt", False), ("/", False),
     ("/report-20240101.pdf", False),
     *((f"/{name}", True) for name in file_names.BUILT),
     *((f"/{name}", False) for name in (*file_names.CHOSEN, *file_names.PAGES))],
)  # fmt: skip
def test_only_names_with_a_digest_are_kept_forever(pages, target, forever):
    heard = ask(pages, target)
    assert (heard.status, "immutable" in heard.get("cache-control")) == (200, forever)


def test_a_compressed_sibling_is_sent_to_those_who_take_it(real, own_pages):
    squeezed = gzip.compress(b"abcdefghij")
    (real.layout.public(BLOG, 1) / "letters.txt.gz").write_bytes(squeezed)
    heard = ask(own_pages, "/letters.txt", "Accept-Encoding: br, gzip")
    assert (heard.body, heard.get("content-encoding"), heard.get("vary")) == (squeezed, "gzip", "Accept-Encoding")
    assert heard.get("content-type").startswith("text/plain")
    for field in ("Accept-Encoding: gzip;q=0", "Accept-Encoding: br", "X: y"):
        heard = ask(own_pages, "/letters.txt", field)
        assert (heard.body, heard.get("content-encoding"), heard.get("vary")) == (b"abcdefghij", "", "Accept-Encoding")


def test_head_has_everything_but_the_body(pages):
    full, head = ask(pages, "/letters.txt"), ask(pages, "/letters.txt", method="HEAD")
    assert head.body == b""
    assert [f for f in head.fields if f[0] != "Date"] == [f for f in full.fields if f[0] != "Date"]
    assert ask(pages, "/missing", method="HEAD").body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_static_site_is_only_read(pages, method):
    assert ask(pages, "/", method=method).status == 405


def test_a_large_file_arrives_whole(real, own_pages):
    content = os.urandom(1 << 20) * 5
    (real.layout.public(BLOG, 1) / "large.bin").write_bytes(content)
    assert ask(own_pages, "/large.bin").body == content


def test_one_connection_carries_many_requests(pages):
    one = b"GET /letters.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /about HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answers = say(pages, one + b"\r\n" + one + last)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.endswith(b"about")


def test_an_old_client_gets_one_answer_and_the_end(pages):
    heard = hear(say(pages, b"GET /about HTTP/1.0\r\n\r\n"))
    assert (heard.status, heard.body, heard.get("connection")) == (200, b"about", "close")
