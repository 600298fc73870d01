"""Front-end builds: which package.json has one, which tool it uses, and where that tool leaves its pages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.deployments.detect import locks
from apps.deployments.tree import Tree
from webops_host.names import RelativePath
from webops_host.values import NodePlan

Table = Mapping[str, Any]  # decoded JSON
# (word in the build script or dependency, tool, output folder): more telling ones first
TOOLS: tuple[tuple[str, str, str], ...] = (
    (r"\bastro\b", "Astro", "dist"),
    (r"@11ty/eleventy|\beleventy\b", "Eleventy", "_site"),
    (r"\bvitepress\b", "VitePress", ".vitepress/dist"),
    (r"\bvuepress\b", "VuePress", ".vuepress/dist"),
    (r"\bdocusaurus\b|@docusaurus/core", "Docusaurus", "build"),
    (r"\bgatsby\b", "Gatsby", "public"),
    (r"\bnext\b", "Next.js", "out"),
    (r"\bnuxt(i)? generate\b|\bnuxt\b", "Nuxt", ".output/public"),
    (r"@sveltejs/kit", "SvelteKit", "build"),
    (r"\breact-scripts\b|\breact-app-rewired\b|\bcraco\b", "Create React App", "build"),
    (r"\bvue-cli-service\b", "Vue CLI", "dist"),
    (r"\bng build\b|@angular/cli", "Angular", "dist"),
    (r"\bhexo\b", "Hexo", "public"),
    (r"\bvite\b", "Vite", "dist"),
    (r"\bparcel\b", "Parcel", "dist"),
    (r"\brsbuild\b", "Rsbuild", "dist"),
    (r"\bwebpack\b", "webpack", "dist"),
    (r"\brollup\b", "Rollup", "dist"),
    (r"\besbuild\b", "esbuild", "dist"),
    (r"\bgulp\b", "Gulp", "dist"),
    (r"\bgrunt\b", "Grunt", "dist"),
)
PAGE_TOOLS = frozenset(tool for _, tool, _ in TOOLS[:16])  # these make whole pages from sources of their own
_OUTPUT = re.compile(r"(?:--outDir|--out-dir|--output|--dest|-d|--dist-dir|-o)[ =]([\w./-]+)")
_CONFIGS: dict[str, tuple[tuple[str, ...], str]] = {
    "Vite": (("vite.config.js", "vite.config.ts", "vite.config.mjs"), r"outDir\s*:\s*[\"'`]([\w./-]+)[\"'`]"),
    "Astro": (("astro.config.mjs", "astro.config.js", "astro.config.ts"), r"outDir\s*:\s*[\"'`]([\w./-]+)[\"'`]"),
    "Eleventy": ((".eleventy.js", "eleventy.config.js", "eleventy.config.mjs", "eleventy.config.cjs"),
                 r"output\s*:\s*[\"'`]([\w./-]+)[\"'`]"),
    "Vue CLI": (("vue.config.js",), r"outputDir\s*:\s*[\"'`]([\w./-]+)[\"'`]"),
    "webpack": (("webpack.config.js", "webpack.config.prod.js", "webpack.prod.js"),
                r"path\s*:\s*path\.\w+\(__dirname,\s*[\"'`]([\w./-]+)[\"'`]"),
    "Angular": (("angular.json",), r"\"outputPath\"\s*:\s*\"([\w./-]+)\""),
    "Next.js": (("next.config.js", "next.config.mjs", "next.config.ts"), r"distDir\s*:\s*[\"'`]([\w./-]+)[\"'`]"),
}  # fmt: skip


@dataclass(frozen=True)
class Package:
    """A package.json: its folder, the script that builds, the tool behind it and what it writes."""

    folder: str
    path: str
    script: str
    command: str
    tool: str
    output: str
    locked: bool
    yarn: bool

    @property
    def plan(self) -> NodePlan:
        return NodePlan(RelativePath(self.folder), self.script, self.locked)

    @property
    def makes_pages(self) -> bool:
        return self.tool in PAGE_TOOLS


def read(tree: Tree, folder: str) -> Package | None:
    """The package.json of a folder when it has a build script."""
    path = posixpath.join(folder, "package.json")
    package = locks.load_json(tree, path)
    scripts = package.get("scripts") if package else None
    if package is None or not isinstance(scripts, dict):
        return None
    script = next((name for name in ("heroku-postbuild", "build", "build:prod", "production") if scripts.get(name)), "")
    if not script:
        return None
    command = _expanded(scripts, script)
    tool, output = _tool(command, package)
    output = _configured(tree, folder, tool, command) or output
    lock = any(tree.has(posixpath.join(folder, name)) for name in ("package-lock.json", "npm-shrinkwrap.json"))
    yarn = any(
        tree.has(posixpath.join(folder, name)) for name in ("yarn.lock", "pnpm-lock.yaml", "bun.lockb", "bun.lock")
    )
    return Package(folder, path, script, command, tool, output, lock, yarn and not lock)


def _expanded(scripts: Table, name: str, depth: int = 0) -> str:
    """A script with the scripts it runs, so that the tool behind `npm run build:site` is seen."""
    command = str(scripts.get(name, ""))
    if depth < 4:
        for inner in re.findall(r"(?:npm run|yarn|pnpm|npm-run-all|run-s|run-p)\s+(?:-\S+\s+)*([\w:-]+)", command):
            if inner != name and inner in scripts:
                command += " " + _expanded(scripts, inner, depth + 1)
    return command


def _tool(command: str, package: Table) -> tuple[str, str]:
    """The tool the script names; else the page-making one among the dependencies."""
    for pattern, tool, output in TOOLS:
        if re.search(pattern, command):
            return tool, output
    wanted = [d for key in ("dependencies", "devDependencies") for d in (package.get(key) or {}) if isinstance(d, str)]
    for pattern, tool, output in TOOLS[:12]:
        if any(re.fullmatch(pattern, name) for name in wanted):
            return tool, output
    return "", ""


def _configured(tree: Tree, folder: str, tool: str, command: str) -> str:
    """The output folder that the command line or the tool's own configuration gives."""
    said = _OUTPUT.search(command)
    if said and tool not in ("Gulp", "Grunt", ""):
        return posixpath.normpath(said[1]).lstrip("./")
    names, pattern = _CONFIGS.get(tool, ((), ""))
    for name in names:
        match = (
            re.search(pattern, tree.text(posixpath.join(folder, name)))
            if tree.has(posixpath.join(folder, name))
            else None
        )
        if match:
            found = posixpath.normpath(match[1])
            return "" if found.startswith("..") else found.removeprefix("./")
    if match := re.search(r"(vitepress|vuepress) build (\w[\w/-]*)", command):
        return f"{match[2]}/.{match[1]}/dist"
    return ""
