"""What the admin needs to have a page and a permission: a model without a table."""

from __future__ import annotations

from django.db import models


class Overview(models.Model):
    """Nothing is stored: it stands for what happens now."""

    class Meta:
        """The permission is ``channels_live.view_overview``."""

        managed = False
        default_permissions = ("view",)
        verbose_name = "live view"
        verbose_name_plural = "live view"
