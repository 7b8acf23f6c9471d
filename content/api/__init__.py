"""The catalogue's doors."""
