from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "apps.deployments"
    label = "deployments"

    def ready(self) -> None:
        from apps.deployments import database_lane, errands, lane  # models are there only now

        errands.know(lane.KINDS)
        errands.know(database_lane.KINDS)
