"""The page in the admin: who may see it, and what it shows in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import InvalidStatus

from tests.project import MANAGE, Project, Site

FILES = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/settings.py": """
        from pathlib import Path

        SECRET_KEY = "for tests"
        PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        DEBUG = True
        ROOT_URLCONF = "myproject.urls"
        STATIC_URL = "static/"
        INSTALLED_APPS = [
            "channels_classic", "channels_classic.live", "django.contrib.admin", "django.contrib.auth",
            "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
            "django.contrib.staticfiles",
        ]
        MIDDLEWARE = [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        TEMPLATES = [{
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]},
        }]
        DATABASES = {"default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(__file__).parent / "db",
            "OPTIONS": {"timeout": 30},
        }}
        CHANNEL_LAYERS = {"default": {
            "BACKEND": "channels_classic.layers.InMemoryChannelLayer",
            "ROUTING": "myproject.routing.routing",
        }}
        """,
    "myproject/urls.py": """
        from django.contrib import admin
        from django.urls import path

        urlpatterns = [path("admin/", admin.site.urls)]
        """,
    "myproject/routing.py": """
        from channels_classic import Group
        from channels_classic.routing import include, route

        def fail(message):
            for number in range(30):
                Group("x" * 90 + str(number)).add(message.reply_channel)
            raise ValueError("a secret")

        routing = [
            include("channels_classic.live.routing.routing"),
            route("websocket.receive", fail, path="^/fail/$"),
        ]
        """,
}

USERS = """
from django.contrib.auth.models import Permission, User

User.objects.create_superuser("root", password="secret")
looker = User.objects.create_user("looker", password="secret", is_staff=True)
looker.user_permissions.add(Permission.objects.get(codename="view_overview"))
User.objects.create_user("staff", password="secret", is_staff=True)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = Project(tmp_path_factory.mktemp("live"), FILES)
    project.manage("migrate", "-v", "0")
    project.manage("shell", "-c", USERS)
    with project.served() as site:
        yield site


def log_in(page: Page, site: Site, name: str) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", "secret")
    page.click("[type=submit]")


def test_the_page_shows_what_happens(site: Site, browser: Browser, tmp_path: Path) -> None:
    with site.connect("/fail/") as socket:
        socket.send("x")
        pages = []
        for name, width in (("looker", 1100), ("root", 390)):
            page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
            log_in(page, site, name)
            page.click("text=Live view")
            pages.append(page)
        for page in pages:
            expect(page.locator(".state")).to_have_text("Live")
            expect(page.locator(".figures")).to_contain_text("Sockets3")
            expect(page.locator(".tables")).to_contain_text("websocket.receive")
            expect(page.locator(".tables")).to_contain_text("myproject.routing.fail")
            expect(page.locator(".tables")).to_contain_text("ValueError")
            largest = page.locator("tr", has=page.get_by_text("channels-live", exact=True))
            expect(largest.locator("[data-title=Members]")).to_have_text("2")
            expect(page.locator(".tables")).to_contain_text(
                "and at least 11 more groups. All groups have 32 members."
            )
            assert "a secret" not in page.content()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            width = page.viewport_size["width"] if page.viewport_size else 0
            page.screenshot(path=tmp_path / f"live-{width}.png", full_page=True)
            page.close()


def test_staff_without_the_permission_do_not_see_it(site: Site, browser: Browser) -> None:
    page = browser.new_context().new_page()
    log_in(page, site, "staff")
    expect(page.locator("#content")).to_be_visible()
    assert page.locator("text=Live view").count() == 0
    answer = page.goto(f"http://127.0.0.1:{site.port}/admin/channels_live/overview/")
    assert answer is not None
    assert answer.status == 403
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    for headers in ({"Cookie": cookies}, {}):
        with (
            pytest.raises(InvalidStatus, match="403"),
            site.connect("/channels-live/", Origin=f"http://127.0.0.1:{site.port}", **headers),
        ):
            pass
