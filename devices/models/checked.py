"""Rows that tell every mistake at its field, in one go."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from django.core.exceptions import ValidationError
from django.db import models

Fault = tuple[str, str]
"""The field's name, and what is wrong with it in words to act on."""


class CheckedModel(models.Model):
    """A row whose fields are checked against each other and against other rows."""

    _failed: Collection[str] = ()

    class Meta:
        abstract = True

    def faults(self) -> Iterator[Fault]:
        """What is wrong beyond single fields. Fields that failed their own check may hold anything."""
        yield from ()

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Remember which fields failed their own check: they tell only that."""
        self._failed = set()
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            self._failed = set(error.error_dict)
            raise

    def clean(self) -> None:
        """Tell all faults, each at its field."""
        super().clean()
        told: dict[str, list[str]] = defaultdict(list)
        for field, message in self.faults():
            if field not in self._failed:
                told[field].append(message)
        if told:
            raise ValidationError(dict(told))

    def has_twin(self, **same: object) -> bool:
        """Whether another row has all these values."""
        rows = type(self)._default_manager  # noqa: SLF001 - Django's documented name
        return rows.filter(**same).exclude(pk=self.pk).exists()
