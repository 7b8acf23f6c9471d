"""One order from its quote to its last entry: every row of every app that speaks of it."""
