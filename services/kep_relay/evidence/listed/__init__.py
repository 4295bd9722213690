"""Evidence that a provider lists when asked instead of sending it as mail (kep.md 2.9)."""
