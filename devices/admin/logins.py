"""The form of the login page."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.validators import MaxLengthValidator

LONGEST_NAME = User._meta.get_field("username").max_length  # noqa: SLF001  # Django documents it


class LoginForm(AuthenticationForm):
    """Refuses a name longer than any before it is looked up, counted and recorded; Django leaves that to browsers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].validators.append(MaxLengthValidator(LONGEST_NAME or 0))
