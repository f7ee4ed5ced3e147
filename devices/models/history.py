"""What recorded tags held over time."""

from django.db import models

from devices.models.registry import PLC


class Series(models.Model):
    """One tag of one PLC; found by name, so that its history outlives changes of the profile."""

    plc = models.ForeignKey(
        PLC, on_delete=models.CASCADE, related_name="series", verbose_name="PLC", help_text="Whose."
    )
    tag = models.CharField(max_length=50, help_text="The tag's name when it was recorded.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plc", "tag"], name="one_series_per_tag")]
        verbose_name_plural = "series"

    def __str__(self) -> str:
        return f"{self.tag} of {self.plc_id}"


class Sample(models.Model):
    """One value at one moment; neither number nor text: from here on it could not be read."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="samples", help_text="Of which tag.")
    at_ms = models.BigIntegerField(help_text="Milliseconds since 1970-01-01 UTC.")
    number = models.FloatField(null=True, help_text="Scaled, in the tag's unit; a bool as 0 or 1.")
    text = models.TextField(null=True, help_text="Of a string tag.")  # noqa: DJ001 - an empty string is a value

    class Meta:
        indexes = [models.Index(fields=["series", "at_ms"], name="samples_in_time")]

    def __str__(self) -> str:
        return f"{self.number if self.text is None else self.text} at {self.at_ms}"
