"""Machine types with their tags, and the PLCs of each type."""

from django.db import models

from devices.modbus.types import Limits, Table, WriteFunctions
from devices.models.checked import CheckedModel
from devices.models.text_rules import Between, host, printable, printable_lines, slug

TABLES = {
    Table.COIL: "0x coil",
    Table.DISCRETE_INPUT: "1x discrete",
    Table.INPUT_REGISTER: "3x input",
    Table.HOLDING_REGISTER: "4x holding",
}
WRITE_FUNCTIONS = {
    WriteFunctions.BOTH: "single and multiple (FC5, FC6, FC15, FC16)",
    WriteFunctions.SINGLE: "single only (FC5, FC6)",
    WriteFunctions.MULTIPLE: "multiple only (FC15, FC16)",
}
address_range = Between(0, 65535, "addresses count from zero as on the wire; a manual's 40001 is holding register 0")


class Profile(CheckedModel):
    """A machine type: its tags and commands, shared by all PLCs of that type."""

    name = models.CharField(
        max_length=50,
        unique=True,
        validators=[slug],
        help_text="The machine type, for example batch-machine. Lower-case letters, digits, - and _.",
    )
    description = models.TextField(
        blank=True,
        validators=[printable_lines],
        help_text="For colleagues: which machines, which PLC program, since when.",
    )
    probe_table = models.CharField(
        "table to probe",
        max_length=20,
        choices=TABLES,
        default=Table.HOLDING_REGISTER,
        help_text="One value is read here on every fresh connection before anything is written. "
        "Only when it was answered is the PLC known to serve us; a refusal is an answer too.",
    )
    probe_address = models.PositiveIntegerField(
        "address to probe",
        default=0,
        validators=[address_range],
        help_text="Counts from zero. Choose one that the PLC has mapped and that reading does not change.",
    )
    read_registers_limit = models.PositiveSmallIntegerField(
        "registers a read",
        default=125,
        validators=[Between(1, 125, "125 is the protocol's own limit")],
        help_text="Most registers that the PLC gives in one answer: 125, for Delta DVP10MC 64. "
        "If it is too high, the PLC refuses with exception 2 or 3.",
    )
    read_bits_limit = models.PositiveSmallIntegerField(
        "bits a read",
        default=2000,
        validators=[Between(1, 2000, "2000 is the protocol's own limit")],
        help_text="Most coils or discrete inputs that the PLC gives in one answer: 2000, for Delta DVP10MC 256.",
    )
    write_registers_limit = models.PositiveSmallIntegerField(
        "registers a write",
        default=123,
        validators=[Between(1, 123, "123 is the protocol's own limit")],
        help_text="Most registers that the PLC takes in one request: 123, for WAGO 750 100. "
        "Neighbouring tags are written together up to this number.",
    )
    write_bits_limit = models.PositiveSmallIntegerField(
        "bits a write",
        default=1968,
        validators=[Between(1, 1968, "1968 is the protocol's own limit")],
        help_text="Most coils that the PLC takes in one request: 1968, for WAGO 750 800.",
    )
    write_functions = models.CharField(
        max_length=10,
        choices=WRITE_FUNCTIONS,
        default=WriteFunctions.BOTH,
        help_text="Which Modbus functions the PLC knows for writing. A function that it does not know is refused "
        "with exception 1. Values of 32 and 64 bits need a multiple write, so that the PLC never sees half of one.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def limits(self) -> Limits:
        """How large requests may be."""
        return Limits(
            read_registers=self.read_registers_limit,
            read_bits=self.read_bits_limit,
            write_registers=self.write_registers_limit,
            write_bits=self.write_bits_limit,
            write_functions=WriteFunctions(self.write_functions),
        )


class PLC(CheckedModel):
    """One registered controller: where it listens, and how it wants to be talked to."""

    name = models.CharField(
        max_length=50,
        unique=True,
        validators=[slug],
        help_text="Stands in addresses, for example PUT /api/start/press-1: lower-case letters, digits, - and _. "
        "Callers that use the old name find nothing after a change.",
    )
    title = models.CharField(
        max_length=100, blank=True, validators=[printable], help_text="As operators call it, for example Press 1."
    )
    area = models.CharField(
        max_length=100, blank=True, validators=[printable], help_text="Where it stands, for example Hall A."
    )
    profile = models.ForeignKey(
        Profile, on_delete=models.PROTECT, related_name="plcs", help_text="The machine type: which tags and commands."
    )
    host = models.CharField(
        max_length=253,
        validators=[host],
        help_text="IP address or host name, for example 192.168.0.10, without port.",
    )
    port = models.PositiveIntegerField(
        default=502, validators=[Between(1, 65535)], help_text="TCP port; 502 is Modbus TCP's own."
    )
    unit_id = models.PositiveSmallIntegerField(
        "unit id",
        default=1,
        validators=[Between(0, 255)],
        help_text="Modbus device id, 0 to 255. Most PLCs ignore it; a gateway to serial lines finds the device by it. "
        "Some want 255 or 0.",
    )
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="A disabled PLC keeps its records and refuses every command."
    )
    connect_timeout_s = models.FloatField(
        "connect limit (s)",
        default=3.0,
        validators=[Between(0.05, 60)],
        help_text="Seconds to wait for the TCP connection. Too short, a slow PLC counts as not reachable.",
    )
    response_timeout_s = models.FloatField(
        "answer limit (s)",
        default=1.0,
        validators=[Between(0.05, 60)],
        help_text="Seconds to wait for one whole answer. Too short, and a write that the PLC carried out ends as "
        "“unknown”: give twice the slowest answer that you have seen.",
    )
    pause_after_connect_ms = models.PositiveIntegerField(
        "pause after connecting (ms)",
        default=0,
        validators=[Between(0, 10_000)],
        help_text="Milliseconds before the first request, for PLCs that are not ready at once.",
    )
    pause_between_ms = models.PositiveIntegerField(
        "pause between requests (ms)",
        default=0,
        validators=[Between(0, 10_000)],
        help_text="Milliseconds between two requests, for PLCs that lose the second one otherwise.",
    )
    max_connections = models.PositiveSmallIntegerField(
        "connections",
        default=1,
        validators=[Between(1, 32)],
        help_text="How many the gateway opens at once. Commands of one PLC go one after the other all the same: more "
        "than 1 only lets it be read meanwhile. Many PLCs serve one to five in all, HMIs included.",
    )
    max_waiting = models.PositiveSmallIntegerField(
        "commands waiting",
        default=32,
        validators=[Between(1, 1000)],
        help_text="Commands that may wait for their turn; one more is refused at once.",
    )
    turn_timeout_s = models.FloatField(
        "longest wait (s)",
        default=30.0,
        validators=[Between(0.1, 3600)],
        help_text="Seconds that a command may wait for its turn; then it fails and nothing was sent.",
    )
    keep_open_s = models.FloatField(
        "keep open (s)",
        default=0.0,
        validators=[Between(0, 3600)],
        help_text="Seconds to keep the connection for the next command. 0 closes at once, so that an HMI finds a free "
        "one. Keep it open for PLCs that drop their outputs when the link closes.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "PLC"
        verbose_name_plural = "PLCs"

    def __str__(self) -> str:
        return self.name
