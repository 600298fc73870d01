from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "apps.deployments"
    label = "deployments"

    def ready(self) -> None:
        from apps.deployments import database_lane, errands, lane, turns  # models are there only now

        errands.know(lane.KINDS)
        errands.know(database_lane.KINDS)
        turns.know("kept-databases", database_lane.TIDY_EVERY, database_lane.tidy)
