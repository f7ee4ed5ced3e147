"""What the tests of a running site share."""

from tests.serving.fixtures import environment, key, mes, server  # noqa: F401
