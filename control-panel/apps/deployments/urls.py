"""Pages of deployments."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, register_converter

from apps.deployments.views import (
    changing,
    commands,
    creating,
    databases,
    domains,
    listing,
    output,
    scaling,
    showing,
    site,
    variables,
)
from webops_host.errors import BadValue
from webops_host.names import DeploymentName


class Name:
    """A deployment's name in an address. What can not be one is not found."""

    regex = "[a-z][a-z0-9-]{1,30}"

    def to_python(self, text: str) -> str:
        try:
            return DeploymentName(text)
        except BadValue:
            raise ValueError from None

    def to_url(self, name: str) -> str:
        return name


class Power:
    regex = "start|stop|restart"

    def to_python(self, text: str) -> str:
        return text

    def to_url(self, verb: str) -> str:
        return verb


register_converter(Name, "deployment")
register_converter(Power, "power")

one = [
    path("", showing.overview, name="show"),
    path("look/", creating.look, name="look"),
    path("look/again/", creating.look_again, name="look-again"),
    path("look/events", output.look_events, name="look-events"),
    path("look/log", output.look_log, name="look-log"),
    path("deploy/", changing.deploy, name="deploy"),
    path("cancel/", changing.cancel, name="cancel"),
    path("power/<power:verb>/", changing.switch, name="power"),
    path("releases/", showing.releases, name="releases"),
    path("releases/<int:number>/", showing.release, name="release"),
    path("releases/<int:number>/events", output.events, name="events"),
    path("releases/<int:number>/log", output.release_log, name="release-log"),
    path("releases/<int:number>/rollback/", changing.rollback, name="rollback"),
    path("logs/", output.app, name="logs"),
    path("logs/lines", output.app_lines, name="log-lines"),
    path("logs/download", output.app_log, name="log-download"),
    path("variables/", variables.show, name="variables"),
    path("variables/reveal/", variables.reveal, name="reveal"),
    path("variables/unset/", variables.unset, name="unset"),
    path("variables/paste/", variables.paste, name="paste"),
    path("database/", databases.show, name="database"),
    path("database/rotate/", databases.rotate, name="database-rotate"),
    path("database/dump/", databases.dump, name="database-dump"),
    path("database/upload/", databases.upload, name="database-upload"),
    path("database/restore/", databases.restore, name="database-restore"),
    path("database/clone/", databases.clone, name="database-clone"),
    path("database/revert/", databases.revert, name="database-revert"),
    path("database/confirm/", databases.confirm, name="database-confirm"),
    path("database/discard/", databases.discard, name="database-discard"),
    path("database/dumps/<slug:dump>/", databases.download, name="database-download"),
    path("processes/", showing.processes, name="processes"),
    path("scale/", scaling.scale, name="scale"),
    path("domains/", domains.show, name="domains"),
    path("domains/check/", domains.look, name="check-domains"),
    path("domains/redirects/", domains.redirects, name="redirects"),
    path("domains/<int:pk>/remove/", domains.remove, name="remove-domain"),
    path("domains/<int:pk>/primary/", domains.primary, name="primary-domain"),
    path("certificate/issue/", domains.issue, name="issue-certificate"),
    path("certificate/upload/", domains.upload, name="upload-certificate"),
    path("certificate/remove/", domains.withdraw, name="withdraw-certificate"),
    path("site/", site.show, name="site"),
    path("site/wall/", site.let_in, name="let-in"),
    path("site/wall/remove/", site.shut_out, name="shut-out"),
    path("commands/", commands.show, name="commands"),
    path("commands/schedules/<int:pk>/run/", commands.run_schedule, name="run-schedule"),
    path("commands/<int:number>/", commands.one, name="command"),
    path("commands/<int:number>/events", commands.events, name="command-events"),
    path("commands/<int:number>/log", commands.log, name="command-log"),
    path("commands/<int:number>/cancel/", commands.cancel, name="cancel-command"),
    path("settings/", changing.settings, name="settings"),
    path("runs/", showing.explain, name="explain"),
    path("delete/", changing.delete, name="delete"),
]

app_name = "deployments"
urlpatterns: list[URLPattern | URLResolver] = [
    path("deployments/", listing.show, name="list"),
    path("deployments/new/", creating.new, name="new"),
    path("deployments/<deployment:name>/", include(one)),
]
