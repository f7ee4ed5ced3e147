"""What a browser did behind a test's back."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Dialog, Page


class Watch:
    """Records, for all pages of one browser context, what they ask for and what they complain about."""

    def __init__(self, context: BrowserContext) -> None:
        self.addresses: list[str] = []
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        context.on("request", lambda request: self.addresses.append(request.url))
        context.on("console", lambda line: self._hear(line.type, line.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", self._dismiss)

    def hosts(self) -> set[str]:
        """Whom the pages called, `host:port`; what a page carries in itself is no call."""
        return {urlsplit(address).netloc for address in self.addresses if not address.startswith(("data:", "blob:"))}

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def mark(page: Page) -> None:
    """Leave a mark that goes with the next reload."""
    page.evaluate("window.wasNotReloaded = true")


def was_reloaded(page: Page) -> bool:
    """Whether the mark is gone."""
    return not page.evaluate("window.wasNotReloaded === true")
