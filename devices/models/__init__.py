"""The memory: registry, commands, runs and access."""

from .access import APIKey
from .audit import Action, AuditEntry
from .commands import Command, Parameter, Step
from .grants import Grant, Right, Role
from .history import Sample, Series
from .lock_outs import LockOut
from .registry import PLC, Profile
from .runs import Definition, Effect, Retry, Run, State
from .stamps import Stamp
from .tags import Tag

__all__ = [
    "PLC",
    "APIKey",
    "Action",
    "AuditEntry",
    "Command",
    "Definition",
    "Effect",
    "Grant",
    "LockOut",
    "Parameter",
    "Profile",
    "Retry",
    "Right",
    "Role",
    "Run",
    "Sample",
    "Series",
    "Stamp",
    "State",
    "Step",
    "Tag",
]
