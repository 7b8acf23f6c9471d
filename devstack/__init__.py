"""What stands around the product on a developer's machine: environment, servers, demo, checks.

Imported by nobody in the product but `manage.py` (for the embedded PostgreSQL).
"""
