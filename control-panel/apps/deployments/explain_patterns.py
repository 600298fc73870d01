"""What programs say when they fail, in order of how much it explains: the first pattern that fits is the cause."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line that proves a cause. `cause` and `hint` may use the named groups; `steps` empty means: any step."""

    kind: str
    regex: re.Pattern[str]
    cause: str
    hint: str
    steps: tuple[str, ...] = ()
    before: int = 4
    after: int = 6


def _rule(kind: str, regex: str, cause: str, hint: str, *steps: str) -> Pattern:
    return Pattern(kind, re.compile(regex), cause, hint, steps)


PATTERNS: tuple[Pattern, ...] = (
    _rule(
        "disk_full",
        r"No space left on device|ENOSPC|os error 28",
        "The disk is full.",
        "Free some disk space, then deploy again.",
    ),
    _rule(
        "wrong_python",
        r"requires? (?:a different Python|Python ?(?P<need>[<>=!~.,0-9 ]+))|Requires-Python (?P<need2>\S+)"
        r"|does not satisfy Python(?P<need3>[<>=!~.,0-9 ]+)",
        "A dependency needs another Python version. {need}{need2}{need3}",
        "Choose the version in .python-version, requires-python or the settings.",
        "build",
    ),
    _rule(
        "dependency_not_found",
        r"(?P<name>[A-Za-z0-9._-]+) was not found in the (?:package )?(?:registry|provided)"
        r"|Because (?P<name2>[A-Za-z0-9._-]+) was not found|no versions? of (?P<name3>[A-Za-z0-9._-]+)"
        r"|there is no version of (?P<name4>\S+)",
        "The dependency {name}{name2}{name3}{name4} does not exist in that version.",
        "Correct its name or version in the requirements.",
        "build",
    ),
    _rule(
        "dependency_conflict",
        r"No solution found when resolving|your requirements are unsatisfiable",
        "The requirements contradict each other.",
        "Loosen one of the versions named in the log.",
        "build",
    ),
    _rule(
        "compiler_missing",
        r"command '(?P<name>\S*(?:gcc|cc|g\+\+|clang))' failed: No such file"
        r"|unable to execute '(?P<name2>\S*(?:gcc|cc|g\+\+|clang))'"
        r"|[Cc]an't find (?P<name3>Rust compiler)|(?P<name4>cargo), the Rust package manager, is not installed",
        "A dependency has no ready-made package for this Python, and what would build it is not installed here: "
        "{name}{name2}{name3}{name4}.",
        "Choose a version of it that comes ready-made, or have the server's administrator install the compiler "
        "(for C: apt install build-essential python3-dev).",
        "build",
    ),
    _rule(
        "dependency_does_not_build",
        r"Failed to build `?(?P<name>[A-Za-z0-9._-]+(?:==[\w.]+)?)|Failed building wheel for (?P<name2>\S+)",
        "A dependency has no ready-made package for this Python and does not build: {name}{name2}.",
        "Use a newer version of it, or another Python version; the compiler's words are in the log.",
        "build",
    ),
    _rule(
        "dependency_does_not_build",
        r"Call to `[\w.]+:?\S*` failed|The build backend returned an error",
        "A dependency has no ready-made package for this Python and does not build.",
        "Use a newer version of it, or another Python version; the compiler's words are in the log.",
        "build",
    ),
    _rule(
        "npm_dependency_not_found",
        r"npm (?:ERR!|error) 404 +(?:The requested resource )?'(?P<name>[^']+)'",
        "npm can not find the package {name} that package.json names.",
        "Correct its name or version in package.json.",
        "build",
    ),
    _rule(
        "npm_dependency_not_found",
        r"npm (?:ERR!|error) (?:404|code E404|code ETARGET)",
        "npm can not find a package that package.json names.",
        "Correct the package's name or version in package.json.",
        "build",
    ),
    _rule(
        "npm_lock_out_of_date",
        r"npm (?:ERR!|error).*(?:package\.json and package-lock\.json|can only install packages when)",
        "package-lock.json does not fit package.json.",
        "Run npm install and commit package-lock.json.",
        "build",
    ),
    _rule(
        "npm_script_missing",
        r"Missing script: \"?(?P<name>[^\"]+)",
        "package.json has no script “{name}”.",
        "Add the script, or name another build command in webops.toml.",
        "build",
    ),
    _rule(
        "npm_dependency_not_found",
        r"(?:[Ff]ailed to resolve import|Cannot find (?:module|package)|Can't resolve)"
        r" [\"'](?P<name>[@a-z][\w@/.-]*)[\"']",
        "The front end imports {name}, which is not installed.",
        "Add it to package.json and its lock; an optional one is left out when its own installation fails here.",
        "build",
    ),
    _rule(
        "node_too_old",
        r"npm (?:WARN|warn) EBADENGINE +required: \{ node: '(?P<need>[^']+)'",
        "The front-end build failed, and one of its packages asks for another Node.js than the one here: {need}.",
        "Have a Node.js of that version installed on the server, or lock versions that work with the one it has.",
        "build",
    ),
    _rule(
        "npm_build_fails",
        r"npm (?:ERR!|error) (?:Lifecycle script|code ELIFECYCLE|code \d+|command failed)",
        "The front-end build failed.",
        "Run npm run build on your machine; its messages are above.",
        "build",
    ),
    _rule(
        "disallowed_host",
        r"Invalid HTTP_HOST header: '(?P<host>[^']+)'|DisallowedHost",
        "Django refuses the host name {host}: it is not in ALLOWED_HOSTS.",
        "Read ALLOWED_HOSTS from the environment, or leave the settings overlay on.",
    ),
    _rule(
        "missing_module",
        r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>[\w.]+)",
        "The Python module {name} is not installed.",
        "Add the package that provides {name} to the requirements.",
    ),
    _rule(
        "system_library_missing",
        r"(?P<name>lib[\w+.-]+\.so[\w.]*): cannot open shared object file",
        "The system library {name} is not on this machine.",
        "Install the Debian package that holds it, or use a package with wheels.",
    ),
    _rule(
        "import_error",
        r"ImportError: (?P<what>.+)",
        "An import fails: {what}.",
        "The versions of two packages do not fit; pin the one named in the traceback.",
    ),
    _rule(
        "secret_key_missing",
        r"The SECRET_KEY setting must not be empty",
        "SECRET_KEY is empty.",
        'Read it from the environment: SECRET_KEY = os.environ["SECRET_KEY"].',
    ),
    _rule(
        "missing_variable",
        r"(?:Set the (?P<key>[A-Z][A-Z0-9_]+) environment variable|UndefinedValueError: (?P<key2>[A-Z][A-Z0-9_]+) not"
        r"|KeyError: '(?P<key3>[A-Z][A-Z0-9_]{2,})')",
        "The variable {key}{key2}{key3} is read and not set.",
        "Set it: webops env NAME set {key}{key2}{key3}=… and deploy again.",
    ),
    _rule(
        "database_driver_missing",
        r"Error loading (?P<name>psycopg2?|MySQLdb|mysqlclient|cx_Oracle)",
        "The database driver {name} is not installed.",
        "Add it to the requirements (psycopg[binary] for PostgreSQL).",
    ),
    _rule(
        "database_unreachable",
        r"could not connect to server|connection to server .* failed|Can't connect to MySQL|Connection refused.*5432",
        "The database that the settings name does not answer.",
        "Read DATABASE_URL in the settings, or leave the settings overlay on.",
    ),
    _rule(
        "migrations_conflict",
        r"Conflicting migrations detected",
        "Two migrations have the same parent.",
        "Run python manage.py makemigrations --merge and commit the result.",
    ),
    _rule(
        "needs_postgres",
        r'OperationalError: near "(?:\[\]|CONCURRENTLY|EXTENSION|USING|DO|::)": syntax error',
        "A migration speaks PostgreSQL, and the database of this deployment is SQLite.",
        "Give it a PostgreSQL server: name one in the platform's settings, or set DATABASE_URL to one of yours.",
        "release",
    ),
    _rule(
        "migration_error",
        r"(?:django\.db\.utils\.(?:OperationalError|ProgrammingError|IntegrityError|NotSupportedError)"
        r"|InconsistentMigrationHistory|NodeNotFoundError|IrreversibleError): ?(?P<what>.*)",
        "A migration failed: {what}",
        "The release before still serves. Correct the migration; what ran before it in this release stays applied.",
        "release",
    ),
    _rule(
        "database_error",
        r"django\.db\.utils\.(?P<name>\w+): (?P<what>.*)",
        "The database refused a query: {what}",
        "Look at the traceback in the log; a missing table means a missing migration.",
    ),
    _rule(
        "static_files_error",
        r"Missing staticfiles manifest entry for '(?P<what>[^']+)'|The file '(?P<what2>[^']+)' could not be found with",
        "A static file that is referred to does not exist: {what}{what2}.",
        "Add the file, or correct the reference to it.",
    ),
    _rule(
        "settings_error",
        r"(?:ImproperlyConfigured|SystemCheckError|AppRegistryNotReady): ?(?P<what>.*)",
        "Django's settings do not work: {what}",
        "Correct the setting named in the log.",
    ),
    _rule(
        "syntax_error",
        r"(?P<what>SyntaxError|IndentationError|TabError): (?P<why>.+)",
        "A Python file does not parse: {why}.",
        "Correct it, or choose the Python version that it was written for.",
    ),
    _rule(
        "command_not_found",
        r"(?:sh: (?:\d+: )?|line \d+: )(?P<name>[\w./-]+): (?:command )?not found",
        "The command {name} is not installed.",
        "Add the package that brings it to the requirements, or correct the Procfile.",
    ),
    _rule(
        "port_in_use",
        r"Address already in use|EADDRINUSE",
        "The program listens on a port that is taken.",
        "Listen on the port in $PORT instead of a fixed one.",
    ),
    _rule(
        "python_error",
        r"^(?P<name>(?:\w+\.)*\w*(?:Error|Exception)): (?P<what>.+)",
        "The program ended with {name}: {what}",
        "The traceback in the log names the file and the line.",
    ),
)
