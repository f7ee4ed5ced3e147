"""Entrance for browsers: the live page, and the WebSocket over which it hears what happens."""
