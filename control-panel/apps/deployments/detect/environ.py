"""Which environment variables Python code reads, how, and whether it can do without them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.deployments.tree import Tree

_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_HINT = re.compile(r"environ|getenv|\benv\b|\bconfig\(|_env|env_|secret")
_DEFAULT_NAMES = {"db": "DATABASE_URL", "db_url": "DATABASE_URL", "cache": "CACHE_URL", "cache_url": "CACHE_URL",
                  "email_url": "EMAIL_URL", "email": "EMAIL_URL", "search_url": "SEARCH_URL"}  # fmt: skip
_READERS = frozenset({"env", "config", "getenv"})
_FALLBACKS = re.compile(r"KeyError|ImproperlyConfigured|UndefinedValueError|Exception|EnvError")


@dataclass(frozen=True, slots=True)
class Use:
    """One reading of a variable. `needed`: without it this line fails. `number`, `separator`: how it is taken apart.
    `short`: the file puts the name of a database engine after `django.db.backends.` by itself."""

    key: str
    where: str
    needed: bool = False
    default: str = ""
    number: bool = False
    separator: str = ""
    short: bool = False


_BACKENDS = "django.db.backends."


def uses(tree: Tree, paths: Iterable[str]) -> list[Use]:
    """Every reading in these files, in order."""
    found: list[Use] = []
    for path in paths:
        if not _HINT.search(tree.text(path)):
            continue
        module = tree.module(path)
        if module is not None:
            found += _Reader(path, module).uses()
    return found


class _Reader:
    def __init__(self, path: str, module: ast.Module) -> None:
        self.path = path
        self.module = module
        self.parents = {id(child): node for node in ast.walk(module) for child in ast.iter_child_nodes(node)}
        self.wrappers = _wrappers(module)
        self.schemes = _schemes(module)
        self.aliases = _aliases(module)
        self.short = _completes_engines(module)

    def uses(self) -> list[Use]:
        found = [use for node in ast.walk(self.module) for use in self._of(node)]
        return sorted(found, key=lambda use: int(use.where.rsplit(":", 1)[1]))

    def _of(self, node: ast.AST) -> Iterator[Use]:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environ(node.value):
            key = _constant(node.slice)
            if _KEY.fullmatch(key):
                yield self._use(node, key, needed=True, default="")
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)

    def _of_call(self, node: ast.Call) -> Iterator[Use]:
        name, attr = _name(node.func), _attr(node.func)
        if attr in _DEFAULT_NAMES and name in self.aliases and not (node.args and _constant(node.args[0])):
            yield self._use(node, _DEFAULT_NAMES[attr], needed=_default(node) is None, default="")
            return
        key = _constant(node.args[0]) if node.args else ""
        if not _KEY.fullmatch(key):
            return
        default = _default(node)
        if self._is_environ_get(node):
            yield self._use(node, key, needed=default is None and self._fails_on_none(node), default=_text(default))
        elif name in self.aliases or name in self.wrappers:
            needed = default is None and key not in self.schemes and self.wrappers.get(name, True)
            yield self._use(node, key, needed=needed, default=_text(default), attr=attr)

    def _is_environ_get(self, node: ast.Call) -> bool:
        func = node.func
        if isinstance(func, ast.Attribute):
            return (func.attr == "get" and _is_environ(func.value)) or func.attr == "getenv"
        return isinstance(func, ast.Name) and func.id == "getenv"

    def _use(self, node: ast.expr, key: str, *, needed: bool, default: str, attr: str = "") -> Use:
        number = attr == "int" or self._under(node, "int") or self._cast(node) == "int"
        needed = needed and not self._spared(node, key)
        separator = self._separator(node)
        return Use(key, f"{self.path}:{node.lineno}", needed, default, number, separator, self.short)

    def _fails_on_none(self, node: ast.expr) -> bool:
        """`int(os.getenv("X"))` and `os.getenv("X").split()` fail where the plain reading would not."""
        parent = self.parents.get(id(node))
        return isinstance(parent, ast.Attribute) or self._under(node, "int") or self._under(node, "float")

    def _under(self, node: ast.expr, function: str) -> bool:
        parent = self.parents.get(id(node))
        return isinstance(parent, ast.Call) and _name(parent.func) == function and node in parent.args

    def _cast(self, node: ast.expr) -> str:
        keywords = node.keywords if isinstance(node, ast.Call) else []
        return next((_name(k.value) for k in keywords if k.arg == "cast"), "")

    def _separator(self, node: ast.expr) -> str:
        parent = self.parents.get(id(node))
        if not (isinstance(parent, ast.Attribute) and parent.attr == "split"):
            return ""
        call = self.parents.get(id(parent))
        args = call.args if isinstance(call, ast.Call) else []
        return _constant(args[0]) if args else " "

    def _spared(self, node: ast.expr, key: str) -> bool:
        """Inside a condition (other than one about DEBUG), a function or a try that expects it to be absent."""
        child: ast.AST = node
        parent = self.parents.get(id(child))
        while parent is not None:
            if isinstance(parent, (ast.If, ast.IfExp)) and child is not parent.test:
                if not _about_debug(parent, child):
                    return True
            elif isinstance(parent, ast.Try) and child in parent.body:
                if any(h.type is None or _FALLBACKS.search(ast.dump(h.type)) for h in parent.handlers):
                    return True
            elif (
                isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And) and child is not parent.values[0]
            ) or isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                return True
            child, parent = parent, self.parents.get(id(parent))
        return False


def _about_debug(node: ast.If | ast.IfExp, child: ast.AST) -> bool:
    """Whether a branch is the one taken when DEBUG is off."""
    test = ast.unparse(node.test)
    off = re.fullmatch(r"not (settings\.)?DEBUG|DEBUG (is|==) False", test) is not None
    on = re.fullmatch(r"(settings\.)?DEBUG|DEBUG (is|==) True", test) is not None
    body = node.body if isinstance(node.body, list) else [node.body]
    return (off and child in body) or (on and child not in body)


def _wrappers(module: ast.Module) -> dict[str, bool]:
    """Functions of the file that look a variable up by the name they are given, and whether they fail without it."""
    found: dict[str, bool] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.args.args:
            text = ast.unparse(node)
            parameter = node.args.args[0].arg
            if re.search(rf"environ\[{parameter}\]|environ\.get\({parameter}|getenv\({parameter}", text):
                mild = re.search(rf"return os\.(getenv|environ\.get)\({parameter}", text)
                found[node.name] = f"environ[{parameter}]" in text or ("raise " in text and not mild)
    return found


def _aliases(module: ast.Module) -> frozenset[str]:
    """Names that read variables: env, config, and whatever `environ.Env()` or `Config()` was assigned to."""
    found: set[str] = set()
    text = ast.unparse(module) if len(module.body) < 2000 else ""
    if re.search(r"(import|from) (environ|environs|decouple|starlette)|import_module", text):
        found |= _READERS
    for match in re.finditer(r"^\s*(\w+) = (?:environ\.Env|Env|environs\.Env|Config|AutoConfig)\(", text, re.MULTILINE):
        found.add(match[1])
    if re.search(r"import .*\benv\b|import \*", text):
        found.add("env")
    return frozenset(found)


def _schemes(module: ast.Module) -> frozenset[str]:
    """Keys that `environ.Env(KEY=(type, default))` gives a default."""
    found: set[str] = set()
    for node in ast.walk(module):
        if (isinstance(node, ast.Call) and _attr(node.func) == "Env") or (
            isinstance(node, ast.Call) and _name(node.func) == "Env"
        ):
            found |= {
                k.arg for k in node.keywords if k.arg and isinstance(k.value, ast.Tuple) and len(k.value.elts) == 2
            }
    return frozenset(found)


def _default(call: ast.Call) -> ast.expr | None:
    if len(call.args) > 1:
        return call.args[1]
    return next((k.value for k in call.keywords if k.arg in ("default", "fallback")), None)


def _text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and node.value is not None:
        return str(node.value)[:200]
    return ""


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


def _attr(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_environ(node: ast.expr) -> bool:
    return _attr(node) == "environ" or (isinstance(node, ast.Name) and node.id == "environ")


def _completes_engines(module: ast.Module) -> bool:
    """`"django.db.backends." + DB_ENGINE`, and the same in an f-string or with `%` or `format`."""
    texts = (node for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return any(text.value in (_BACKENDS, f"{_BACKENDS}%s", f"{_BACKENDS}{{}}") for text in texts)
