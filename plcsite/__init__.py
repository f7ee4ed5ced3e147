"""The assembly: settings, addresses, middleware and the ASGI application. Nobody imports it."""
