"""Names of models that are read as one."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from metrics.events.types import NAME_LENGTH, OTHER_MODEL


class ModelAlias(models.Model):
    """A name under which a model was sent, and the name under which its figures are read. Nothing stored changes."""

    name = models.CharField(
        max_length=NAME_LENGTH, unique=True, help_text="The name as it is sent, such as gpt-4o-2024-08-06."
    )
    group = models.CharField(
        max_length=NAME_LENGTH,
        db_index=True,
        help_text="The name under which its figures are read, such as gpt-4o. Names with the same group are added.",
    )

    class Meta:
        verbose_name_plural = "model aliases"
        ordering = ["group", "name"]

    def __str__(self) -> str:
        return f"{self.name} → {self.group}"

    def clean(self) -> None:
        """Refuse chains: a group is read under its own name."""
        if OTHER_MODEL in (self.name, self.group):
            raise ValidationError(f"{OTHER_MODEL} has the requests of many models and cannot be grouped.")
        if self.name == self.group:
            raise ValidationError({"group": "The group is the name itself. A name without an alias needs no row."})
        others = ModelAlias.objects.exclude(pk=self.pk)
        if further := others.filter(name=self.group).first():
            raise ValidationError({"group": f"{self.group} is itself read as {further.group}. Use that group."})
        if grouped := others.filter(group=self.name).first():
            raise ValidationError({"name": f"{self.name} is the group of {grouped.name}. A group has no alias."})
