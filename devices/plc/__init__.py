"""The conversation with one machine: turns, sessions, phases and conditions. No Django."""
