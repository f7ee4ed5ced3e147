"""Machine types with their tags, and the PLCs of each type."""

from collections.abc import Iterator

from django.db import models

from devices.modbus.types import Limits, Table, WriteFunctions
from devices.models import heartbeat_rules
from devices.models.checked import CheckedModel, Fault
from devices.models.stamps import Kind, Stamped, watch
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
single_host = host  # PLC's own field of that name hides it
address_range = Between(0, 65535, "addresses count from zero as on the wire; a manual's 40001 is holding register 0")


class Profile(Stamped, CheckedModel):
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
    read_gap_limit = models.PositiveSmallIntegerField(
        "widest gap read across",
        default=8,
        validators=[Between(0, 125)],
        help_text="Polling reads neighbouring tags in one request, across at most so many addresses that nobody asked "
        "for. 0 reads only what tags name: choose it where reading an address changes something in the PLC.",
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


class PLC(Stamped, CheckedModel):
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
    uses_tls = models.BooleanField(
        "Modbus/TCP Security",
        default=False,
        help_text="Talk to it over TLS; its port is usually 802 then.",
    )
    tls_identity = models.CharField(
        "TLS identity",
        max_length=50,
        blank=True,
        validators=[slug],
        help_text="The folder below TLS_DIR on the gateway's computer that holds ca.pem, client.pem and client.key.",
    )
    tls_server_name = models.CharField(
        "name in its certificate",
        max_length=253,
        blank=True,
        validators=[single_host],
        help_text="The host name or IP address that its certificate must be made for. Empty: the host above.",
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
    heartbeat_tag = models.ForeignKey(
        "devices.Tag",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="heartbeat to the PLC",
        help_text="For PLCs with a watchdog: this tag is written again and again through a kept connection. A bool is "
        "toggled, a whole number counts up by one.",
    )
    heartbeat_interval_ms = models.PositiveIntegerField(
        "written every (ms)",
        default=500,
        validators=[Between(heartbeat_rules.SHORTEST_BEAT_MS, 60_000)],
        help_text="Milliseconds between two beats: at most a third of what the PLC's watchdog allows.",
    )
    watched_tag = models.ForeignKey(
        "devices.Tag",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="heartbeat of the PLC",
        help_text="A tag that the PLC's program changes all the time. Standing still, it makes the PLC degraded: the "
        "program has stopped, though the PLC answers. A counter is better than a bit, which looks still where it "
        "changes as often as it is read.",
    )
    watched_limit_s = models.FloatField(
        "may stand still (s)",
        default=5.0,
        validators=[Between(0.2, 3600)],
        help_text="Seconds without a change of the PLC's heartbeat before the PLC counts as degraded.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "PLC"
        verbose_name_plural = "PLCs"

    def __str__(self) -> str:
        return self.name

    def faults(self) -> Iterator[Fault]:
        """What its heartbeats rest on: tags of its own machine type that suit them. And who it is over TLS."""
        if self.uses_tls and not self.tls_identity:
            yield "tls_identity", "Name the folder with the certificates: over TLS the PLC must show who it is."
        if self.profile_id is None:
            return
        tags = {field: tag for field in ("heartbeat_tag", "watched_tag") if (tag := getattr(self, field))}
        foreign = {field: tag for field, tag in tags.items() if tag.profile_id != self.profile_id}
        for field, tag in foreign.items():
            yield field, f"{tag.name} belongs to the profile {tag.profile.name}: take a tag of this PLC's own."
        unusable = [field for field, tag in tags.items() if heartbeat_rules.usable(tag) is None]
        for field in unusable:
            yield field, "This tag has mistakes of its own: mend them first."
        if not foreign and not unusable:
            yield from self._written_faults()
            yield from self._watched_faults()

    def _written_faults(self) -> Iterator[Fault]:
        if self.heartbeat_tag is None:
            return
        beat = self.heartbeat_tag.spec()
        yield from (("heartbeat_tag", fault) for fault in heartbeat_rules.written_faults(beat, self.profile.limits()))
        if name := heartbeat_rules.overlapping(beat, self.profile.tags.filter(steps__operator="set").distinct()):
            yield "heartbeat_tag", f"Commands write {name}, which lies there too: each beat would overwrite it."

    def _watched_faults(self) -> Iterator[Fault]:
        tag = self.watched_tag
        if tag is None:
            return
        if "watched_limit_s" not in self._failed:
            faults = heartbeat_rules.watched_faults(tag.name, tag.poll_interval_ms, self.watched_limit_s)
            yield from (("watched_tag", fault) for fault in faults)
        if self.heartbeat_tag is not None and self.heartbeat_tag.spec().overlaps(tag.spec()):
            yield "watched_tag", heartbeat_rules.SAME_PLACE


watch(Kind.REGISTRY, Profile, PLC)
