"""Which settings module is taken, in repositories where files disagree about it."""

from tests.support.trees import SETTINGS, manage, planned, shop, wsgi


def test_an_empty_package_that_wsgi_names_is_passed_over_for_the_module_that_manage_names():
    files = shop() | {
        "shop/settings/__init__.py": '"""Nothing."""\n',
        "shop/settings/development.py": SETTINGS,
        "manage.py": manage("shop.settings.development"),
        "shop/wsgi.py": wsgi("shop.settings"),
    }
    del files["shop/settings.py"]
    plan = planned(files)
    found = next(finding for finding in plan.findings if finding.subject == "Settings")
    assert (plan.django.settings, plan.blockers) == ("shop.settings.development", ())
    assert "shop.settings would be preferred but can not start without any setting in" in found.reason
