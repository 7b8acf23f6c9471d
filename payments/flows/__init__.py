"""Talks with the platform: intent committed, then talk, then outcome committed."""
