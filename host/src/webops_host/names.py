"""Text that has been checked once and can not be wrong afterwards.

Each type is a `str` whose constructor refuses everything that is not on its positive list, with a sentence that says
what is allowed. `fullmatch` throughout: `match` with `$` accepts a trailing newline.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from webops_host.errors import BadValue

RESERVED_NAMES = frozenset(
    {
        "admin", "api", "app", "apps", "assets", "auth", "cdn", "dashboard", "default", "dev", "ftp", "git", "help",
        "host", "hostd", "localhost", "login", "mail", "media", "new", "ns1", "ns2", "panel", "pgd", "postgres",
        "root", "smtp", "ssh", "static", "status", "support", "system", "test", "webmail", "webops", "www",
    }
)  # fmt: skip


class Name(str):
    """A checked text. Subclasses give the pattern and the sentence shown when it does not fit."""

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]
    rule: ClassVar[str]

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str) or cls.pattern.fullmatch(text) is None:
            raise BadValue(f"{text!r:.80} is not allowed here.", hint=cls.rule)
        cls.check(text)
        return super().__new__(cls, text)

    @classmethod
    def check(cls, text: str) -> None:
        """What a pattern can not say. Raises BadValue."""


class DeploymentName(Name):
    """The immutable slug that users, folders, units and sites are derived from."""

    __slots__ = ()
    pattern = re.compile(r"[a-z][a-z0-9-]{1,30}")
    rule = "Use 2 to 31 characters: lower-case letters, digits and hyphens, beginning with a letter."

    @classmethod
    def check(cls, text: str) -> None:
        if text in RESERVED_NAMES:
            raise BadValue(f"The name {text!r} is reserved.", hint=f"Choose another name, for example “{text}-site”.")
        if text.endswith("-") or "--" in text:
            raise BadValue(f"{text!r} is not allowed here.", hint="Do not end with a hyphen or put two in a row.")


class GitRef(Name):
    """A branch or tag name, or a full commit id (git-check-ref-format(1), narrowed to a positive list)."""

    __slots__ = ()
    pattern = re.compile(r"[A-Za-z0-9_#@+.][A-Za-z0-9._/+#@-]{0,199}")
    rule = "Use a branch or tag name of letters, digits and . _ / + # @ -, or a 40-digit commit id."

    @classmethod
    def check(cls, text: str) -> None:
        parts = text.split("/")
        wrong = (
            ".." in text
            or "@{" in text
            or text == "@"
            or text.endswith(".")
            or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        )
        if wrong:
            raise BadValue(f"{text!r:.80} is not a branch, tag or commit.", hint=cls.rule)

    @property
    def is_commit(self) -> bool:
        return re.fullmatch(r"[0-9a-f]{40}", self) is not None


class CommitId(Name):
    __slots__ = ()
    pattern = re.compile(r"[0-9a-f]{40}")
    rule = "A commit id is 40 hexadecimal digits."


class RelativePath(Name):
    """A folder or file inside a repository, with forward slashes; the empty text is the root."""

    __slots__ = ()
    pattern = re.compile(r"[^\x00-\x1f\x7f\\]{0,400}")
    rule = "Use a path inside the repository such as “site” or “web/public”, without “..” or a leading “/”."

    @classmethod
    def check(cls, text: str) -> None:
        if text and any(part in ("", ".", "..", ".git") for part in text.split("/")):
            raise BadValue(f"{text!r:.80} is not a path inside the repository.", hint=cls.rule)

    def child(self, path: str) -> RelativePath:
        return RelativePath(f"{self}/{path}" if self and path else self or path)


class VariableKey(Name):
    """The name of an environment variable of a program, set by a person or by the platform."""

    __slots__ = ()
    pattern = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
    rule = "Use letters, digits and underscores, not beginning with a digit."

    @classmethod
    def check(cls, text: str) -> None:
        if text.upper().startswith(("LD_", "DYLD_")):
            raise BadValue(f"{text} steers the program loader.", hint="Choose another name for this variable.")


class PersonKey(VariableKey):
    """The name of an environment variable that a person may set: not one that the platform sets itself."""

    __slots__ = ()
    refused: ClassVar[frozenset[str]] = frozenset(
        {
            "PATH",
            "HOME",
            "USER",
            "SHELL",
            "IFS",
            "BASH_ENV",
            "ENV",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "GUNICORN_CMD_ARGS",
        }
    )

    @classmethod
    def check(cls, text: str) -> None:
        super().check(text)
        if text.upper() in cls.refused or text.upper().startswith("WEBOPS_"):
            raise BadValue(f"{text} is set by the platform.", hint="Choose another name for this variable.")


class ProcessKind(Name):
    """A process kind as in a Procfile: web, worker, beat, …"""

    __slots__ = ()
    pattern = re.compile(r"[a-z][a-z0-9_-]{0,30}")
    rule = "Use lower-case letters, digits, - and _, beginning with a letter."


class DottedName(Name):
    """A Python module, or module:attribute."""

    __slots__ = ()
    pattern = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?", re.ASCII)
    rule = "A Python module such as “shop.settings”."


class PythonVersion(Name):
    """A minor version of CPython, such as 3.12."""

    __slots__ = ()
    pattern = re.compile(r"[23]\.\d{1,2}", re.ASCII)
    rule = "A Python version has two numbers, for example 3.12."

    @property
    def pair(self) -> tuple[int, int]:
        major, minor = self.split(".")
        return int(major), int(minor)


class Digest(Name):
    """Names an environment by what went into it."""

    __slots__ = ()
    pattern = re.compile(r"[0-9a-f]{16,64}")
    rule = "A hexadecimal digest."


class DumpId(Name):
    """Names a dump of a database: when it was begun, and four digits so that two of one second differ."""

    __slots__ = ()
    pattern = re.compile(r"20\d{6}T\d{6}Z-[0-9a-f]{4}", re.ASCII)
    rule = "The id of a dump looks like 20260131T235959Z-0a1b."


class RunId(Name):
    """Names a one-off command; whoever asks for it chooses a new one each time."""

    __slots__ = ()
    pattern = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")
    rule = "The id of a command has at most 64 digits, lower-case letters and hyphens."


class HostName(Name):
    """A DNS name (RFC 1123), lower case, without a trailing dot; never an address literal."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
    rule = "Use a host name such as “example.com”: letters, digits, hyphens and dots."

    @classmethod
    def check(cls, text: str) -> None:
        last = text.rsplit(".", 1)[-1]
        if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
            raise BadValue(f"{text!r} is an address, not a name.", hint=cls.rule)


class Domain(HostName):
    """A public domain of a deployment: a host name with at least one dot."""

    __slots__ = ()
    rule = "Use a domain such as “www.example.com”."

    @classmethod
    def check(cls, text: str) -> None:
        super().check(text)
        if "." not in text or text.rsplit(".", 1)[-1] in ("localhost", "local", "internal"):
            raise BadValue(f"{text!r} is not a public domain.", hint=cls.rule)
