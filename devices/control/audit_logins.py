"""Tell who logged in, logged out, failed to, or is kept from trying. Passwords never come here."""

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest
from django.utils.module_loading import import_string

from devices.control.actors import NOBODY, Actor, source_of
from devices.control.audit import Deed, append
from devices.models import Action


def listen() -> None:
    """From now on logins are told; lock-outs too where django-axes is installed."""
    user_logged_in.connect(_tell_login, dispatch_uid="audit")
    user_logged_out.connect(_tell_logout, dispatch_uid="audit")
    user_login_failed.connect(_tell_failure, dispatch_uid="audit")
    if apps.is_installed("axes"):
        import_string("axes.signals.user_locked_out").connect(_tell_lock_out, dispatch_uid="audit")


def _tell_login(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _tell(Action.LOGGED_IN, request, user.get_username(), by=f"user {user.get_username()}", number=str(user.pk))


def _tell_logout(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if user is not None:  # else a session that had ended
        _tell(Action.LOGGED_OUT, request, user.get_username(), by=f"user {user.get_username()}", number=str(user.pk))


def _tell_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """The name that was tried; of who is locked out already nothing: with each try he would make an entry."""
    if not getattr(request, "axes_locked_out", False):
        _tell(Action.LOGIN_FAILED, request, _known(str(credentials.get("username") or "")))


def _tell_lock_out(request: HttpRequest | None = None, username: str | None = None, **_: Any) -> None:
    """Axes says so at the try that was one too many, whose failures it has just counted, and at each one after it."""
    if getattr(request, "axes_failures_since_start", None) is not None:
        _tell(Action.LOCKED_OUT, request, _known(username or ""))


def _known(name: str) -> str:
    """Some type their password where the name belongs: what is no user's name is not kept for ever."""
    return name if get_user_model().objects.filter(username=name).exists() else "(no such user)"


def _tell(action: Action, request: HttpRequest | None, name: str, *, by: str = NOBODY, number: str = "") -> None:
    source = "" if request is None else source_of(request)
    append(Deed(action=action, kind="User", subject=name, subject_id=number, by=Actor(name=by, source=source)))
