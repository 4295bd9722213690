"""The two working days in which a letter of another administration can be refused."""
