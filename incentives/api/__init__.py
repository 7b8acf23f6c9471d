"""The incentives part of the mini-program's API, by subject."""
