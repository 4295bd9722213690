"""Second factors: whether an account hands out its messages, and what a person does about it (kep.md 2.5, 7.5, 7.6)."""
