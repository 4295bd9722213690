"""Typed payloads between our services, version 1. Bytes never travel in these: they are streamed."""
