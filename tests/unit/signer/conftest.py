from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence, load_lists, verify
from services.signer.trust import TrustStore, make_store
from shared.contracts.signatures import Profile, VerificationReport, VerificationRequest
from tests.support.pki import NOW, Pki, build_pki

Judge = Callable[..., VerificationReport]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="session")
def trust(pki: Pki) -> TrustStore:
    return make_store({name: (load_certificate(tree.root.der),) for name, tree in pki.hierarchies().items()})


@pytest.fixture(scope="session")
def judge(pki: Pki, trust: TrustStore) -> Judge:
    """Verify with a fresh list of every CA, unless told otherwise."""
    fresh = pki.crls()

    def run(
        data: bytes,
        content: bytes | None = None,
        *,
        profile: Profile = Profile.QUALIFIED_SIGNATURE,
        moment: datetime | None = None,
        now: datetime = NOW,
        crls: list[bytes] | None = None,
        anchors: TrustStore | None = None,
        **request: object,
    ) -> VerificationReport:
        evidence = Evidence(anchors or trust, load_lists(fresh if crls is None else crls))
        return verify(data, content, VerificationRequest(profile=profile, moment=moment, **request), evidence, now)

    return run


@pytest.fixture
def trust_directory(pki: Pki, tmp_path: Path) -> Path:
    return pki.write_trust(tmp_path / "trust")
