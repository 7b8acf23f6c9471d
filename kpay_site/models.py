"""No tables. Django sends the migrate signals only to apps that have this module."""
