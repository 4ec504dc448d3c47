"""Finds what Django has changed since 1.8: names that moved or are gone, and arguments that are required now."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from channels_classic.legacycheck.finding import Finding
from channels_classic.legacycheck.old_imports import imports_of, is_within
from channels_classic.legacycheck.project import Project, SourceFile

MOVED = {
    "django.conf.urls.include": "Import include from django.urls.",
    "django.conf.urls.patterns": "Make urlpatterns a list.",
    "django.conf.urls.url": "Use re_path (or path) of django.urls.",
    "django.contrib.admin.templatetags.admin_static": "Use django.templatetags.static.",
    "django.contrib.auth.views.login": "Use LoginView.",
    "django.contrib.auth.views.logout": "Use LogoutView.",
    "django.contrib.postgres.fields.JSONField": "Use django.db.models.JSONField.",
    "django.contrib.postgres.forms.JSONField": "Use django.forms.JSONField.",
    "django.contrib.staticfiles.templatetags": "Use django.templatetags.static.",
    "django.core.cache.get_cache": "Use django.core.cache.caches[alias].",
    "django.core.context_processors": "Use django.template.context_processors.",
    "django.core.files.storage.get_storage_class": "Use django.core.files.storage.storages[alias].",
    "django.core.urlresolvers": "Use django.urls.",
    "django.db.models.fields.FieldDoesNotExist": "Import it from django.core.exceptions.",
    "django.db.models.get_model": "Use django.apps.apps.get_model.",
    "django.db.models.loading": "Use django.apps.apps.",
    "django.db.models.NullBooleanField": "Use BooleanField(null=True).",
    "django.db.models.permalink": "Use django.urls.reverse.",
    "django.shortcuts.render_to_response": "Use render(request, template, context).",
    "django.utils.decorators.available_attrs": "Leave it out: functools.wraps does without.",
    "django.utils.encoding.force_text": "Use force_str.",
    "django.utils.encoding.python_2_unicode_compatible": "Remove it.",
    "django.utils.encoding.smart_text": "Use smart_str.",
    "django.utils.http.is_safe_url": "Use url_has_allowed_host_and_scheme.",
    "django.utils.http.urlquote": "Use urllib.parse.quote.",
    "django.utils.http.urlunquote": "Use urllib.parse.unquote.",
    "django.utils.importlib": "Use importlib.",
    "django.utils.lru_cache": "Use functools.lru_cache.",
    "django.utils.simplejson": "Use json.",
    "django.utils.six": "Use Python 3's own, or the package six.",
    "django.utils.timezone.utc": "Use datetime.timezone.utc.",
    "django.utils.translation.string_concat": "Use django.utils.text.format_lazy.",
    "django.utils.translation.ugettext": "Use gettext.",
    "django.utils.translation.ugettext_lazy": "Use gettext_lazy.",
    "django.utils.translation.ugettext_noop": "Use gettext_noop.",
    "django.utils.translation.ungettext": "Use ngettext.",
    "django.utils.translation.ungettext_lazy": "Use ngettext_lazy.",
    "django.utils.unittest": "Use unittest.",
}
"""Names that were removed, each with the replacement."""

SETTINGS = {
    "DEFAULT_FILE_STORAGE": "Use STORAGES['default'].",
    "MIDDLEWARE_CLASSES": "Use MIDDLEWARE; middleware of the old form needs MiddlewareMixin.",
    "PASSWORD_RESET_TIMEOUT_DAYS": "Use PASSWORD_RESET_TIMEOUT, in seconds.",
    "STATICFILES_STORAGE": "Use STORAGES['staticfiles'].",
    "TEMPLATE_CONTEXT_PROCESSORS": "Use TEMPLATES.",
    "TEMPLATE_DEBUG": "Use TEMPLATES.",
    "TEMPLATE_DIRS": "Use TEMPLATES.",
    "TEMPLATE_LOADERS": "Use TEMPLATES.",
    "USE_ETAGS": "Use ConditionalGetMiddleware.",
    "USE_L10N": "Remove it: formats are always local.",
}
"""Settings that Django no longer reads."""

REMOVED_MIDDLEWARE = {
    "django.contrib.auth.middleware.SessionAuthenticationMiddleware",
    "django.middleware.doc.XViewMiddleware",
    "django.middleware.transaction.TransactionMiddleware",
}

RELATIONS = ("ForeignKey", "OneToOneField")
PROPERTIES = ("is_anonymous", "is_authenticated")

TEMPLATE_LIBRARIES = re.compile(r"{%\s*load\s[^%]*\b(staticfiles|admin_static|cache_tags|future)\b")


def check(project: Project) -> Iterator[Finding]:
    """Look at all modules and templates of the project."""
    for file in project.modules:
        yield from _check_imports(file)
        yield from _check_code(file)
    for file in project.files:
        if file.name.endswith((".html", ".txt")) and "{%" in file.text:
            yield from _check_template(file)


def _check_imports(file: SourceFile) -> Iterator[Finding]:
    for module, name, line in imports_of(file):
        full = f"{module}.{name}" if name else module
        for old, remedy in MOVED.items():
            if is_within(full, [old]):
                yield file.finding(line, "django-name", f"Django has no {old!r} any more.", remedy)


def _check_code(file: SourceFile) -> Iterator[Finding]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            yield from _check_call(file, node)
        elif isinstance(node, ast.Attribute) and node.attr == "assignment_tag":
            yield file.finding(
                node.lineno,
                "django-name",
                "There is no assignment_tag any more.",
                "Use simple_tag.",
            )
        elif isinstance(node, ast.Constant) and node.value in REMOVED_MIDDLEWARE:
            yield file.finding(
                node.lineno, "django-setting", f"Django has no {node.value} any more.", "Remove it."
            )
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            for name in names:
                if name in SETTINGS and "settings" in file.name:
                    yield file.finding(
                        node.lineno,
                        "django-setting",
                        f"Django reads no {name} any more.",
                        SETTINGS[name],
                    )
                if name == "default_app_config" and isinstance(node.value, ast.Constant):
                    yield from _check_app_config(file, node, str(node.value.value))
                if name == "index_together":
                    yield file.finding(
                        node.lineno,
                        "django-model",
                        "Django has no index_together any more.",
                        "Use indexes = [models.Index(fields=[...])].",
                    )


def _check_app_config(file: SourceFile, node: ast.Assign, name: str) -> Iterator[Finding]:
    package, _, module = file.name.removesuffix("/__init__.py").rpartition("/")
    package = f"{package}/{module}".strip("/").replace("/", ".")
    if not name.startswith(f"{package}.apps."):  # which Django finds by itself
        yield file.finding(
            node.lineno,
            "django-app",
            "Django ignores default_app_config, so it does not find the configuration of this app.",
            f"Write {name!r} in INSTALLED_APPS instead of {package!r}.",
        )


def _check_call(file: SourceFile, call: ast.Call) -> Iterator[Finding]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    keywords = {keyword.arg for keyword in call.keywords}
    if name in RELATIONS and len(call.args) < 2 and not keywords & {"on_delete", None} and _is_model_field(call):
        yield file.finding(
            call.lineno,
            "django-model",
            f"{name} needs on_delete.",
            "What Django did without it was on_delete=models.CASCADE.",
        )
    elif name in PROPERTIES and isinstance(call.func, ast.Attribute) and not call.args:
        yield file.finding(
            call.lineno,
            "django-user",
            f"{name} is a property, and no method.",
            f"Write {name} without ().",
        )
    elif name == "is_ajax" and isinstance(call.func, ast.Attribute):
        yield file.finding(
            call.lineno,
            "django-request",
            "Requests have no is_ajax any more.",
            "Look at request.headers.get('x-requested-with') == 'XMLHttpRequest'.",
        )
    elif name == "Signal" and "providing_args" in keywords:
        yield file.finding(
            call.lineno, "django-name", "Signal has no providing_args any more.", "Leave it out: it did nothing."
        )
    elif name == "include" and call.args and ast.unparse(call.args[0]).endswith("site.urls"):
        yield file.finding(
            call.lineno, "django-name", "The URLs of the admin are not included.", "Write admin.site.urls alone."
        )
    elif name in ("url", "re_path") and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        yield file.finding(
            call.lineno, "django-name", "A view is not given as text any more.", "Import it, and write its name."
        )


def _is_model_field(call: ast.Call) -> bool:
    """Whether it is ``models.ForeignKey(…)``, and not a field of a serializer or a form."""
    return isinstance(call.func, ast.Name) or getattr(getattr(call.func, "value", None), "id", "") == "models"


def _check_template(file: SourceFile) -> Iterator[Finding]:
    for number, line in enumerate(file.lines, 1):
        if found := TEMPLATE_LIBRARIES.search(line):
            library = found[1]
            yield file.finding(
                number,
                "django-template",
                f"Django has no template library {library!r} any more.",
                "Write {% load static %}." if "static" in library else "Leave it out.",
            )
