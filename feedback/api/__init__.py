"""Feedback's doors."""
