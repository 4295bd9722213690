"""Annexes that stay outside the package: what the writers say about them, and what they refuse to say."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest

from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    STRICT,
    Annex,
    AnnexDigest,
    AnnexKind,
    DigestAlgorithm,
    OlderDraft,
    OlderSigned,
    PackageDraft,
    inspect,
)
from tests.unit.eyp import letters, shapes


def _external(uri: str | None = "https://example.org/buyuk", digest: AnnexDigest | None = None) -> Annex:
    return Annex(shapes.EXTERNAL_ID, AnnexKind.EXTERNAL, 1, uri=uri, digest=digest)


def _external_draft(make: type[PackageDraft | OlderDraft], *annexes: Annex) -> PackageDraft | OlderDraft:
    metadata = (letters.letter if make is PackageDraft else shapes.older_letter)(annexes=annexes)
    files = {annex.id: _FAR for annex in annexes}
    return make.create(metadata, cover_letter=shapes.COVER, external_files=files)


_FAR = b"too big to travel"


@pytest.mark.parametrize("make", [PackageDraft, OlderDraft])
def test_external_annex_is_digested_and_stays_outside(make: type[PackageDraft | OlderDraft]) -> None:
    """In the metadata and, marked external, in the package digest; never in the final one (K.45)."""
    draft = _external_draft(make, _external())
    signed = draft.with_signature(letters.unsigned_cms(draft.digest_to_be_signed()))
    signed = signed.with_further_signature(letters.unsigned_cms(draft.digest_to_be_signed()))
    if isinstance(signed, OlderSigned):
        package = signed.with_signatories(shapes.SIGNATORIES, created=letters.MOMENT).without_seal()
    else:
        unsealed = signed.with_final_metadata(letters.FINAL, created=letters.MOMENT)
        package = unsealed.with_seal(letters.unsigned_cms(unsealed.seal_to_be_signed()))
    content = package.to_bytes()
    found = inspect(content, profile=STRICT)
    assert found.findings == ()
    assert found.metadata is not None
    (annex,) = found.metadata.annexes
    longest = hashlib.sha512(_FAR) if make is PackageDraft else hashlib.sha256(_FAR)
    assert annex.digest is not None
    assert annex.digest.value == longest.digest()
    parts = letters.parts_of(content)
    assert (
        b'URI="https://example.org/buyuk" Type="http://eyazisma.dpt/bilesen#harici"'
        in parts["PaketOzeti/PaketOzeti.xml"]
    )
    assert base64.b64encode(longest.digest()) in parts["PaketOzeti/PaketOzeti.xml"]
    assert b"harici" not in parts["NihaiOzet/NihaiOzet.xml"]


@pytest.mark.parametrize(
    "annexes",
    [
        (_external(None),),
        (_external("/UstYazi/Ustyazi.pdf"),),
        (_external(digest=AnnexDigest(DigestAlgorithm.SHA512.uri, b"x" * 64)),),
        (_external(), replace(_external(), id=shapes.PHYSICAL_ID, order=2)),
        (Annex(shapes.PHYSICAL_ID, AnnexKind.PHYSICAL, 1),),
    ],
)
def test_external_annex_that_would_confuse_is_refused(annexes: tuple[Annex, ...]) -> None:
    """No address, one inside the package, one used twice, another digest, no external annex at all."""
    with pytest.raises(DomainError) as caught:
        _external_draft(PackageDraft, *annexes)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
