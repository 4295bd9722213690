"""The process that makes one print: it limits itself before it reads anything, and may be killed at any time.

Run by ``isolation`` as ``python -m services.gateway.printing.worker``: the order comes as JSON on standard input, files are
open descriptors named in it, the report goes to standard output. It has no settings, no secrets and no network client.
"""

from __future__ import annotations

import os
import resource
import sys

from services.gateway.printing.orders import Obstacle, PrintOrder, PrintReport, UnprintableError
from shared.contracts.base import Contract


class Job(Contract):
    """An order, and where its bytes are."""

    order: PrintOrder
    files: int
    """Descriptor of the letter and its annexes, back to back."""
    sizes: list[int]
    """How many bytes each of them has; the letter is the first."""
    output: int
    memory_bytes: int
    """Of address space."""
    cpu_seconds: int
    output_bytes: int


def main() -> None:
    """Make the print; a report is written whatever happens short of being killed."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    _limit(job)
    try:
        report = _made(job)
    except UnprintableError as error:
        report = PrintReport(obstacle=error.obstacle)
    except (MemoryError, OSError):  # Python ignores SIGXFSZ: a file that grows too large is an OSError
        report = PrintReport(obstacle=Obstacle.TOO_LARGE)
    except RecursionError:
        report = PrintReport(obstacle=Obstacle.BROKEN)
    sys.stdout.buffer.write(report.model_dump_json().encode())
    sys.stdout.buffer.flush()


def _limit(job: Job) -> None:
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, job.memory_bytes),
        (resource.RLIMIT_CPU, job.cpu_seconds),
        (resource.RLIMIT_FSIZE, job.output_bytes),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (limit, limit))


def _made(job: Job) -> PrintReport:
    # Only now: what reads the files is loaded under the limits as well.
    from services.gateway.printing.making import make

    letter, *annexes = _contents(job)
    printed, report = make(job.order, letter, annexes)
    with os.fdopen(os.dup(job.output), "wb") as file:
        file.write(printed)
    return report


def _contents(job: Job) -> list[bytes]:
    # Where the descriptor stands is shared with the parent, whose buffer may have read ahead.
    os.lseek(job.files, 0, os.SEEK_SET)
    with os.fdopen(job.files, "rb") as file:
        return [file.read(size) for size in job.sizes]


if __name__ == "__main__":
    main()
