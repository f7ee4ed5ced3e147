"""The real application; no test waits 20 s for a right to be looked at again."""

from plcsite.asgi import application

__all__ = ["application"]

from devices.live.consumer import PageConsumer

PageConsumer.check_s = 0.5
