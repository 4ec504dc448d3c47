"""The state that Django keeps for each thread: the language, the time zone, the URL prefix."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation


class DjangoState(NamedTuple):
    """The state that a view has set, for the thread that continues its answer.

    Django keeps it in ``asgiref.local.Local``, which does not follow a context into another thread.
    """

    language: str | None
    zone: datetime.tzinfo
    script_prefix: str
    urlconf: str | None

    @classmethod
    def current(cls) -> DjangoState:
        """Read the state of the current thread."""
        return cls(translation.get_language(), timezone.get_current_timezone(), get_script_prefix(), get_urlconf())

    def activate(self) -> None:
        """Set it in the current thread."""
        if self.language is None:
            translation.deactivate_all()
        else:
            translation.activate(self.language)
        timezone.activate(self.zone)
        set_script_prefix(self.script_prefix)
        set_urlconf(self.urlconf)
