"""The pages' language: the browser's own, English where it wants none that we speak."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.i18n import JavaScriptCatalog

Answer = TypeVar("Answer", bound=HttpResponseBase)
View = Callable[..., Coroutine[Any, Any, HttpResponse]]


def spoken(view: View) -> View:
    """Let a page speak the browser's language; the API and the admin keep to English."""

    @wraps(view)
    async def spoken_view(request: HttpRequest, **address: str) -> HttpResponse:
        with speaking(request) as language:
            return told(await view(request, **address), language)

    return spoken_view


class Words(JavaScriptCatalog):
    """The words of the pages' scripts, in the browser's language."""

    packages = ["devices"]

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """A script of its own: the pages' policy forbids any inside them."""
        with speaking(request) as language:
            answer = told(super().get(request, *args, **kwargs), language)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


@contextmanager
def speaking(request: HttpRequest) -> Iterator[str]:
    """In the language of the browser; its name."""
    language = translation.get_language_from_request(request)
    with translation.override(language):
        yield language


def told(answer: Answer, language: str) -> Answer:
    """The answer, saying in which language it is."""
    answer.headers["Content-Language"] = language
    patch_vary_headers(answer, ["Accept-Language", "Cookie"])
    return answer
