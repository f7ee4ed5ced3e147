"""The real application; no test waits 15 s for a page to be given up."""

from plcsite.asgi import application

__all__ = ["application"]

from devices.live.consumer import PageConsumer

PageConsumer.quiet_s = 1.0
PageConsumer.lag_s = 4.0
