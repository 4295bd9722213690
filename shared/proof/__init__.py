"""The file that proves what became of one letter: how it is written, and how anybody checks it without us."""

from shared.proof.checking import Checked, ProofUnreadable, check
from shared.proof.format import (
    EVENTS,
    FORMAT,
    MANIFEST,
    TIMESTAMP,
    Manifest,
    ProofFile,
    ProofFileKind,
    canonical,
    chained,
)

__all__ = [
    "EVENTS",
    "FORMAT",
    "MANIFEST",
    "TIMESTAMP",
    "Checked",
    "Manifest",
    "ProofFile",
    "ProofFileKind",
    "ProofUnreadable",
    "canonical",
    "chained",
    "check",
]
