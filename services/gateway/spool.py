"""The directory uploads pass through."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from shared.config import ConfigurationError, variable_name


def prepare_spool(directory: Path) -> None:
    """Make the directory; raise ``ConfigurationError`` when uploads could not be received there."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _try(directory)
    except OSError as error:
        name = variable_name("spool_directory", "gateway")
        raise ConfigurationError([f"{name}: uploads cannot be received there ({error.strerror})"]) from None


async def spool_check(directory: Path) -> None:
    """Raise unless an upload could be received now."""
    await asyncio.to_thread(_try, directory)


def _try(directory: Path) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"room")
        file.flush()
