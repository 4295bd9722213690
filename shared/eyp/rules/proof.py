"""Rules about the digest manifests and the CMS files over them (eyp.md 6.4 to 6.6)."""

from __future__ import annotations

from collections.abc import Iterable

from shared.eyp.findings import Rule, Severity
from shared.eyp.model import ManifestKind, SignatureKind

_F, _I, _W = Severity.FATAL, Severity.IMPORTANT, Severity.WARNING

NAMES: dict[ManifestKind, tuple[str, str, str]] = {
    ManifestKind.PACKAGE: ("R.60", "Paket özeti", "The package digest"),
    ManifestKind.FINAL: ("R.61", "Nihai özet", "The final digest"),
    ManifestKind.INITIALS: ("R.62", "Paraf özeti", "The initials digest"),
    ManifestKind.UPDATE: ("R.88", "Güncellemenin nihai özeti", "The update's final digest"),
}


_LETTER = (ManifestKind.PACKAGE, ManifestKind.FINAL, ManifestKind.INITIALS)

NO_REFERENCE = 8
"""The official library's code for a manifest that lists nothing."""


def _for_each(
    variant: str,
    severity: Severity,
    tr: str,
    en: str,
    code: int | None = None,
    kinds: Iterable[ManifestKind] = tuple(NAMES),
) -> dict[ManifestKind, Rule]:
    """The same rule for each of the manifests, under that manifest's own id."""
    rules = {}
    for kind in kinds:
        rule_id, name_tr, name_en = NAMES[kind]
        rules[kind] = Rule(f"{rule_id}.{variant}", severity, f"{name_tr}: {tr}", f"{name_en}: {en}", code)
    return rules


SCHEMA = _for_each("schema", _F, "şemaya uymuyor: {value}.", "breaks its schema: {value}.")
ID_DIFFERS = _for_each("id", _F, "kimliği belge kimliğinden farklı.", "its id differs from the document id.")
ENTRY_MISSING = _for_each("missing", _F, "şu bileşeni içermiyor: {value}.", "does not cover this part: {value}.")
URI_EMPTY = _for_each("uri", _F, "bir bileşenin adı boş.", "an entry names no part.", 9)
METHOD_MISSING = _for_each("method", _F, "özet yöntemi yok: {value}.", "the digest method is missing: {value}.", 10)
ALGORITHM_MISSING = _for_each(
    "algorithm", _F, "özet algoritması belirtilmemiş: {value}.", "the digest algorithm is not named: {value}.", 11
)
PART_MISSING = _for_each(
    "absent", _F, "içerdiği bileşen pakette yok: {value}.", "a covered part is not in the package: {value}.", 13
)
NOT_COMPUTED = _for_each(
    "not-computed",
    _F,
    "özet hesaplanamadı: {value}.",
    "the digest could not be computed: {value}.",
    14,
)
MISMATCH = _for_each(
    "mismatch",
    _F,
    "bileşen, özetinden farklı; içerik değişmiş: {value}.",
    "a part differs from its digest, its content was changed: {value}.",
    15,
)
ITEM_MISSING = _for_each(
    "item", _F, "iki özetten biri eksik: {value}.", "one of the two digests is missing: {value}.", 28
)
EXTERNAL_FORBIDDEN = _for_each(
    "external",
    _F,
    "paket içindeki bileşen harici gösterilmiş: {value}.",
    "an entry is marked external that may not be: {value}.",
)
WITHHELD = _for_each(
    "withheld",
    _W,
    "konulmamış ek pakette yok: {value}.",
    "a withheld annex is not in the package: {value}.",
    kinds=_LETTER,
)
INITIALS_STRIPPED = _for_each(
    "initials-stripped",
    _W,
    "paraf imzası paketten çıkarılmış; geçerlidir.",
    "the initials signature was taken out before sending; that is allowed.",
    32,
    (ManifestKind.PACKAGE, ManifestKind.FINAL),
)
ALGORITHM_UNSUPPORTED = Rule(
    "R.63.unsupported",
    _F,
    "Özet algoritması bu sürümde kullanılamaz: {value}.",
    "The digest algorithm is not allowed in this version: {value}.",
    code=12,
)
ALGORITHMS_SAME = Rule(
    "R.63.same", _F, "İki özet aynı algoritmayla alınmış: {value}.", "Both digests use one algorithm: {value}.", code=30
)
SHA512_MISSING = Rule("R.63.sha512", _F, "SHA-512 özeti yok: {value}.", "There is no SHA-512 digest: {value}.", code=31)
ALGORITHM_RETIRED = Rule(
    "R.63.retired",
    _I,
    "Kullanımdan kalkmış özet algoritması: {value}.",
    "A retired digest algorithm is used: {value}.",
)
ENTRY_FOREIGN = Rule(
    "R.64.foreign",
    _F,
    "Özette yeri olmayan bileşen: {value}.",
    "A digest covers a part that does not belong there: {value}.",
)
ENTRY_REPEATED = Rule(
    "R.64.repeated",
    _F,
    "Özette aynı bileşen birden çok kez var: {value}.",
    "A digest covers one part more than once: {value}.",
)

_SIGNATURES: dict[SignatureKind, tuple[str, str]] = {
    SignatureKind.SIGNATURE: ("İmza", "The signature"),
    SignatureKind.INITIALS: ("Paraf imzası", "The initials signature"),
    SignatureKind.SEAL: ("Mühür", "The seal"),
}
NOT_CMS: dict[SignatureKind, Rule] = {
    kind: Rule(
        f"R.70.{kind.value}",
        _F,
        f"{tr} dosyası içerikli CMS imzası değil.",
        f"{en} is not a CMS signature with content.",
    )
    for kind, (tr, en) in _SIGNATURES.items()
}
SEAL_SIGNERS = Rule(
    "R.74.signers",
    _F,
    "Mührün birden çok imzacısı var: {value}.",
    "The seal has more than one signer: {value}.",
)
CONTENT_DIFFERS: dict[SignatureKind, Rule] = {
    kind: Rule(
        f"R.71.{kind.value}",
        _F,
        f"{tr} dosyasının içeriği, imzaladığı özet bileşeninden farklı.",
        f"{en} was made over other bytes than the manifest in the package.",
        guide={SignatureKind.SIGNATURE: "K.81", SignatureKind.SEAL: "K.100"}.get(kind),
    )
    for kind, (tr, en) in _SIGNATURES.items()
}
