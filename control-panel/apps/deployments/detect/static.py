"""Static sites: a folder with an index.html, or a generator that makes one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from apps.deployments.detect import generators, node
from apps.deployments.detect.notes import Notes
from apps.deployments.plan import Kind, Plan
from apps.deployments.tree import Tree, line_of
from webops_host.names import RelativePath

FOLDERS = (
    "public",
    "dist",
    "docs",
    "_site",
    "build",
    "site",
    "www",
    "html",
    "static",
    "out",
    "output",
    "web",
    "src",
    "app",
    "htdocs",
    "public_html",
)
BUILT = ("dist", "build", "public", "_site", "out", "output", "site", "www")  # what a build's folder is called
_FRONT_MATTER = re.compile(r"\A\ufeff?---\s*\n")
_SERVER_SIDE = ("index.php", "composer.json", "Gemfile", "go.mod", "pom.xml", "Cargo.toml")


def detect(tree: Tree, root: str, publish: str | None, python: generators.Environment, notes: Notes) -> Plan | None:
    """A plan for a static site below `root`; None when nothing there can be served (and the notes say why)."""
    if publish is not None:
        return _published(tree, root, publish, notes)
    for look in _LOOKS:
        plan = look(tree, root, python, notes)
        if plan is not None:
            return plan
    return None


Look = Callable[[Tree, str, generators.Environment, Notes], Plan | None]


def _join(*parts: str) -> str:
    return posixpath.join(*[part for part in parts if part]) if any(parts) else ""


def _published(tree: Tree, root: str, publish: str, notes: Notes) -> Plan | None:
    """The folder a person named. It may come from the build, so it need not be in the repository."""
    package = node.read(tree, root)
    if tree.has(_join(root, publish, "index.html")):
        return _plan(root, publish)
    if package is not None:
        notes.found("Build", f"npm run {package.script}", f"{package.path} has the script", where=package.path)
        return Plan(Kind.STATIC, RelativePath(root), node=package.plan, publish=RelativePath(publish))
    return _plan(root, publish)


def _plan(root: str, publish: str) -> Plan:
    return Plan(Kind.STATIC, RelativePath(root), publish=RelativePath(publish))


def _front_end(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    """A page-making tool behind the build script: its sources are not pages yet, whatever index.html lies there."""
    package = node.read(tree, root)
    if package is None or not (package.makes_pages or not _index(tree, root)):
        return None
    built = not package.makes_pages and _index(tree, _join(root, package.output or "dist"))
    if built or not (package.tool or package.output) or _is_library(tree, package):
        return None
    refused = _needs_server(tree, root, package)
    if refused:
        notes.block(
            "needs_node_server",
            f"{package.tool} is set up to run a server of its own.",
            fix=refused,
            where=package.path,
        )
        return Plan(Kind.STATIC, RelativePath(root))
    output = package.output or "dist"
    where = f"{package.path}:{line_of(tree.text(package.path), f'{chr(34)}{package.script}{chr(34)}')}"
    notes.found("Build", f"npm run {package.script}", f"its script runs {package.tool}", where=where)
    notes.found("Published folder", output, f"{package.tool} writes there", where=where)
    if package.yarn:
        notes.note(
            "other_lock",
            "The lock file of another installer is not used; npm installs what package.json allows.",
            where=package.path,
        )
    return Plan(
        Kind.STATIC, RelativePath(root), node=package.plan, publish=RelativePath(output), fallback=_single_page(package)
    )


def _is_library(tree: Tree, package: node.Package) -> bool:
    """A bundler in a package without any page makes a library, not a site."""
    return not package.makes_pages and not any(p.endswith("index.html") for p in tree.own)


def _single_page(package: node.Package) -> bool:
    return package.tool in ("Create React App", "Vue CLI", "Angular") or package.tool == "Vite"


def _needs_server(tree: Tree, root: str, package: node.Package) -> str:
    """What to write when a tool that can also make plain pages is set up to run a server."""
    text = "".join(
        tree.text(p)
        for p in tree.glob(*(f"{_join(root, n)}.*" for n in ("next.config", "astro.config", "svelte.config")))
    )
    if (
        package.tool == "Next.js"
        and not re.search(r"output\s*:\s*[\"']export", text)
        and "next export" not in package.command
    ):
        return 'Write output: "export" in next.config.js, so that next build makes plain pages.'
    if package.tool == "Astro" and re.search(r"output\s*:\s*[\"']server", text):
        return 'Write output: "static" in astro.config.mjs.'
    if package.tool == "SvelteKit" and "adapter-static" not in text + tree.text(package.path):
        return "Use @sveltejs/adapter-static in svelte.config.js."
    return ""


def _index(tree: Tree, folder: str) -> bool:
    """A page that can be served as it is: there, and without a generator's front matter."""
    path = _join(folder, "index.html")
    return tree.has(path) and not _FRONT_MATTER.match(tree.text(path))


def _root_page(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    if not _index(tree, root) or _is_jekyll(tree, root):
        return None
    notes.found("Published folder", root or "the root", "it has an index.html", where=_join(root, "index.html"))
    return _plan(root, "")


def _is_jekyll(tree: Tree, root: str) -> bool:
    config = tree.has(_join(root, "_config.yml"))
    return (
        config
        and (tree.folder(_join(root, "_layouts")) or tree.folder(_join(root, "_posts")))
        and not _index(tree, root)
    )


def _generator(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    return generators.detect(tree, root, python, notes)


def _sub_folder(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    for name in FOLDERS:
        folder = _join(root, name)
        if _index(tree, folder):
            notes.found(
                "Published folder", folder, "the first usual folder with an index.html", where=f"{folder}/index.html"
            )
            return _plan(root, name)
    return None


def _foreign_generator(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    """Generators that are not here: refused with what would work."""
    for name, mark in generators.foreign(tree, root):
        notes.block(
            "generator_not_here",
            f"This is a {name} site and {name} is not on this platform.",
            where=mark,
            fix=f"Build it ({generators.FOREIGN[name]}), commit the built folder, and choose that folder.",
        )
        return Plan(Kind.STATIC, RelativePath(root))
    return None


def _only_page(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    """One index.html somewhere below: probably the site. Several: the person has to choose."""
    prefix = f"{root}/" if root else ""
    pages = [
        p
        for p in tree.own
        if p.startswith(prefix) and p.rsplit("/", 1)[-1] == "index.html" and not _FRONT_MATTER.match(tree.text(p))
    ]
    pages = [p for p in pages if "templates" not in p.split("/")]
    top = [p for p in pages if not any(p != q and p.startswith(posixpath.dirname(q) + "/") for q in pages)]
    if len(top) == 1:
        folder = posixpath.dirname(top[0])
        notes.found("Published folder", folder, "the only index.html is there", where=top[0])
        return _plan(root, folder[len(prefix) :])
    if len(top) > 1:
        names = ", ".join(posixpath.dirname(p) for p in top[:8])
        notes.block(
            "several_sites",
            f"There are {len(top)} folders with an index.html and none at the root: {names}.",
            fix="Choose one of them as the folder of the site.",
            where=top[0],
        )
        return Plan(Kind.STATIC, RelativePath(root))
    return _single_html(tree, root, notes)


def _single_html(tree: Tree, root: str, notes: Notes) -> Plan | None:
    prefix = f"{root}/" if root else ""
    pages = [
        p
        for p in tree.own
        if p.startswith(prefix) and p.lower().endswith((".html", ".htm")) and "/" not in p[len(prefix) :]
    ]
    if pages:
        notes.block(
            "index_missing",
            f"There is no index.html; the pages here are {', '.join(pages[:5])}.",
            where=pages[0],
            fix=f"Rename {pages[0]} to {_join(root, 'index.html')}.",
        )
        return Plan(Kind.STATIC, RelativePath(root))
    return None


def _own_build(tree: Tree, root: str, python: generators.Environment, notes: Notes) -> Plan | None:
    """A build script of the project's own making, and nothing that could be served without it."""
    package = node.read(tree, root)
    if package is None or package.tool or any(tree.has(_join(root, name)) for name in _SERVER_SIDE):
        return None
    path = _join(root, ".gitignore")
    ignored = {line.strip().strip("/") for line in tree.text(path).splitlines()} if tree.has(path) else set()
    said = next((name for name in BUILT if name in ignored), "")
    output = package.output or said or BUILT[0]
    notes.found("Build", f"npm run {package.script}", f"{package.path} has the script", where=package.path)
    reason = "the .gitignore leaves it to the build" if said and not package.output else "builds usually write there"
    notes.found("Published folder", output, reason, where=path if said else package.path)
    return Plan(Kind.STATIC, RelativePath(root), node=package.plan, publish=RelativePath(output))


def nothing(tree: Tree, root: str, notes: Notes) -> Plan:
    """Nothing here can be served: say what is missing."""
    other = next((name for name in _SERVER_SIDE if tree.has(_join(root, name))), "")
    if other:
        notes.block(
            "not_supported",
            f"This looks like a program of another kind ({other}); static sites, Django and Python web apps are "
            "hosted here.",
            fix="Commit its built pages and choose that folder.",
            where=_join(root, other),
        )
    elif not tree.own:
        notes.block(
            "empty", "There are no files in this folder of the repository.", fix="Check the branch and the folder."
        )
    else:
        notes.block(
            "nothing_to_serve",
            "There is nothing to serve: no index.html, no manage.py, no Procfile.",
            fix="Add an index.html, or a webops.toml that says how to build and run this.",
        )
    return Plan(Kind.STATIC, RelativePath(root))


_LOOKS: tuple[Look, ...] = (
    _front_end, _root_page, _generator, _sub_folder, _foreign_generator, _only_page, _own_build,
)  # fmt: skip
