"""The official account and the mini-program's message server."""
