"""Counterparties for tests: a PLC over real TCP that can be told to misbehave, and a check that nothing is left."""
