from django.apps import AppConfig


class ServicesConfig(AppConfig):
    name = "apps.services"
    label = "services"

    def ready(self) -> None:
        from apps.deployments import turns  # models are there only now
        from apps.services import certificates, refusals, selftest

        turns.know("certificates.renew", certificates.RENEW_EVERY, certificates.renew)
        turns.know("certificates.watch", certificates.WATCH_EVERY, certificates.watch)
        turns.know("domains.look", certificates.LOOK_EVERY, certificates.look)
        turns.know("selftest.look", selftest.LOOK_EVERY, selftest.look)
        turns.know("refusals.look", refusals.LOOK_EVERY, refusals.look)
