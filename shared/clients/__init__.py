"""Typed clients of the services that more than one other service calls."""
