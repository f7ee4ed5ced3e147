"""What an engineer types of a PLC, and what is looked at outside the database before it is stored."""

from collections.abc import Collection
from functools import cache
from typing import Any, ClassVar

from django.db.models import Q
from django.http import HttpRequest

from devices.admin.command_forms import TagChoice
from devices.admin.forms import row_key
from devices.admin.permissions import PlacedForm
from devices.control import reach
from devices.modbus.networks import is_address, plain
from devices.models import PLC, Tag

HEARTBEATS = ("heartbeat_tag", "watched_tag")
REACHED_BY = ("host", "port")
SECURED_BY = ("uses_tls", "tls_identity")


class Looks:
    """What was found at hosts and in folders, each looked at once: what hung before the transaction hangs not in it."""

    def __init__(self) -> None:
        self.address_fault = cache(reach.address_fault)
        self.identity_fault = cache(reach.identity_fault)


def looks(request: HttpRequest) -> Looks:
    """Those of this request."""
    if not hasattr(request, "looks"):
        request.looks = Looks()  # type: ignore[attr-defined]
    known: Looks = request.looks  # type: ignore[attr-defined]
    return known


class PLCForm(PlacedForm):
    """Heartbeats are chosen among the tags of the PLC's own machine type, hosts in the networks of PLCs."""

    looks: ClassVar[Looks]

    class Meta:
        model = PLC
        fields = "__all__"
        field_classes = dict.fromkeys(HEARTBEATS, TagChoice)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        profile = row_key(self.data.get("profile") or self.initial.get("profile"))
        # Those chosen before stay: of another profile now, the complaint is to say so.
        chosen = [self.instance.heartbeat_tag_id, self.instance.watched_tag_id]
        for name in HEARTBEATS:
            field = self.fields.get(name)
            if isinstance(field, TagChoice):
                field.queryset = Tag.objects.filter(Q(profile=profile) | Q(pk__in=chosen))

    def _post_clean(self) -> None:
        """Whether the gateway may connect to it, and has what TLS needs; looked at where that is new.

        What has become wrong since then must not keep anybody from disabling the PLC: it is told at each connection.
        Here the model has checked each field: nothing is looked up that is no host.
        """
        super()._post_clean()  # type: ignore[misc]  # Django's stubs leave it out
        plc = self.instance
        if self._is_new(REACHED_BY) and (fault := self._place_fault()):
            self.add_error("host", fault)
        if self._is_new(REACHED_BY) and (fault := self.looks.address_fault(plc.host, plc.port)):
            self.add_error("host", fault)
        if plc.uses_tls and self._is_new(SECURED_BY) and (fault := self.looks.identity_fault(plc.tls_identity)):
            self.add_error("tls_identity", fault)

    def _place_fault(self) -> str | None:
        """A second entry for somebody else's machine would lead past its grants, its ceilings and its lock-out.

        Whatever the unit id: most PLCs ignore it.
        """
        at = written_once(self.instance.host)
        neighbours = PLC.objects.filter(port=self.instance.port).exclude(pk=self.instance.pk)
        foreign = [plc for plc in neighbours if written_once(plc.host) == at and not self.doer.administers(plc)]
        if not foreign:
            return None
        seen = [plc.name for plc in foreign if self.doer.rights.sees(plc)]
        whose = f"{seen[0]}, which you do not administer," if seen else "A PLC that you do not administer"
        return f"{whose} is registered at this host and port: who administers both may use them here too."

    def _is_new(self, fields: Collection[str]) -> bool:
        if any(map(self.has_error, fields)):
            return False
        is_enabled_now = "is_enabled" in self.changed_data and self.instance.is_enabled
        return bool(is_enabled_now or set(fields) & set(self.changed_data))


def written_once(host: str) -> str:
    """The one way to write it; which names lead to the same machine, nobody knows."""
    return plain(host) if is_address(host) else host.lower().rstrip(".")
