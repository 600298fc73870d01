"""Failures explained from the lines that tools print."""

import pytest

from apps.deployments import explain
from webops_host.errors import CommandFailed


@pytest.mark.parametrize(
    ("line", "kind", "word"),
    [
        ('[vite]: Rollup failed to resolve import "sharp" from "a.js".', "npm_dependency_not_found", "sharp"),
        ("Module not found: Error: Can't resolve '@x/y' in '/src'", "npm_dependency_not_found", "@x/y"),
        ("error: Failed to build `django-allauth==0.39.1`", "dependency_does_not_build", "django-allauth==0.39.1"),
        ("Call to `setuptools.build_meta.build_wheel` failed", "dependency_does_not_build", "ready-made"),
        ("error: command 'linux-gnu-gcc' failed: No such file or directory", "compiler_missing", "gnu-gcc"),
        ("error: can't find Rust compiler", "compiler_missing", "Rust"),
        ("npm WARN EBADENGINE   required: { node: '>=20.0.0' },", "node_too_old", ">=20.0.0"),
        ("nothing that is known", "npm_build_fails", "npm failed"),
    ],
)
def test_a_failed_build_is_explained_by_its_lines(line, kind, word):
    error = CommandFailed("npm failed with status 1.", facts={"program": "npm", "status": 1})
    told = explain.failure(error, step="build", lines=["before", line, "after"], plan=None)
    assert (told.kind, word in told.cause) == (kind, True)


def test_a_migration_for_postgresql_is_told_from_a_broken_one():
    error = CommandFailed("python failed with status 1.", facts={"program": "python", "status": 1})
    lines = ['django.db.utils.OperationalError: near "[]": syntax error']
    assert explain.failure(error, step="release", lines=lines, plan=None).kind == "needs_postgres"
