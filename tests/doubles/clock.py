"""How exact an event loop is."""

CLOCK_S = 0.002  # uvloop counts milliseconds: a limit may be over so much early
