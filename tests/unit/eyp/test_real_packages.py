"""Packages other software wrote; they are not ours to ship, so these tests need the shared folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.eyp import INTEROP, STRICT, Inspection, PackageVersion, SignatureKind, inspect

_SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"
_EXPECTED = {
    "paketv1x.eyp": {"R.20.spelling", "R.27.term-invalid", "R.43.differs", "R.70.signature", "R.70.seal"},
    "paketv2x.eyp": {
        "R.20.spelling",
        "R.23.media-type",
        "R.27.term-invalid",
        "R.37.empty",
        "R.43.differs",
        "R.70.signature",
        "R.70.initials",
        "R.70.seal",
    },
}


def _inspect(name: str, profile=STRICT) -> Inspection:
    path = _SAMPLES / name
    if not path.exists():
        pytest.skip("the sample packages are not on this machine")
    with path.open("rb") as file:
        return inspect(file, profile=profile)


@pytest.mark.parametrize("name", sorted(_EXPECTED))
def test_known_departures_and_nothing_else(name: str) -> None:
    """Exactly the departures known of these packages are found; all digests match."""
    assert {finding.key for finding in _inspect(name).findings} == _EXPECTED[name]


@pytest.mark.parametrize("name", sorted(_EXPECTED))
def test_only_the_placeholder_signatures_block_under_interop(name: str) -> None:
    """Departures of form do not block; a signature that is none does."""
    fatal = {finding.rule for finding in _inspect(name, INTEROP).findings if finding.severity == "fatal"}
    assert fatal == {"R.70"}


def test_content_of_both_generations() -> None:
    """The same letter reads alike from both generations."""
    first, second = _inspect("paketv1x.eyp"), _inspect("paketv2x.eyp")
    assert (first.version, second.version) == (PackageVersion(1, 3), PackageVersion(2, 0))
    for inspection in (first, second):
        assert inspection.document_no == "E-24312041-702.03-1"
        assert inspection.cover_letter == "/UstYazi/ustyazi.pdf"
        assert inspection.annex_parts == ("/Ekler/ek1.pdf", "/Ekler/ek2.pdf")
        assert inspection.metadata is not None
        assert len(inspection.metadata.distributions) == 3
        assert inspection.final_metadata is not None
        assert len(inspection.final_metadata.signatories) == 1
    assert len(first.destinations) == 2
    assert [item.kind for item in second.signature_components] == [
        SignatureKind.INITIALS,
        SignatureKind.SIGNATURE,
        SignatureKind.SEAL,
    ]
