"""The rules a package is judged by, as data: one module per phase, messages in both languages."""
