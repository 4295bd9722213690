"""The checks of an inspection: each takes what was read and yields findings; none raises on bad content."""
