"""Rules about the container and which parts it holds (eyp.md 6.1)."""

from __future__ import annotations

from shared.eyp.findings import Rule, Severity
from shared.eyp.wire.names import Role

_F, _I, _W = Severity.FATAL, Severity.IMPORTANT, Severity.WARNING

RELATIONSHIPS_UNREADABLE = Rule(
    "R.1.relationships", _F, "İlişki listesi okunamıyor: {value}.", "The relationship list cannot be read: {value}."
)
CONTENT_TYPES_UNREADABLE = Rule(
    "R.1.content-types",
    _F,
    "İçerik türü listesi okunamıyor: {value}.",
    "The list of content types cannot be read: {value}.",
)
PART_UNREADABLE = Rule(
    "R.1.part", _F, "Paket bileşeni okunamıyor: {value}.", "A part of the package cannot be read: {value}."
)
TARGET_MISSING = Rule(
    "R.1.target", _F, "İlişkinin gösterdiği bileşen pakette yok.", "The part a relationship points to is not there."
)
CORE_COUNT = Rule(
    "R.2.count",
    _F,
    "Çekirdek özellikler bileşeni tam bir adet olmalı; {value} adet var.",
    "There must be exactly one core properties part; there are {value}.",
    code=18,
)
VERSION_MISSING = Rule("R.3.missing", _F, "Paket sürümü belirtilmemiş.", "The package does not state its version.")
VERSION_UNSUPPORTED = Rule(
    "R.3.unsupported", _F, "Paket sürümü tanınmıyor: {value}.", "The package version is not known: {value}."
)
VERSION_CONTRADICTED = Rule(
    "R.3.contradicted",
    _F,
    "Paket sürümü {value}, Üstveri ise başka bir sürümün ad alanında.",
    "The package states version {value}, but its metadata uses the other generation's namespace.",
)
COVER_LETTER_COUNT = Rule(
    "R.4.count",
    _F,
    "Üst yazı tam bir adet olmalı; {value} adet var.",
    "There must be exactly one cover letter; there are {value}.",
    code=6,
    guide="K.2",
)
COVER_LETTER_PLACE = Rule(
    "R.5.place", _F, "Üst yazı /UstYazi/ altında olmalı.", "The cover letter must lie below /UstYazi/.", guide="K.4"
)
WHITE_SPACE = Rule(
    "R.6.white-space",
    _F,
    "Bileşen adında boşluk var.",
    "A part's name contains white space.",
    guide="K.5",
)
COVER_LETTER_NOT_PDF = Rule("R.7.not-pdf", _W, "Üst yazı bir PDF değil.", "The cover letter is not a PDF.", guide="K.6")
COVER_LETTER_MACROS = Rule(
    "R.7.macros",
    _F,
    "Üst yazı makro içeren bir ofis belgesi.",
    "The cover letter is an office document with macros.",
    guide="K.6",
)
ANNEX_PLACE = Rule(
    "R.8.place",
    _F,
    "Ek dosyası {value} altında olmalı.",
    "The annex file must lie below {value}.",
    guide="K.12",
)
METADATA_COUNT = Rule(
    "R.9.count",
    _F,
    "Üstveri tam bir adet olmalı; {value} adet var.",
    "There must be exactly one metadata part; there are {value}.",
    code=2,
    guide="K.16",
)
METADATA_PLACE = Rule(
    "R.9.place", _F, "Üstveri {value} adında olmalı.", "The metadata part must be named {value}.", guide="K.18"
)
DESTINATIONS_COUNT = Rule(
    "R.10.destinations",
    _F,
    "Belge hedefi tam bir adet olmalı; {value} adet var.",
    "There must be exactly one destination list; there are {value}.",
    code=4,
)
SIGNATORIES_COUNT = Rule(
    "R.10.signatories",
    _F,
    "Belge imza bileşeni en çok bir adet olabilir; {value} adet var.",
    "There may be at most one signer list; there are {value}.",
    code=16,
)
PACKAGE_DIGEST_COUNT = Rule(
    "R.11.count",
    _F,
    "Paket özeti tam bir adet olmalı; {value} adet var.",
    "There must be exactly one package digest; there are {value}.",
    code=25,
    guide="K.26",
)
PACKAGE_DIGEST_PLACE = Rule(
    "R.11.place", _F, "Paket özeti {value} adında olmalı.", "The package digest must be named {value}.", guide="K.28"
)
FINAL_METADATA_COUNT = Rule(
    "R.12.count",
    _F,
    "Nihai üstveri tam bir adet olmalı; {value} adet var.",
    "There must be exactly one final metadata part; there are {value}.",
    guide="K.82",
)
FINAL_METADATA_PLACE = Rule(
    "R.12.place",
    _F,
    "Nihai üstveri {value} adında olmalı.",
    "The final metadata part must be named {value}.",
    guide="K.84",
)
FINAL_DIGEST_COUNT = Rule(
    "R.13.count",
    _F,
    "Nihai özet sayısı kurala uymuyor; {value} adet var.",
    "The number of final digests breaks the rule; there are {value}.",
    guide="K.98",
)
FINAL_DIGEST_PLACE = Rule(
    "R.13.place", _F, "Nihai özet {value} adında olmalı.", "The final digest must be named {value}.", guide="K.38"
)
INITIALS_DIGEST_COUNT = Rule(
    "R.14.count",
    _F,
    "Paraf özeti en çok bir adet olabilir; {value} adet var.",
    "There may be at most one initials digest; there are {value}.",
)
SIGNATURE_COUNT = Rule(
    "R.15.count",
    _F,
    "Elektronik imza bileşeni tam bir adet olmalı; {value} adet var.",
    "There must be exactly one signature part; there are {value}.",
    code=17,
)
SEAL_COUNT = Rule(
    "R.16.count",
    _F,
    "Elektronik mühür sayısı kurala uymuyor; {value} adet var.",
    "The number of electronic seals breaks the rule; there are {value}.",
)
INITIALS_COUNT = Rule(
    "R.17.count",
    _F,
    "Paraf imzası en çok bir adet olabilir; {value} adet var.",
    "There may be at most one initials signature; there are {value}.",
)
INITIALS_ALONE = Rule(
    "R.17.alone",
    _F,
    "Paraf özeti olmadan paraf imzası var.",
    "There is an initials signature without an initials digest.",
)
FOREIGN_ROLE = Rule(
    "R.17.foreign",
    _I,
    "Bu paket türünde ve sürümünde bulunmaması gereken bileşen: {value}.",
    "A part that does not belong into this kind and version of package: {value}.",
)
UNRELATED = Rule(
    "R.17.unrelated",
    _F,
    "Yerinde duran bileşeni gösteren ilişki yok; silinmiş olabilir: {value}.",
    "No relationship names a part that lies in its place; it may have been removed: {value}.",
)
IDENTIFIER_DIFFERS = Rule(
    "R.18.identifier-differs",
    _F,
    "Çekirdek özelliklerdeki kimlik, belge kimliğinden farklı.",
    "The identifier in the core properties differs from the document id.",
    guide="K.68",
)
SUBJECT_DIFFERS = Rule(
    "R.18.subject-differs",
    _F,
    "Çekirdek özelliklerdeki konu, Üstverideki konudan farklı.",
    "The subject in the core properties differs from the metadata's.",
    guide="K.69",
)
CATEGORY_WRONG = Rule(
    "R.18.category",
    _F,
    "Paket kategorisi yanlış: {value}.",
    "The package category is wrong: {value}.",
    guide="K.71",
)
CONTENT_TYPE_WRONG = Rule(
    "R.18.content-type",
    _F,
    "Paket içerik türü yanlış: {value}.",
    "The package content type is wrong: {value}.",
    guide="K.73",
)
CREATED_MISSING = Rule(
    "R.18.created-missing",
    _F,
    "Çekirdek özelliklerde oluşturulma zamanı yok ya da bozuk.",
    "The core properties lack a valid time of creation.",
)
CREATOR_MISSING = Rule(
    "R.18.creator-missing",
    _F,
    "Çekirdek özelliklerde oluşturan yok.",
    "The core properties do not name a creator.",
)
FILE_NAME = Rule(
    "R.19.file-name",
    _W,
    "Paket dosyasının adı {value} olmalı.",
    "The package file should be named {value}.",
    guide="K.66",
)
TYPE_SPELLING = Rule(
    "R.20.spelling",
    _W,
    "İlişki türünün yazımı hatalı: {value}.",
    "The relationship type is misspelled: {value}.",
)

COUNT_RULES: dict[Role, Rule] = {
    Role.CORE: CORE_COUNT,
    Role.COVER_LETTER: COVER_LETTER_COUNT,
    Role.METADATA: METADATA_COUNT,
    Role.DESTINATIONS: DESTINATIONS_COUNT,
    Role.SIGNATORIES: SIGNATORIES_COUNT,
    Role.PACKAGE_DIGEST: PACKAGE_DIGEST_COUNT,
    Role.FINAL_METADATA: FINAL_METADATA_COUNT,
    Role.FINAL_DIGEST: FINAL_DIGEST_COUNT,
    Role.INITIALS_DIGEST: INITIALS_DIGEST_COUNT,
    Role.SIGNATURE: SIGNATURE_COUNT,
    Role.SEAL: SEAL_COUNT,
    Role.INITIALS: INITIALS_COUNT,
}
TARGET_CODES: dict[Role, int] = {role: rule.code for role, rule in COUNT_RULES.items() if rule.code is not None}
"""The official library's codes for a part that is not there."""
PLACE_RULES: dict[Role, Rule] = {
    Role.METADATA: METADATA_PLACE,
    Role.PACKAGE_DIGEST: PACKAGE_DIGEST_PLACE,
    Role.FINAL_METADATA: FINAL_METADATA_PLACE,
    Role.FINAL_DIGEST: FINAL_DIGEST_PLACE,
}
