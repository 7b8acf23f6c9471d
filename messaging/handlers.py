"""What messaging does when other apps tell facts."""
