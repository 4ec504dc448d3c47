"""A model without a table, which gives the admin a page and a permission."""

from __future__ import annotations

from django.db import models


class Overview(models.Model):
    """The overview of what happens now. Nothing is stored."""

    class Meta:
        """The permission is ``channels_live.view_overview``."""

        managed = False
        default_permissions = ("view",)
        verbose_name = "live view"
        verbose_name_plural = "live view"
