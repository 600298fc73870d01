"""Deployments, their releases and what belongs to them. Constraints make wrong states impossible."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, OuterRef, Prefetch, Q, Subquery

from apps.core.access import Actor
from apps.core.crypto import EncryptedTextField
from apps.core.models import Host, Team, User
from apps.core.work import Leased
from apps.databases.models import Database
from apps.deployments.plan import Kind, Plan
from webops_host import codec
from webops_host.names import DeploymentName


class Wish(models.TextChoices):
    """What the person wants of a deployment; what it is, is asked of the machine."""

    DRAFT = "draft", "Draft"  # looked at, never deployed
    UP = "up", "Up"
    STOPPED = "stopped", "Stopped"
    DELETED = "deleted", "Deleted"  # being removed


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def visible_to(self, actor: Actor) -> Self:
        return self.filter(team__in=actor.teams())

    def with_releases(self) -> Self:
        """For lists: the releases that a status is made of, in one query for all of them."""
        mine = Release.objects.filter(deployment=OuterRef("deployment"))
        newest = mine.filter(number__isnull=False).order_by("-number").values("pk")[:1]
        origin = mine.filter(number=OuterRef("files")).values("started_at")[:1]
        wanted = Release.objects.filter(Q(state__in=[State.LIVE, *OPEN]) | Q(pk=Subquery(newest)))
        wanted = wanted.annotate(variables_at=Subquery(origin)).defer("variables", "facts", "evidence")
        return self.prefetch_related(Prefetch("releases", wanted, to_attr="known_releases"))


class Deployment(Leased):
    """One hosted site or app with its settings. Its lease is the lane: whoever works on it holds it."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="deployments")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="deployments")
    name = models.CharField(max_length=31, unique=True)
    repository = models.CharField(max_length=500)
    ref = models.CharField(max_length=200, blank=True)
    root = models.CharField(max_length=400, blank=True)
    username = models.CharField(max_length=200, blank=True)
    token = EncryptedTextField(blank=True, default="")
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in Kind], blank=True)
    wish = models.CharField(max_length=10, choices=Wish.choices, default=Wish.DRAFT)
    overrides = models.JSONField(default=dict, blank=True)
    site = models.JSONField(default=dict, blank=True)
    keep_releases = models.PositiveIntegerField(default=5)
    url = models.CharField(max_length=200, blank=True)
    database = models.OneToOneField(
        Database, on_delete=models.SET_NULL, null=True, blank=True, related_name="deployment"
    )
    variables_changed_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[DeploymentQuerySet] = DeploymentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        db_table = "deployments"
        constraints = [
            models.CheckConstraint(condition=Q(wish__in=Wish.values), name="deployment_wish_known"),
            models.CheckConstraint(
                condition=Q(kind__in=["", *(kind.value for kind in Kind)]), name="deployment_kind_known"
            ),
            models.CheckConstraint(condition=Q(name__regex=r"^[a-z][a-z0-9-]{1,30}$"), name="deployment_name_slug"),
            models.CheckConstraint(condition=Q(keep_releases__gte=1, keep_releases__lte=50), name="keep_in_range"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def slug(self) -> DeploymentName:
        return DeploymentName(self.name)

    @property
    def live(self) -> Release | None:
        """The release that the platform last put live, if any."""
        known = self._known()
        if known is not None:
            return next((release for release in known if release.state == State.LIVE), None)
        return self.releases.filter(state=State.LIVE).first()

    @property
    def open_release(self) -> Release | None:
        """The release that runs now, or else the one that waits."""
        known = self._known()
        if known is not None:
            waiting = [release for release in known if release.is_open]
            return max(waiting, key=lambda release: (release.state, release.pk), default=None)
        return self.releases.filter(state__in=OPEN).order_by("-state", "-pk").first()

    @property
    def newest(self) -> Release | None:
        """The newest numbered release, whatever became of it."""
        known = self._known()
        if known is not None:
            return max((r for r in known if r.number), key=lambda release: release.number or 0, default=None)
        return self.releases.exclude(number=None).first()

    def _known(self) -> list[Release] | None:
        """What `with_releases` brought along, or None."""
        known: list[Release] | None = self.__dict__.get("known_releases")
        return known


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    LIVE = "live", "Live"
    RETIRED = "retired", "Was live"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SUPERSEDED = "superseded", "Superseded"
    READY = "ready", "Looked at"  # an inspection that ended well


OPEN = (State.QUEUED, State.RUNNING)


class ReleaseKind(models.TextChoices):
    DEPLOY = "deploy", "Deploy"
    ROLLBACK = "rollback", "Rollback"
    INSPECT = "inspect", "Look at the repository"


class Release(models.Model):
    """One numbered attempt to put a version live. A look at the repository is the same kind of work, without a number.

    `files` is the number of the release whose files it runs: its own, or for a rollback that of the one gone back to.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="releases")
    number = models.PositiveIntegerField(null=True)
    kind = models.CharField(max_length=10, choices=ReleaseKind.choices, default=ReleaseKind.DEPLOY)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    files = models.PositiveIntegerField(null=True)
    files_kept = models.BooleanField(default=False)
    back_to = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    ref = models.CharField(max_length=200, blank=True)
    commit = models.CharField(max_length=40, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    author = models.CharField(max_length=120, blank=True)
    plan_data = models.JSONField(null=True)
    facts = models.JSONField(default=dict)
    variables = EncryptedTextField(null=True)
    triggered_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    trigger = models.CharField(max_length=20, default="page")
    attempts = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    failure = models.CharField(max_length=40, blank=True)
    cause = models.TextField(blank=True)
    evidence = models.JSONField(default=list)
    hint = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    live_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    _read_plan: tuple[Any, Plan] | None = None

    class Meta:
        db_table = "releases"
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="one_release_per_number"),
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(state="running"), name="one_running_release_per_deployment"
            ),
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(state="queued"), name="one_queued_release_per_deployment"
            ),
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(state="live"), name="one_live_release_per_deployment"
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="release_state_known"),
            models.CheckConstraint(
                condition=Q(kind="inspect", number=None) | (~Q(kind="inspect") & Q(number__gte=1)),
                name="release_numbered_unless_inspection",
            ),
            models.CheckConstraint(condition=~Q(state="live") | Q(live_at__isnull=False), name="live_has_a_time"),
        ]
        indexes = [models.Index(fields=["state", "created_at"], name="releases_by_state")]
        ordering = [F("number").desc(nulls_last=True), "-pk"]

    def __str__(self) -> str:
        return f"{self.deployment.name} #{self.number}" if self.number else f"{self.deployment.name} (inspection)"

    @property
    def plan(self) -> Plan | None:
        """Read once from each value of `plan_data`: every step asks for it, several times."""
        if not self.plan_data:
            return None
        if self._read_plan is None or self._read_plan[0] is not self.plan_data:
            self._read_plan = (self.plan_data, codec.load(Plan, self.plan_data))
        return self._read_plan[1]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def short_commit(self) -> str:
        return self.commit[:8]

    @property
    def seconds(self) -> float | None:
        """From the request until live (or until the end), once it is over."""
        end = self.live_at or self.finished_at
        return (end - self.created_at).total_seconds() if end else None


class StepState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"


class ReleaseStep(models.Model):
    """One recorded stage of a release. `note` says in words what came of it or why it was skipped."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.WAITING)
    note = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "release_steps"
        constraints = [
            models.UniqueConstraint(fields=["release", "position"], name="one_step_per_position"),
            models.CheckConstraint(condition=Q(state__in=StepState.values), name="step_state_known"),
        ]
        ordering = ["position"]

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class LogLine(models.Model):
    """The tail of what a release printed; the whole is in the release's log file."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="tail")
    position = models.PositiveBigIntegerField()
    step = models.CharField(max_length=20)
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        db_table = "deployment_logs"
        constraints = [models.UniqueConstraint(fields=["release", "position"], name="one_log_line_per_position")]
        ordering = ["position"]


class Variable(models.Model):
    """An environment variable of a deployment; the value is encrypted. `generated` ones were made by the platform."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="variables")
    key = models.CharField(max_length=128)
    value = EncryptedTextField()
    secret = models.BooleanField(default=True)
    generated = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        db_table = "variables"
        constraints = [models.UniqueConstraint(fields=["deployment", "key"], name="one_variable_per_key")]
        ordering = ["key"]
