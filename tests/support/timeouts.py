"""How long tests wait for what must come."""

# Of an event that is awaited: beyond what a stalled machine needs. A test that passes never waits as long.
LONGEST_WAIT_SECONDS = 60.0
