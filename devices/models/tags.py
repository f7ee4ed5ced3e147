"""The named values of a machine type."""

from collections.abc import Iterator
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models

from devices.modbus.types import ByteOrder, DataType, Table, TagSpec
from devices.models import heartbeat_rules, step_rules, tag_rules
from devices.models.checked import CheckedModel, Fault
from devices.models.registry import PLC, TABLES, Profile, address_range
from devices.models.stamps import Kind, Stamped, watch
from devices.models.text_rules import Between, identifier, poll_interval, printable

PLACE_AND_MEANING = (
    "table",
    "address",
    "data_type",
    "bit",
    "length",
    "scale",
    "offset",
    "minimum",
    "maximum",
    "labels",
)


class Tag(Stamped, CheckedModel):
    """A named, typed value of a machine type and where it sits in the PLC."""

    profile = models.ForeignKey(
        Profile, on_delete=models.CASCADE, related_name="tags", help_text="The machine type that this tag belongs to."
    )
    name = models.CharField(
        max_length=50,
        validators=[identifier],
        help_text="How commands and callers name the value, for example batch_size. Once in a profile.",
    )
    description = models.CharField(
        max_length=200, blank=True, validators=[printable], help_text="What the value means at the machine."
    )
    table = models.CharField(
        max_length=20,
        choices=TABLES,
        help_text="Coils (0x) and holding registers (4x) can be written, discrete inputs (1x) and input registers (3x) "
        "only read. The leading digit of a manual's 40001 is this table, not part of the address.",
    )
    address = models.PositiveIntegerField(
        validators=[address_range],
        help_text="Counts from zero, as on the wire, not from 1 and not with 4xxxx: where a manual says 40001, "
        "give holding register 0. Off by one, the neighbour is read or written.",
    )
    data_type = models.CharField(
        "type",
        max_length=10,
        choices=[(data_type, data_type) for data_type in DataType],
        help_text="bool is BOOL; int16 INT; uint16 UINT, WORD; int32 DINT; uint32 UDINT, DWORD; float32 REAL; "
        "float64 LREAL. Of a coil or discrete input always bool. A bool in a register without a bit is true "
        "when the register is not zero.",
    )
    byte_order = models.CharField(
        max_length=4,
        choices=[(order, order) for order in ByteOrder],
        default=ByteOrder.ABCD,
        help_text="A is the most significant byte of a 32-bit value. ABCD: big-endian, most PLCs. CDAB: registers "
        "swapped. BADC: bytes swapped in each register. DCBA: both. With the wrong one, values look absurd.",
    )
    bit = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Only of a bool in a register: 0 (least significant) to 15. A single bit is written by reading "
        "the register, changing the bit and writing it back: the PLC must not change its neighbours meanwhile.",
    )
    length = models.PositiveSmallIntegerField(
        default=0, help_text="Only of a string: registers, each two characters. Otherwise 0."
    )
    scale = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        default=1,
        help_text="Value = number in the PLC × scale + offset. If the PLC keeps 21.5 °C as 215, give 0.1.",
    )
    offset = models.DecimalField(
        max_digits=20, decimal_places=10, default=0, help_text="Added after scaling, in the unit of the value."
    )
    unit = models.CharField(
        max_length=20, blank=True, validators=[printable], help_text="Of the scaled value, for example °C or pcs."
    )
    minimum = models.DecimalField(
        max_digits=30,
        decimal_places=10,
        null=True,
        blank=True,
        help_text="Smallest value that may be written, in the unit, after scaling. "
        "A write below it is refused before anything is sent. Reading is not limited.",
    )
    maximum = models.DecimalField(
        max_digits=30,
        decimal_places=10,
        null=True,
        blank=True,
        help_text="Largest value that may be written, in the unit, after scaling. "
        "A write above it is refused before anything is sent. Reading is not limited.",
    )
    poll_interval_ms = models.PositiveIntegerField(
        "polled every (ms)",
        default=1000,
        validators=[poll_interval],
        help_text="Milliseconds between two readings for pages, history and API. Tags of one interval are read "
        "together. 0: never polled.",
    )
    dead_band = models.FloatField(
        default=0.0,
        validators=[Between(0, 1e300)],
        help_text="In the unit of the value: a change that is not larger is neither shown nor recorded. 0: each change "
        "counts.",
    )
    is_recorded = models.BooleanField(
        "kept in history", default=False, help_text="Its values are kept for trends, for as many days as are set."
    )
    record_every_s = models.PositiveIntegerField(
        "recorded at least every (s)",
        default=60,
        validators=[Between(1, 86_400)],
        help_text="Seconds: also where it does not change, so that a trend shows that it was read.",
    )
    labels = models.JSONField(
        default=dict,
        blank=True,
        validators=[tag_rules.labels],
        help_text='Words for the numbers as the PLC holds them, before scaling: {"0": "idle", "3": "jam at infeed"}. '
        "Steps may use the words as values.",
    )

    class Meta:
        ordering = ["profile", "table", "address", "bit"]
        constraints = [models.UniqueConstraint(fields=["profile", "name"], name="tag_name_once_per_profile")]

    def __str__(self) -> str:
        return self.name

    def spec(self) -> TagSpec:
        """The tag as the machine's floors know it. ValueError or TypeError if a field holds nonsense."""
        return TagSpec(
            name=self.name,
            table=Table(self.table),
            address=self.address,
            data_type=DataType(self.data_type),
            byte_order=ByteOrder(self.byte_order),
            bit=self.bit,
            length=self.length,
            scale=_plain(self.scale),
            offset=_plain(self.offset),
            unit=self.unit,
            minimum=None if self.minimum is None else _plain(self.minimum),
            maximum=None if self.maximum is None else _plain(self.maximum),
            labels={int(number): text for number, text in self.labels.items()},
        )

    def clean(self) -> None:
        """An empty labels field of a form is no labels."""
        self.labels = self.labels or {}
        super().clean()

    def faults(self) -> Iterator[Fault]:
        """By itself, beside the profile's other tags, and in the steps that use it."""
        if self.has_twin(profile=self.profile_id, name=self.name):
            yield "name", f"The profile has another tag named {self.name}: a name stands once in a profile."
        try:
            tag_rules.labels(self.labels)
            spec, limits = self.spec(), self.profile.limits()
        except (ArithmeticError, TypeError, ValueError, ValidationError, Profile.DoesNotExist):
            return  # the field's own check told
        if self.address is None:
            return
        faults = [*tag_rules.tag_faults(spec, limits), *self._watch_faults(spec)]
        yield from faults
        if not faults and not self._state.adding:
            yield from self._step_faults(spec)
            yield from self._heartbeat_faults(spec)

    def _watch_faults(self, spec: TagSpec) -> Iterator[Fault]:
        return tag_rules.watch_faults(
            spec,
            poll_interval_ms=self.poll_interval_ms,
            dead_band=self.dead_band,
            is_recorded=self.is_recorded,
        )

    def _step_faults(self, spec: TagSpec) -> Iterator[Fault]:
        """A change that would break a command is told here, where it is made, and not at the machine."""
        for step in self.steps.select_related("command", "parameter"):
            line = step.line(spec)
            for _, fault in step_rules.step_faults(line, self.profile.limits()):
                yield self._changed_field(), f"Step “{step}” uses this tag and would no longer work. {fault}"

    def _heartbeat_faults(self, spec: TagSpec) -> Iterator[Fault]:
        """The same for the PLCs whose heartbeat it is; one of them is enough to tell."""
        if plc := PLC.objects.filter(heartbeat_tag=self).first():
            for fault in heartbeat_rules.written_faults(spec, self.profile.limits()):
                yield self._changed_field(), f"It is the heartbeat to {plc.name}. {fault}"
        if plc := PLC.objects.filter(watched_tag=self).order_by("watched_limit_s").first():
            for fault in heartbeat_rules.watched_faults(self.name, self.poll_interval_ms, plc.watched_limit_s):
                yield "poll_interval_ms", f"It is the heartbeat of {plc.name}. {fault}"

    def _changed_field(self) -> str:
        stored = Tag.objects.get(pk=self.pk)
        changed = (name for name in PLACE_AND_MEANING if getattr(stored, name) != getattr(self, name))
        return next(changed, "name")


watch(Kind.REGISTRY, Tag)


def _plain(number: Decimal) -> Decimal:
    """Without the zeros that the database adds behind the point: they would show in messages."""
    text = f"{Decimal(number):f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
