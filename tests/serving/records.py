"""What the site under test has stored. No connection stays open: it would keep the test database from being dropped."""

from channels.db import database_sync_to_async

from devices.models import Run


@database_sync_to_async
def stored_runs() -> list[Run]:
    """All runs, oldest first."""
    return list(Run.objects.order_by("id"))


async def stored_states() -> list[str]:
    """How the runs stand or ended, oldest first."""
    return [run.state for run in await stored_runs()]
