"""What stands between bytes and views. Imported by DRF itself, so it imports no view."""
