"""What is registered, and what was asked."""

from django.db import models


class PLC(models.Model):
    name = models.CharField(max_length=50, unique=True)
    host = models.CharField(max_length=253)
    port = models.IntegerField()
    unit_id = models.IntegerField(default=1)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.name


class APIKey(models.Model):
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    plc = models.ForeignKey(PLC, on_delete=models.CASCADE)
    caller = models.CharField(max_length=100)
    parameters = models.JSONField()
    state = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return f"{self.plc_id}: {self.state}"
