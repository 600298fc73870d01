"""What a failed fetch means: git's own words turned into a reason, a sentence and what to do next.

A server's text is never repeated: it may be somebody's banner, or an attempt to mislead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from webops_host.errors import FetchFailed
from webops_host.values import RepositoryUrl


@dataclass(frozen=True, slots=True)
class Meaning:
    reason: str
    sentence: str  # with {url} and {host}
    hint: str


NOT_FOUND = Meaning(
    "not_found",
    "There is no repository at {url}.",
    "Check the spelling. If it is private, give an access token.",
)
CREDENTIALS = Meaning(
    "credentials",
    "{host} does not let us read {url}: it is private, it does not exist, or the access token is not good.",
    "Check the address. For a private repository give an access token that may read it, and has not expired.",
)
REDIRECTED = Meaning(
    "other",
    "{host} sends us to another address for {url}; redirects are not followed.",
    "Use the repository's present address: open it in a browser and copy it from there.",
)
TOO_SLOW = Meaning(
    "too_slow",
    "{host} sent almost nothing for too long.",
    "Try again later. If it happens every time, make the repository smaller.",
)
TLS = Meaning(
    "tls",
    "The certificate of {host} is not one that we trust.",
    "Check that it is valid. For a server with its own authority, an administrator can add that certificate.",
)
UNREACHABLE = Meaning(
    "unreachable",
    "{host} can not be reached.",
    "Check that it is up, and that this machine may connect to it.",
)
REFUSED_CONTENT = Meaning(
    "other",
    "The repository holds something that git refuses to store, because it could harm whoever checks it out.",
    "Look for files called .git, odd submodules or damaged objects; “git fsck” in a clone names them.",
)
EMPTY = Meaning(
    "ref_not_found",
    "The repository at {url} is empty, or is not a Git repository.",
    "Push a first commit, then deploy again.",
)
OTHER = Meaning(
    "other",
    "git could not read {url}.",
    "The lines above say more. Try again; if it stays, check the repository with “git ls-remote”.",
)

# The first that fits counts.
SIGNS = (
    (r"Operation too slow|transfer closed with .* outstanding", TOO_SLOW),
    (r"requested URL returned error: 30\d|update url base from redirection", REDIRECTED),
    (r"requested URL returned error: 40[13]|Authentication failed|could not read (?:Username|Password)", CREDENTIALS),
    (r"requested URL returned error: (?:404|410)|^fatal: repository .* not found", NOT_FOUND),
    (r"requested URL returned error: (?:429|5\d\d)", UNREACHABLE),
    (r"not valid: is this a git repository|does not appear to be a git repository|invalid content-type", NOT_FOUND),
    (r"certificate|SSL_|gnutls_handshake|TLS connect|SSL connect|CAfile", TLS),
    (r"fsck error|: hasDot|gitmodules[A-Z]|invalid path|unresolved deltas|did not match any object", REFUSED_CONTENT),
    (r"Failed to connect|Could(?:n't| not) (?:resolve|connect)|Connection (?:refused|reset|timed out)", UNREACHABLE),
    (r"Empty reply|timed out|recv error|unexpected disconnect|early EOF|unable to access", UNREACHABLE),
)  # fmt: skip
MISSING_REF = re.compile(r"couldn't find remote ref")
REFUSED_COMMIT = re.compile(r"not our ref|unadvertised object|did not send all necessary objects|no such remote ref")
PROGRESS = re.compile(
    r"(?:remote: )?(?:Enumerating|Counting|Compressing|Receiving|Unpacking|Updating) (?:objects|files)\b[^\x00-\x1f]*"
    r"|Resolving deltas\b[^\x00-\x1f]*"
)


def explain(output: str, url: RepositoryUrl) -> FetchFailed:
    """The error for what git printed."""
    for sign, meaning in SIGNS:
        if re.search(sign, output, re.MULTILINE):
            return failure(meaning, url)
    return failure(OTHER, url)


def failure(meaning: Meaning, url: RepositoryUrl) -> FetchFailed:
    names = {"url": str(url), "host": str(url.host)}
    return FetchFailed(
        meaning.sentence.format(**names), hint=meaning.hint, facts={"reason": meaning.reason, "host": str(url.host)}
    )


def no_such_ref(ref: str, default: str, url: RepositoryUrl) -> FetchFailed:
    """The branch or tag is not there; say which one would be."""
    hint = f"The repository's default branch is “{default}”." if default else "Check the name of the branch or tag."
    message = f"{url} has no branch, tag or commit “{ref}”."
    return FetchFailed(message, hint=hint, facts={"reason": "ref_not_found", "ref": ref, "default": default})


def too_large(limit_mib: int, url: RepositoryUrl) -> FetchFailed:
    return FetchFailed(
        f"{url} is larger than the {limit_mib} MiB that a repository may have.",
        hint="Keep large files elsewhere, remove them from the branch, or ask an administrator to raise the limit.",
        facts={"reason": "too_large", "limit_mib": limit_mib},
    )


def too_slow(seconds: float, url: RepositoryUrl) -> FetchFailed:
    return FetchFailed(
        f"Fetching from {url.host} took longer than {seconds:g} s.",
        hint=TOO_SLOW.hint,
        facts={"reason": "too_slow", "timeout": int(seconds)},
    )
