"""Passwords are hashed as quickly as can be in tests; a server that a test starts hashes them as it always does."""

from django.contrib.auth.hashers import Argon2PasswordHasher

QUICK = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
STOCK = {name: getattr(Argon2PasswordHasher, name) for name in QUICK}


def hash_at(cost: dict[str, int]) -> None:
    """From now on, in this process."""
    for name, value in cost.items():
        setattr(Argon2PasswordHasher, name, value)
