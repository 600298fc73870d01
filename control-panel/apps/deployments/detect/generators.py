"""Static site generators in Python, which are installed and run, and those of other languages, which are named."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from apps.deployments.detect import dependencies
from apps.deployments.detect.declared import Declared
from apps.deployments.detect.notes import Notes
from apps.deployments.plan import Kind, Plan
from apps.deployments.tree import Tree, line_of
from webops_host.names import RelativePath
from webops_host.values import ProjectLine, PythonPlan

# Makes a PythonPlan of what is declared and what has to be there too.
Environment = Callable[[Declared, tuple[str, ...]], PythonPlan]

MKDOCS_BUILT_IN = frozenset(
    {
        "search",
        "info",
        "offline",
        "social",
        "tags",
        "blog",
        "privacy",
        "meta",
        "group",
        "optimize",
        "typeset",
        "projects",
    }
)
MKDOCS_PLUGINS = {
    "awesome-pages": "mkdocs-awesome-pages-plugin", "awesome-nav": "mkdocs-awesome-nav",
    "macros": "mkdocs-macros-plugin", "mkdocstrings": "mkdocstrings[python]", "minify": "mkdocs-minify-plugin",
    "redirects": "mkdocs-redirects", "git-revision-date": "mkdocs-git-revision-date-plugin",
    "git-revision-date-localized": "mkdocs-git-revision-date-localized-plugin",
    "git-authors": "mkdocs-git-authors-plugin", "git-committers": "mkdocs-git-committers-plugin-2",
    "gen-files": "mkdocs-gen-files", "literate-nav": "mkdocs-literate-nav", "section-index": "mkdocs-section-index",
    "include-markdown": "mkdocs-include-markdown-plugin", "glightbox": "mkdocs-glightbox", "rss": "mkdocs-rss-plugin",
    "exclude": "mkdocs-exclude", "monorepo": "mkdocs-monorepo-plugin", "autorefs": "mkdocs-autorefs",
    "markdownextradata": "mkdocs-markdownextradata-plugin", "table-reader": "mkdocs-table-reader-plugin",
    "mermaid2": "mkdocs-mermaid2-plugin", "with-pdf": "mkdocs-with-pdf", "pdf-export": "mkdocs-pdf-export-plugin",
    "mkdocs-jupyter": "mkdocs-jupyter", "mike": "mike", "swagger-ui-tag": "mkdocs-swagger-ui-tag",
    "meta-descriptions": "mkdocs-meta-descriptions-plugin", "autolinks": "mkdocs-autolinks-plugin",
    "simple": "mkdocs-simple-plugin", "img2fig": "mkdocs-img2fig-plugin", "callouts": "mkdocs-callouts",
    "click": "mkdocs-click", "caption": "mkdocs-caption", "open-in-new-tab": "mkdocs-open-in-new-tab",
    "video": "mkdocs-video",
}  # fmt: skip
MKDOCS_THEMES = {
    "material": "mkdocs-material", "readthedocs": "", "mkdocs": "", "windmill": "mkdocs-windmill",
    "cinder": "mkdocs-cinder", "bootstrap": "mkdocs-bootstrap", "bootswatch": "mkdocs-bootswatch",
    "gitbook": "mkdocs-gitbook", "ivory": "mkdocs-ivory", "terminal": "mkdocs-terminal", "shadcn": "mkdocs-shadcn",
    "alabaster": "mkdocs-alabaster", "rtd-dropdown": "mkdocs-rtd-dropdown",
}  # fmt: skip
MKDOCS_EXTENSIONS = {
    "pymdownx": "pymdown-extensions", "mdx_math": "python-markdown-math", "markdown_include": "markdown-include",
    "mdx_truly_sane_lists": "mdx-truly-sane-lists", "mkdocs-click": "mkdocs-click",
    "fontawesome_markdown": "fontawesome-markdown", "markdown_katex": "markdown-katex", "codehilite": "Pygments",
    "mdx_include": "mdx-include", "callouts": "markdown-callouts", "mdx_gh_links": "mdx-gh-links",
}  # fmt: skip
SPHINX = {
    "sphinx_rtd_theme": "sphinx-rtd-theme", "furo": "furo", "pydata_sphinx_theme": "pydata-sphinx-theme",
    "sphinx_book_theme": "sphinx-book-theme", "alabaster": "alabaster", "myst_parser": "myst-parser",
    "nbsphinx": "nbsphinx", "sphinx_copybutton": "sphinx-copybutton", "sphinx_design": "sphinx-design",
    "sphinx_tabs": "sphinx-tabs", "recommonmark": "recommonmark", "sphinxcontrib.mermaid": "sphinxcontrib-mermaid",
    "autoapi": "sphinx-autoapi", "numpydoc": "numpydoc", "sphinx_autodoc_typehints": "sphinx-autodoc-typehints",
    "sphinx_inline_tabs": "sphinx-inline-tabs", "sphinxext.opengraph": "sphinxext-opengraph",
    "notfound": "sphinx-notfound-page", "sphinx_issues": "sphinx-issues", "myst_nb": "myst-nb",
    "sphinx_wagtail_theme": "sphinx-wagtail-theme", "piccolo_theme": "piccolo-theme",
    "sphinx_material": "sphinx-material", "sphinx_immaterial": "sphinx-immaterial",
    "sphinxcontrib.spelling": "sphinxcontrib-spelling", "guzzle_sphinx_theme": "guzzle-sphinx-theme",
}  # fmt: skip
FOREIGN = {
    "Hugo": "hugo", "Jekyll": "jekyll build", "Zola": "zola build", "mdBook": "mdbook build",
    "Middleman": "middleman build",
    "Lektor": "lektor build", "Nikola": "nikola build", "Quarto": "quarto render",
}  # fmt: skip
_DOCS_REQUIREMENTS = (
    "docs/requirements.txt",
    "requirements-docs.txt",
    "requirements/docs.txt",
    "requirements/requirements-docs.txt",
    "doc/requirements.txt",
    "docs-requirements.txt",
    "requirements_docs.txt",
    "docs/rtd-requirements.txt",
    "requirements.txt",
)


@dataclass(frozen=True)
class _Site:
    """A generator found: its packages, its command, where its pages go, and the file that shows it."""

    name: str
    mark: str
    packages: tuple[str, ...]
    command: str
    publish: str


def _at(root: str, *names: str) -> str:
    return posixpath.join(root, *names) if root else posixpath.join(*names)


def detect(tree: Tree, root: str, python: Environment, notes: Notes) -> Plan | None:
    """A plan that installs a generator and runs it."""
    site = _mkdocs(tree, root) or _pelican(tree, root) or _sphinx(tree, root)
    if site is None:
        return None
    notes.found("Generator", site.name, "its configuration is there", where=site.mark)
    notes.found("Build", site.command, f"{site.name} makes the pages", where=site.mark)
    notes.found("Published folder", site.publish, f"{site.name} writes there", where=site.mark)
    environment = python(_with_project(tree, root, site, _declared(tree, root, site, notes)), site.packages)
    return Plan(
        Kind.STATIC,
        RelativePath(root),
        python=environment,
        build=ProjectLine(site.command),
        publish=RelativePath(site.publish),
    )


def _with_project(tree: Tree, root: str, site: _Site, declared: Declared) -> Declared:
    """Pages made from docstrings need the project itself."""
    text = tree.text(site.mark)
    installable = any(tree.has(_at(root, name)) for name in ("setup.py", "pyproject.toml"))
    if (
        declared.project is None
        and installable
        and re.search(r"autodoc|autoapi|mkdocstrings|^(import|from) (?!os|sys|datetime|re\b)\w+", text, re.MULTILINE)
    ):
        return replace(declared, project=root)
    return declared


def _declared(tree: Tree, root: str, site: _Site, notes: Notes) -> Declared:
    """A requirements file that names the generator; others are the project's own and not needed for its pages."""
    name = canonicalize_name(site.packages[0])
    for candidate in _DOCS_REQUIREMENTS:
        path = _at(root, candidate)
        if tree.has(path):
            declared = dependencies.from_file(tree, path, notes)
            if any(entry.name == name or entry.name.startswith(f"{name}-") for entry in declared.pins):
                return declared
    return Declared()


# --- MkDocs ----------------------------------------------------------------------------------------------------


def _mkdocs(tree: Tree, root: str) -> _Site | None:
    path = next((p for p in (_at(root, "mkdocs.yml"), _at(root, "mkdocs.yaml")) if tree.has(p)), "")
    if not path:
        return None
    text = tree.text(path)
    theme = re.search(
        r"^theme:[ \t]*[\"']?([\w-]+)|^theme:\s*\n(?:\s+.*\n)*?\s+name:\s*[\"']?([\w-]+)", text, re.MULTILINE
    )
    name = (theme[1] or theme[2] or "") if theme else ""
    packages = ["mkdocs", MKDOCS_THEMES.get(name, f"mkdocs-{name}" if name.startswith("material") else "")]
    packages += [MKDOCS_PLUGINS.get(plugin, "") for plugin in _items(text, "plugins") if plugin not in MKDOCS_BUILT_IN]
    extensions = _items(text, "markdown_extensions")
    packages += [MKDOCS_EXTENSIONS.get(extension.split(".")[0], "") for extension in extensions]
    folder = re.search(r"^site_dir:\s*[\"']?([\w./-]+)", text, re.MULTILINE)
    publish = posixpath.normpath(folder[1]) if folder and not folder[1].startswith(("/", "..")) else "site"
    command = f"mkdocs build --config-file {posixpath.basename(path)} --site-dir {publish}"
    return _Site("MkDocs", path, tuple(dict.fromkeys(p for p in packages if p)), command, publish)


def _items(text: str, key: str) -> list[str]:
    """Names in a YAML list under a top-level key: `- name`, `- name: …`, or `name:` one step in."""
    block = re.search(
        rf"^{key}:[ \t]*(\[.*\])?[^\n]*\n((?:[ \t]+[^\n]*\n|-[^\n]*\n|\s*#[^\n]*\n|\s*\n)*)", text + "\n", re.MULTILINE
    )
    if block is None:
        return []
    if block[1]:
        return re.findall(r"[\w.-]+", block[1])
    lines = [line for line in block[2].splitlines() if line.strip() and not line.strip().startswith("#")]
    depth = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    found = (
        re.match(r"\s*(?:-\s*)?[\"']?([\w./-]+)", line) for line in lines if len(line) - len(line.lstrip()) == depth
    )
    return [match[1].split("/")[-1] for match in found if match]


# --- Pelican and Sphinx ----------------------------------------------------------------------------------------


def _pelican(tree: Tree, root: str) -> _Site | None:
    path = _at(root, "pelicanconf.py")
    if not tree.has(path):
        return None
    content = re.search(r"^PATH\s*=\s*[\"']([\w./-]+)", tree.text(path), re.MULTILINE)
    packages = ["pelican", "Markdown"]
    packages += ["pelican-sitemap"] if "sitemap" in tree.text(path) else []
    return _Site(
        "Pelican",
        path,
        tuple(packages),
        f"pelican {content[1] if content else 'content'} -o output -s pelicanconf.py",
        "output",
    )


def _sphinx(tree: Tree, root: str) -> _Site | None:
    for folder in ("docs", "docs/source", "doc", "doc/source", "source", ""):
        path = _at(root, folder, "conf.py") if folder else _at(root, "conf.py")
        text = tree.text(path) if tree.has(path) else ""
        if "extensions" in text or "html_theme" in text:
            words = re.findall(r"[\"']([\w.]+)[\"']", text)
            extra = [SPHINX[name] for word in words for name in (word, word.rpartition(".")[0]) if name in SPHINX]
            packages = ("sphinx", *dict.fromkeys(extra))
            return _Site("Sphinx", path, packages, f"sphinx-build -b html {folder or '.'} _build/html", "_build/html")
    return None


# --- others ----------------------------------------------------------------------------------------------------


def foreign(tree: Tree, root: str) -> Iterator[tuple[str, str]]:
    """Generators of other kinds, each with the file that shows it."""
    marks: tuple[tuple[str, str, str], ...] = (
        ("Jekyll", "_config.yml", ""),
        ("Jekyll", "_config.yaml", ""),
        ("Hugo", "hugo.toml", ""),
        ("Hugo", "hugo.yaml", ""),
        ("Hugo", "config.toml", "baseURL|theme"),
        ("Hugo", "config.yaml", "baseURL"),
        ("Hugo", "config.yml", "baseURL"),
        ("Hugo", "config/_default/hugo.toml", ""),
        ("Hugo", "config/_default/config.toml", ""),
        ("Zola", "config.toml", "base_url"),
        ("mdBook", "book.toml", ""),
        ("Middleman", "config.rb", "middleman|activate"),
        ("Lektor", "lektor.project", ""),
        ("Nikola", "conf.py", "NIKOLA|BLOG_TITLE"),
        ("Quarto", "_quarto.yml", ""),
    )
    for name, mark, pattern in marks:
        path = _at(root, mark)
        if tree.has(path) and re.search(pattern, tree.text(path), re.IGNORECASE):
            line = line_of(tree.text(path), "baseURL") if name == "Hugo" else 0
            yield name, f"{path}:{line}" if line else path
