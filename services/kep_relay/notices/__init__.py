"""The notice that tells another administration, by KEP, that its letter is refused (legal.md L.11)."""
