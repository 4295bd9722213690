"""What KEP accounts have left, and what readiness makes of it."""
