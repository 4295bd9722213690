"""Puts together what proves the way of one outgoing letter."""
