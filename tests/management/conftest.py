"""What the tests of the shell share."""

from tests.management.own_site import kept_site, site  # noqa: F401
