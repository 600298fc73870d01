"""Static sites and other web apps: what is published, what is built first, what is refused."""

import pytest
from tests.support.trees import codes, names, planned, web

from apps.deployments import detect
from apps.deployments.plan import Kind
from webops_host.names import DottedName, RelativePath
from webops_host.values import Gunicorn, ProjectLine

PAGE = "<!doctype html><title>x</title>"


@pytest.mark.parametrize(
    "folder", ["", "public", "dist", "docs", "_site", "build", "site", "www", "html", "static", "some/where"]
)
def test_a_folder_with_an_index_is_published(folder):
    plan = planned({"README.md": "x", f"{folder}/index.html".lstrip("/"): PAGE})

    assert (plan.kind, plan.publish, plan.blockers) == (Kind.STATIC, folder, ())


def test_the_root_comes_before_its_folders():
    assert planned({"index.html": PAGE, "docs/index.html": PAGE}).publish == ""


@pytest.mark.parametrize(
    ("package", "files", "publish"),
    [
        ('{"scripts": {"build": "vite build"}}', {"index.html": PAGE}, "dist"),
        ('{"scripts": {"build": "vite build"}}', {"vite.config.js": "export default {build: {outDir: 'www'}}"}, "www"),
        ('{"scripts": {"build": "astro build"}}', {}, "dist"),
        ('{"scripts": {"build": "npx @11ty/eleventy"}}', {}, "_site"),
        ('{"scripts": {"build": "npx @11ty/eleventy --output=public"}}', {}, "public"),
        ('{"scripts": {"build": "react-scripts build"}}', {"public/index.html": PAGE}, "build"),
        ('{"scripts": {"build": "parcel build src/index.html"}}', {"src/index.html": PAGE}, "dist"),
        ('{"scripts": {"build": "npm run all", "all": "vuepress build docs"}}', {}, "docs/.vuepress/dist"),
        ('{"scripts": {"build": "node build.js"}}', {"build.js": "1"}, "dist"),
        ('{"scripts": {"build": "node build.js"}}', {".gitignore": "node_modules\n/_site/\n"}, "_site"),
        ('{"scripts": {"build": "next build"}}', {"next.config.js": "module.exports = {output: 'export'}"}, "out"),
    ],
)
def test_a_front_end_is_built_and_its_output_published(package, files, publish):
    plan = planned({"package.json": package, **files})

    assert plan.node is not None
    assert plan.publish == publish


def test_a_finished_page_beside_a_build_script_is_served_as_it_is():
    plan = planned({"package.json": '{"scripts": {"build": "gulp"}}', "index.html": PAGE})
    assert (plan.node, plan.publish) == (None, "")


@pytest.mark.parametrize(
    ("files", "publish", "packages"),
    [
        (
            {
                "mkdocs.yml": "site_name: x\ntheme:\n  name: material\nplugins:\n  - search\n  - minify:\n      a: b\n",
                "docs/index.md": "",
            },
            "site",
            {"mkdocs", "mkdocs-material", "mkdocs-minify-plugin"},
        ),
        ({"mkdocs.yml": "site_name: x\ntheme: readthedocs\n"}, "site", {"mkdocs"}),
        (
            {"docs/conf.py": "extensions = ['myst_parser']\nhtml_theme = 'furo'\n"},
            "_build/html",
            {"sphinx", "furo", "myst-parser"},
        ),
        ({"docs/conf.py": "extensions = ['notfound.extension']\n"}, "_build/html", {"sphinx", "sphinx-notfound-page"}),
        ({"pelicanconf.py": "PATH = 'content'\n"}, "output", {"pelican", "markdown"}),
    ],
    ids=["mkdocs", "mkdocs plain", "sphinx", "sphinx extension", "pelican"],
)
def test_a_python_generator_is_installed_and_run(files, publish, packages):
    plan = planned(files)

    assert (plan.kind, plan.publish) == (Kind.STATIC, publish)
    assert names(plan) == packages
    assert plan.build is not None


def test_pins_of_the_documentation_count():
    plan = planned({"mkdocs.yml": "site_name: x\n", "docs/requirements.txt": "mkdocs==1.5.3\n"})
    assert names(plan) == {"mkdocs==1.5.3"}


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"README.md": "x"}, "nothing_to_serve"),
        ({}, "empty"),
        ({"_config.yml": "x: 1", "index.html": "---\nlayout: x\n---\n"}, "generator_not_here"),
        ({"hugo.toml": "baseURL = 'x'", "content/a.md": ""}, "generator_not_here"),
        ({"a/index.html": PAGE, "b/index.html": PAGE}, "several_sites"),
        ({"home.html": PAGE}, "index_missing"),
        ({"composer.json": "{}", "index.php": ""}, "not_supported"),
        ({"package.json": '{"scripts": {"build": "next build"}}'}, "needs_node_server"),
    ],
)
def test_what_can_not_be_served_is_refused_with_a_fix(files, code):
    (problem,) = planned(files).blockers
    assert problem.code == code
    assert problem.fix


def test_a_built_folder_of_another_generator_is_served():
    assert planned({"_config.yml": "x", "_posts/a.md": "", "_site/index.html": PAGE}).publish == "_site"


def test_a_folder_that_a_person_names_needs_an_index_or_a_build():
    chosen = detect.Overrides(publish=RelativePath("web"))
    assert planned({"web/index.html": PAGE, "index.html": PAGE}, overrides=chosen).publish == "web"
    assert codes(planned({"index.html": PAGE}, overrides=chosen)) == ["publish_missing"]
    built = planned({"index.html": PAGE, "webops.toml": '[build]\ncommand = "make"\npublish = "out"\n'})
    assert (built.build, built.publish, built.blockers) == (ProjectLine("make"), "out", ())


def test_a_folder_of_the_repository_may_be_the_root():
    plan = planned({"site/index.html": PAGE, "index.html": PAGE}, root="site")
    assert (plan.root, plan.publish) == ("site", "")
    assert codes(planned({"index.html": PAGE}, root="absent")) == ["folder_missing"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"app.py": "from flask import Flask\napp = Flask(__name__)\n"}, Gunicorn(DottedName("app:app"))),
        ({"main.py": "from fastapi import FastAPI\napi = FastAPI()\n"}, Gunicorn(DottedName("main:api"), asgi=True)),
        ({"Procfile": "web: gunicorn site:make\n", "site.py": "make = 1\n"}, Gunicorn(DottedName("site:make"))),
        ({"Procfile": "web: python server.py\n", "server.py": ""}, ProjectLine("python server.py")),
    ],
)
def test_other_python_apps_are_served(files, expected):
    plan = planned(files)

    assert plan.kind is Kind.PYTHON
    assert web(plan) == expected


def test_flask_without_requirements_is_inferred():
    assert {"flask", "gunicorn"} <= names(planned({"app.py": "from flask import Flask\napp = Flask(__name__)\n"}))
