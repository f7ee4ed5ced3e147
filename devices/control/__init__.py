"""The use cases: the only floor that sees both memory and machine."""
