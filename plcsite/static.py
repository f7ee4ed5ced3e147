"""Static files straight from the apps: no collectstatic, no internet, no thread of Django's."""

from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.contrib.staticfiles import finders
from servestatic import ServeStaticASGI


def with_static_files(application: Any) -> Any:
    """The application behind a server of the files that Django's finders know.

    A file is asked for again by its ETag each time, so that an update of the gateway is seen at once; only a name
    that carries the hash of its content is kept by browsers.
    """
    static = ServeStaticASGI(
        application, max_age=0, allow_all_origins=False, autorefresh=settings.DEBUG, add_headers_function=_add_headers
    )
    for folder, prefix in reversed(_folders()):  # the last one added wins, with finders the first one does
        static.add_files(folder, prefix=prefix)
    return static


def _folders() -> list[tuple[str, str]]:
    storages = [storage for finder in finders.get_finders() for storage in getattr(finder, "storages", {}).values()]
    return [
        (storage.location, settings.STATIC_URL + (getattr(storage, "prefix", None) or ""))
        for storage in storages
        if Path(storage.location).is_dir()
    ]


def _add_headers(headers: Headers, _path: str, _url: str) -> None:
    for name, value in settings.SECURITY_HEADERS.items():
        headers[name] = value
