from django.core.validators import MaxValueValidator
from django.db import models

MOST_ROWS = 200


class Row(models.Model):
    """Something to bring: what it is, how many, and who brings it."""

    thing = models.CharField(max_length=60)
    amount = models.PositiveIntegerField(default=1, validators=[MaxValueValidator(999)])
    who = models.CharField(max_length=40, blank=True)
    is_packed = models.BooleanField("packed", default=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.thing} ({self.amount})"
