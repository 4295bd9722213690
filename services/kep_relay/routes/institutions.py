"""The caller's institutions: every route takes them and every query is confined to them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Query

Institutions: TypeAlias = Annotated[list[int], Query(alias="institution", min_length=1, max_length=1000)]
