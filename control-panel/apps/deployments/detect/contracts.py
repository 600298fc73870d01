"""Where the contract of a repository is, read once."""

from __future__ import annotations

import posixpath

from apps.deployments import contract as contract_file
from apps.deployments.contract import Contract, ContractInvalid, PlatformLimits
from apps.deployments.detect import locks, projects
from apps.deployments.detect.notes import Notes
from apps.deployments.tree import Tree


def read(tree: Tree, root: str, limits: PlatformLimits, notes: Notes) -> tuple[Contract | None, str]:
    """The contract of the folder or of the repository, and its path; an empty one when there is none. None when it is
    there and can not be followed: its mistakes are blockers then."""
    path = _path(tree, root)
    if not path:
        return Contract(), ""
    try:
        found = contract_file.parse(tree.text(path), path, limits)
    except ContractInvalid as invalid:
        notes.problems += invalid.errors
        return None, path
    notes.found("Contract", path, "it comes before the Procfile and detection", origin="webops.toml", where=path)
    return found, path


def _path(tree: Tree, root: str) -> str:
    for folder in dict.fromkeys([root, ""]):
        path = posixpath.join(folder, "webops.toml")
        if tree.has(path):
            return path
        pyproject = posixpath.join(folder, "pyproject.toml")
        if "webops" in projects.table(locks.load_toml(tree, pyproject), "tool"):
            return pyproject
    return ""
