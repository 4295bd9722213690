"""How much a package may ask of us. Everything beyond is refused before memory or time is spent."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds for one package; sizes in bytes. The defaults fit anything KEP can carry (25 MB)."""

    package_size: int = 64 * MIB
    total_size: int = 256 * MIB
    """Sum of all parts, uncompressed."""
    parts: int = 2_000
    directory_size: int = 2 * MIB
    """The ZIP's central directory."""
    name_length: int = 512
    name_depth: int = 16
    ratio: int = 400
    """Uncompressed to compressed, judged only for parts above ``ratio_floor``: an empty scan may be a bitmap."""
    ratio_floor: int = MIB
    markup_ratio: int = 100
    """The same for parts by the names of those that hold XML or signatures, which nobody fills with one byte."""
    total_ratio: int = 100
    """The same for all parts together, judged only above ``total_ratio_floor``."""
    total_ratio_floor: int = 32 * MIB
    xml_size: int = 4 * MIB
    xml_depth: int = 32
    xml_marks: int = 150_000
    """Opening brackets and equal signs in one XML part: an upper bound for its nodes."""
    signature_size: int = 16 * MIB
    nesting: int = 8
    """Packages inside one another.

    What one took of ``parts``, ``total_size`` and ``xml_marks``, those inside it have no more.
    """


DEFAULT_LIMITS = Limits()
