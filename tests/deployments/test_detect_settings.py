"""Which settings module is taken, in repositories where files disagree about it."""

import pytest
from tests.support.trees import SETTINGS, manage, planned, shop, wsgi


@pytest.mark.parametrize("text", ["", "# nothing\n", '"""Nothing."""\n'])
def test_an_empty_package_that_wsgi_names_is_passed_over_for_the_module_that_manage_names(text):
    files = shop() | {
        "shop/settings/__init__.py": text,
        "shop/settings/development.py": SETTINGS,
        "manage.py": manage("shop.settings.development"),
        "shop/wsgi.py": wsgi("shop.settings"),
    }
    del files["shop/settings.py"]
    plan = planned(files)
    found = next(finding for finding in plan.findings if finding.subject == "Settings")
    assert (plan.django.settings, plan.blockers) == ("shop.settings.development", ())
    assert "shop.settings would be preferred but can not start without any setting in" in found.reason


def test_templates_count_among_the_static_files_where_they_say_what_is_compressed():
    def digest(settings: str, page: str) -> str:
        plan = planned(shop(settings) | {"other/templates/page.html": page})
        return plan.django.statics

    assert digest(SETTINGS, "a") == digest(SETTINGS, "b")
    offline = f"{SETTINGS}COMPRESS_OFFLINE = True\n"
    assert digest(offline, "a") != digest(offline, "b")
