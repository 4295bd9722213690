"""Rules about packages around packages: encrypted and update packages (eyp.md 6.6)."""

from __future__ import annotations

from shared.eyp.findings import Rule, Severity
from shared.eyp.model import Generation
from shared.eyp.wire.names import Role

_F, _I, _W = Severity.FATAL, Severity.IMPORTANT, Severity.WARNING

ENCRYPTED_LAYOUT: dict[Generation, Rule] = {
    generation: Rule(
        f"{rule_id}.count",
        _F,
        f"Şifreli pakette ({generation.value}.x) bileşen sayısı kurala uymuyor: {{value}}.",
        f"The number of some part of the encrypted package ({generation.value}.x) breaks the rule: {{value}}.",
    )
    for generation, rule_id in {Generation.V2: "R.80", Generation.V1: "R.81"}.items()
}
CLEAR_PART: dict[Generation, Rule] = {
    generation: Rule(
        f"{rule_id}.clear",
        _F,
        f"Şifreli paketin ({generation.value}.x) dışında, şifrelenmemiş bileşen var: {{value}}.",
        f"A part lies unencrypted in the encrypted package ({generation.value}.x): {{value}}.",
    )
    for generation, rule_id in {Generation.V2: "R.80", Generation.V1: "R.81"}.items()
}
ENCRYPTED_PLACE = Rule(
    "R.80.place",
    _W,
    "Şifreli paketin bileşeni {value} altında olmalı.",
    "This part of the encrypted package should be named or lie below {value}.",
)
ENCRYPTED_CONTENT_MISSING = Rule(
    "R.82.missing",
    _F,
    "Şifreli içerik pakette yok.",
    "The encrypted content is not in the package.",
)
NOT_AN_ENVELOPE = Rule(
    "R.83.format",
    _F,
    "Şifreli içerik bir CMS zarfı değil.",
    "The encrypted content is not a CMS envelope.",
)
COPY_DIFFERS = Rule(
    "R.83.copy",
    _F,
    "Bileşen, şifreli içerikteki paketin aynı bileşeninden farklı.",
    "The part differs from the same part of the package that was encrypted.",
)
DECRYPTED_UNREADABLE = Rule(
    "R.83.unreadable",
    _F,
    "Çözülen içerik paket olarak okunamıyor: {value}.",
    "The decrypted content cannot be read as a package: {value}.",
)
DECRYPTED_KIND = Rule(
    "R.83.kind",
    _F,
    "Şifreli içerikten yine şifreli bir paket çıktı.",
    "The decrypted content is an encrypted package again.",
)
DECRYPTED_GENERATION = Rule(
    "R.83.generation",
    _F,
    "Şifreli paket ile içindeki paketin sürümleri uyuşmuyor: {value}.",
    "The encrypted package and the package inside are of different generations: {value}.",
)
DECRYPTED_INVALID = Rule(
    "R.83.invalid",
    _F,
    "Şifreli içerikteki paket geçerli değil: {value}.",
    "The package that was encrypted is not valid: {value}.",
)

UPDATE_LAYOUT = Rule(
    "R.85.count",
    _F,
    "Güncelleme paketinde bileşen sayısı kurala uymuyor: {value}.",
    "The number of some part of the update package breaks the rule: {value}.",
)
UPDATE_VERSION = Rule(
    "R.85.version",
    _F,
    "Güncelleme paketinin sürümü en az 2 olmalı: {value}.",
    "The version of an update package must be 2 at least: {value}.",
)
UPDATE_CATEGORY = Rule(
    "R.85.category",
    _F,
    "Güncelleme paketinin kategorisi yanlış: {value}.",
    "The update package's category is wrong: {value}.",
)
UPDATE_PLACE = Rule(
    "R.85.place",
    _W,
    "Güncelleme paketinin bileşeni {value} altında olmalı.",
    "This part of the update package should be named or lie below {value}.",
)
NO_UPDATE = Rule("R.86.empty", _F, "Güncelleme bilgisi boş.", "The update states no change.")
UPDATE_INCOMPLETE = Rule("R.86.incomplete", _F, "Güncellemede eksik: {value}.", "The update lacks: {value}.")
UPDATE_KIND_UNKNOWN = Rule(
    "R.86.kind",
    _F,
    "Güncelleme türü tanınmıyor, neyi değiştirdiği bilinemez: {value}.",
    "The kind of update is not known, so nobody can tell what it changes: {value}.",
)
UPDATE_CONTRADICTED = Rule(
    "R.86.contradicted",
    _F,
    "Güncelleme birden çok gizlilik derecesi veriyor; en yükseği geçerli sayılır.",
    "The update gives more than one degree of confidentiality; the highest one is taken.",
)
ORIGINAL_ENCRYPTED = Rule(
    "R.87.encrypted", _F, "Güncellenen paket şifreli olamaz.", "The updated package may not be an encrypted one."
)
UPDATE_IDENTIFIER = Rule(
    "R.88.identifier",
    _F,
    "Güncelleme paketinin kimliği bir GUID değil: {value}.",
    "The update package's identifier is not a GUID: {value}.",
)
UPDATE_SEAL_COUNT = Rule(
    "R.89.count",
    _F,
    "Güncelleme paketinin mührü tam bir adet olmalı; {value} adet var.",
    "There must be exactly one seal on the update package; there are {value}.",
)
UPDATE_SEAL_FORMAT = Rule(
    "R.89.format",
    _F,
    "Güncelleme mührünün dosyası içerikli CMS imzası değil.",
    "The update's seal is not a CMS signature with content.",
)
UPDATE_SEAL_CONTENT = Rule(
    "R.89.content",
    _F,
    "Güncelleme mührü, paketteki nihai özetten başka bir içeriği mühürlüyor.",
    "The update's seal was made over other bytes than the final digest in the package.",
)
UPDATE_SEAL_SIGNERS = Rule(
    "R.89.signers",
    _F,
    "Güncelleme mührünün birden çok imzacısı var: {value}.",
    "The update's seal has more than one signer: {value}.",
)
ORIGINAL_UNREADABLE = Rule(
    "R.90.unreadable",
    _F,
    "Güncellenen paket okunamıyor: {value}.",
    "The updated package cannot be read: {value}.",
)
ORIGINAL_TOO_DEEP = Rule(
    "R.90.depth",
    _F,
    "Paketler {value} düzeyden daha derin iç içe; içtekiler incelenmedi.",
    "Packages lie deeper inside one another than {value} levels; those further in were not looked at.",
)
ORIGINAL_INVALID = Rule(
    "R.90.invalid",
    _F,
    "Güncellenen paket geçerli değil: {value}.",
    "The updated package is not valid: {value}.",
)

COUNT_CODES: dict[Role, int] = {Role.CORE: 18, Role.UPDATE_NOTE: 33, Role.ORIGINAL_PACKAGE: 35}
"""Result codes of the official library where a part of an update package is missing."""
ENCRYPTED_PLACES = (Role.ENCRYPTED_CONTENT, Role.ENCRYPTION_NOTE, Role.DESTINATIONS)
UPDATE_PLACES = (Role.UPDATE_NOTE, Role.ORIGINAL_PACKAGE)
