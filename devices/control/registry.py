"""The registry as the hot path sees it: frozen specs in memory, up to date with what is changed in any process."""

from collections.abc import Callable, Mapping

from devices.control.definitions import Definitions
from devices.control.errors import no_plc
from devices.control.kept import Kept
from devices.control.loading import Loader
from devices.control.own_thread import OwnThread
from devices.control.rights import Rights
from devices.control.stamps import Stamps
from devices.models.stamps import Kind
from devices.plc.specs import PLCSpec

OnChange = Callable[[Mapping[str, PLCSpec]], None]


class Registry:
    """All PLCs with their profiles, ready to use; a change in the admin takes effect at the next call."""

    def __init__(self, *, stamps: Stamps, on_change: OnChange) -> None:
        """`on_change` is called when PLCs or their profiles have become others."""
        self._on_change = on_change
        self.definitions = Definitions()
        self._plcs: Mapping[str, PLCSpec] | None = None
        self._by_ref: Mapping[str, PLCSpec] = {}
        """By name, and by number."""
        lack = "the registry cannot be read"
        # No look waits until a large plant is loaded.
        self._thread = OwnThread("registry")
        self._kept = Kept(
            Loader().load, kind=Kind.REGISTRY, lack=lack, stamps=stamps, on_read=self._take, thread=self._thread
        )

    async def start(self) -> None:
        """Load, and watch for changes."""
        await self._kept.start()

    async def stop(self) -> None:
        """Stop watching."""
        await self._kept.stop()
        self._thread.stop()

    async def plcs(self) -> Mapping[str, PLCSpec]:
        """All PLCs by name."""
        return await self._kept.now()

    async def find(self, ref: str) -> PLCSpec:
        """The PLC of a name, or of a number; UnknownPLC names what was asked for."""
        await self._kept.now()
        plc = self._by_ref.get(ref)
        if plc is None:
            raise no_plc(ref)
        return plc

    async def plcs_for(self, rights: Rights) -> Mapping[str, PLCSpec]:
        """Those that somebody sees, by name."""
        return {name: plc for name, plc in (await self.plcs()).items() if rights.sees(plc)}

    async def find_for(self, ref: str, rights: Rights) -> PLCSpec:
        """The PLC of a name or number; UnknownPLC, in the same words, where there is none and where it is not seen."""
        plc = await self.find(ref)
        if not rights.sees(plc):
            raise no_plc(ref)
        return plc

    def reload(self) -> None:
        """What was loaded is out of date for a reason that is not in the database."""
        self._kept.forget()

    def _take(self, plcs: Mapping[str, PLCSpec]) -> None:
        before, self._plcs = self._plcs, plcs
        if before is not None and _are_same(before, plcs):
            return
        self._by_ref = {str(plc.id): plc for plc in plcs.values()} | dict(plcs)
        self.definitions.keep_only(plcs)
        self._on_change(plcs)


def _are_same(before: Mapping[str, PLCSpec], now: Mapping[str, PLCSpec]) -> bool:
    """Loaded again, what has not changed is the same object."""
    return before.keys() == now.keys() and all(before[name] is plc for name, plc in now.items())
