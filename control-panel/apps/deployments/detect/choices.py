"""What people chose before detection looks: the panel over webops.toml, each with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.deployments.contract import Contract
from apps.deployments.detect.notes import at
from apps.deployments.plan import Health, Kind
from apps.deployments.tree import Tree, line_of
from webops_host.names import DottedName, ProcessKind, PythonVersion, RelativePath
from webops_host.values import Limits


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the panel (or API) says; None and empty leave it to the contract and to detection.

    `variables` are those the person has given: what they hold is not asked for again, and some of them decide (a
    settings module, a Redis address). They do not become part of the plan.
    """

    kind: Kind | None = None
    python: PythonVersion | None = None
    settings: DottedName | None = None
    overlay: bool | None = None
    build: str = ""
    publish: RelativePath | None = None
    fallback: bool | None = None
    release: str = ""
    lines: Mapping[ProcessKind, str] = field(default_factory=dict)
    counts: Mapping[ProcessKind, int] = field(default_factory=dict)
    limits: Limits | None = None
    health: Health | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """A value somebody chose, who, and where it is written."""

    value: str
    origin: str
    where: str = ""


@dataclass(frozen=True)
class Context:
    """What every part of detection is given."""

    tree: Tree
    root: str
    pythons: tuple[PythonVersion, ...]
    panel: Overrides
    contract: Contract
    contract_path: str
    postgres: bool = False

    def chosen(self, panel: object, contract: object, key: str) -> Choice | None:
        """The panel's choice, else the contract's (with its line), else None."""
        if panel is not None and panel != "":
            return Choice(str(panel), "panel")
        if contract is not None and contract != "":
            return Choice(str(contract), "webops.toml", self.line(key))
        return None

    def line(self, key: str) -> str:
        return at(self.contract_path, line_of(self.tree.text(self.contract_path), key)) if self.contract_path else ""

    @property
    def folders(self) -> tuple[str, ...]:
        """Where files that concern the whole are looked for: the app's folder, then the repository's root."""
        return (self.root, "") if self.root else ("",)

    @property
    def python(self) -> Choice | None:
        return self.chosen(self.panel.python, self.contract.app.python, "python")

    @property
    def kind(self) -> Choice | None:
        return self.chosen(self.panel.kind, self.contract.app.type, "type")

    @property
    def publish(self) -> Choice | None:
        named = self.contract.static.publish
        return self.chosen(self.panel.publish, self.contract.build.publish if named is None else named, "publish")
