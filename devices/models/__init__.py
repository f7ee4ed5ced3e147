"""The memory: registry, commands, runs and access."""

from .access import APIKey
from .commands import Command, Parameter, Step
from .registry import PLC, Profile
from .runs import Definition, Effect, Retry, Run, State
from .tags import Tag

__all__ = [
    "PLC",
    "APIKey",
    "Command",
    "Definition",
    "Effect",
    "Parameter",
    "Profile",
    "Retry",
    "Run",
    "State",
    "Step",
    "Tag",
]
