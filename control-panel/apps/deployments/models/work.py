"""Work that is no release: errands in a deployment's lane, commands a person runs, schedules, and the platform's own
turns. As everywhere the row is the truth."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.core.crypto import EncryptedTextField
from apps.core.models import User
from apps.core.work import Leased
from apps.deployments.models.deployments import Deployment


class WorkState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ErrandKind(models.TextChoices):
    PUBLISH = "publish", "Change the site"
    START = "start", "Start"
    STOP = "stop", "Stop"
    RESTART = "restart", "Restart"
    CHECK = "check", "Check the domains"
    ISSUE = "issue", "Get a certificate"
    UPLOAD = "upload", "Take over a certificate"
    WITHDRAW = "withdraw", "Remove the uploaded certificate"
    ROTATE = "rotate", "Rotate the database password"
    DUMP = "dump", "Dump the database"
    TAKE_OVER = "take over", "Take over an uploaded dump"
    RESTORE = "restore", "Restore the database"
    CLONE = "clone", "Fill the database from another"
    REVERT = "revert", "Go back to the database from before"
    CONFIRM = "confirm", "Remove the database from before"
    DISCARD = "discard", "Remove a dump"
    REMOVE = "remove", "Remove the deployment"


class Errand(models.Model):
    """One short thing to do on the host for a deployment, by whoever holds its lane. Doing it again is harmless.

    `secret` is what must be handed over and not be read by others; it is gone once the errand is over.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="errands")
    kind = models.CharField(max_length=10, choices=ErrandKind.choices)
    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.QUEUED)
    arguments = models.JSONField(default=dict)
    secret = EncryptedTextField(blank=True, default="")
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    by_platform = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    outcome = models.TextField(blank=True)
    hint = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "errands"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=WorkState.values), name="errand_state_known"),
            models.CheckConstraint(condition=Q(kind__in=ErrandKind.values), name="errand_kind_known"),
        ]
        indexes = [models.Index(fields=["state", "created_at"], name="errands_by_state")]
        ordering = ["-pk"]

    @property
    def is_open(self) -> bool:
        return self.state in (WorkState.QUEUED, WorkState.RUNNING)


class CommandRun(Leased):
    """One command line that a person ran in a deployment's sandbox; what it printed is in a file of its own."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="commands")
    number = models.PositiveIntegerField()
    line = models.CharField(max_length=4000)
    release = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.QUEUED)
    exit_status = models.IntegerField(null=True)
    cause = models.TextField(blank=True)
    hint = models.TextField(blank=True)
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    cancel_requested = models.BooleanField(default=False)
    limit_seconds = models.PositiveIntegerField(default=900)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "command_runs"
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="one_command_per_number"),
            models.CheckConstraint(condition=Q(state__in=WorkState.values), name="command_state_known"),
        ]
        indexes = [models.Index(fields=["state", "created_at"], name="commands_by_state")]
        ordering = ["-number"]

    @property
    def is_open(self) -> bool:
        return self.state in (WorkState.QUEUED, WorkState.RUNNING)

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class Schedule(models.Model):
    """A command of a deployment that runs at times (five fields as in crontab(5), in UTC). `by_host`: its host keeps
    the time and starts it; otherwise the worker does."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="schedules")
    expression = models.CharField(max_length=100)
    command = models.CharField(max_length=4000)
    enabled = models.BooleanField(default=True)
    by_host = models.BooleanField(default=False)
    next_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "schedules"
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "expression", "command"], name="one_schedule_per_time_and_command"
            )
        ]


class ScheduleRun(models.Model):
    """One time that a schedule ran. It outlives its schedule, which goes when the contract no longer names it. One that
    the host began by itself has the host's own id for it."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="schedule_runs")
    schedule = models.ForeignKey(Schedule, on_delete=models.SET_NULL, null=True, related_name="runs")
    invocation = models.CharField(max_length=32, null=True, unique=True)
    expression = models.CharField(max_length=100)
    command = models.CharField(max_length=4000)
    state = models.CharField(max_length=10, choices=WorkState.choices, default=WorkState.RUNNING)
    outcome = models.CharField(max_length=300, blank=True)
    exit_status = models.IntegerField(null=True)
    tail = models.JSONField(default=list)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "schedule_runs"
        constraints = [models.CheckConstraint(condition=Q(state__in=WorkState.values), name="schedule_run_state_known")]
        indexes = [models.Index(fields=["deployment", "-started_at"], name="schedule_runs_by_time")]
        ordering = ["-started_at", "-pk"]

    @property
    def seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    @property
    def tail_text(self) -> str:
        return "\n".join(map(str, self.tail))


class Turn(Leased):
    """Something that the platform itself does from time to time on a host; whichever worker claims the row does it."""

    name = models.CharField(max_length=60)
    host = models.CharField(max_length=40)
    next_at = models.DateTimeField()
    last_at = models.DateTimeField(null=True)
    last_outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "turns"
        constraints = [models.UniqueConstraint(fields=["name", "host"], name="one_turn_per_name_and_host")]
