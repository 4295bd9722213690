"""Where tests put their files: into memory where the machine has room for it, because a test waits for nothing so often as for a disk.

Nothing here has to outlive a power cut. ``TMPDIR`` decides as everywhere else; benchmarks do not use this.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_GIGABYTE = 1024**3
_ROOM_NEEDED, _MEMORY_NEEDED = 4 * _GIGABYTE, 8 * _GIGABYTE


def use_memory() -> Path | None:
    """Let this process and those it starts put temporary files into memory; the directory, or None where it stays as it is."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    room = os.statvfs(_MEMORY)
    if room.f_bavail * room.f_frsize < _ROOM_NEEDED or _available_memory() < _MEMORY_NEEDED:
        return None
    directory = _MEMORY / f"kepgw-{os.getuid()}"
    directory.mkdir(mode=0o755, exist_ok=True)  # a database server started by root runs as somebody else
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        return None
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    return directory


def _available_memory() -> int:
    """In bytes, as far as the machine and the container this runs in leave it; 0 where the system does not tell."""
    lines = _read("/proc/meminfo").splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    most, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if most.isdecimal() and used.isdecimal():
        found.append(int(most) - int(used))
    return min(found, default=0)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
