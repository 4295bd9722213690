"""Rules about the metadata, its annexes and references (eyp.md 6.2, 6.3)."""

from __future__ import annotations

from shared.eyp.findings import Rule, Severity

_F, _I, _W = Severity.FATAL, Severity.IMPORTANT, Severity.WARNING

NOT_WELL_FORMED = Rule("R.21.markup", _F, "XML okunamıyor: {value}.", "The XML cannot be read: {value}.")
WRONG_ROOT = Rule(
    "R.21.root", _F, "Kök öğe beklenen değil: {value}.", "The root element is not the expected one: {value}."
)
ELEMENT_MISSING = Rule("R.21.missing", _F, "Zorunlu öğe eksik: {value}.", "A required element is missing: {value}.")
ELEMENT_UNEXPECTED = Rule(
    "R.21.unexpected",
    _F,
    "Beklenmeyen ya da sırası yanlış öğe: {value}.",
    "An element is unexpected or out of order: {value}.",
)
ELEMENT_REPEATED = Rule(
    "R.21.repeated",
    _F,
    "Bir kez bulunması gereken öğe yinelenmiş: {value}.",
    "An element that must stand once is repeated: {value}.",
)
LIST_EMPTY = Rule("R.21.empty", _F, "Liste boş: {value}.", "A list is empty: {value}.")
NAMESPACE_DIFFERS = Rule(
    "R.21.namespace",
    _F,
    "Kök öğe başka bir şemanın ad alanında: {value}.",
    "The root element is in the namespace of another schema: {value}.",
)
ATTRIBUTE_MISSING = Rule(
    "R.21.attribute", _F, "Zorunlu öznitelik eksik: {value}.", "A required attribute is missing: {value}."
)
VALUE_INVALID = Rule("R.21.value", _F, "Öğenin değeri geçersiz: {value}.", "An element's value is invalid: {value}.")
DOCUMENT_ID_INVALID = Rule(
    "R.22.invalid", _F, "Belge kimliği bir GUID değil: {value}.", "The document id is not a GUID: {value}."
)
DOCUMENT_ID_LOWER_CASE = Rule(
    "R.22.lower-case",
    _F,
    "Belge kimliği büyük harfle yazılmalı.",
    "The document id must be in upper case.",
    guide="K.80",
)
SUBJECT_EMPTY = Rule("R.23.subject", _F, "Konu boş.", "The subject is empty.")
COVER_NAME_EMPTY = Rule("R.23.file-name", _F, "Üst yazı dosya adı boş.", "The cover letter's file name is empty.")
MEDIA_TYPE_EMPTY = Rule(
    "R.23.media-type", _W, "Üst yazının MIME türü yok.", "The cover letter's media type is missing."
)
NUMBER_MISSING = Rule(
    "R.24.missing",
    _F,
    "1.x paketinde Üstveride belge numarası ve tarih bulunmalı.",
    "In a 1.x package the metadata must give document number and date.",
)
NUMBER_MISPLACED = Rule(
    "R.24.misplaced",
    _F,
    "2.x paketinde belge numarası ve tarih Üstveride bulunmaz.",
    "In a 2.x package document number and date do not stand in the metadata.",
)
FINAL_INCOMPLETE = Rule(
    "R.25.incomplete",
    _F,
    "Nihai üstveride eksik: {value}.",
    "The final metadata lacks: {value}.",
)
DISTRIBUTION_MISSING = Rule("R.26.missing", _F, "Dağıtım listesi boş.", "The letter has no recipient.")
RECIPIENT_MISSING = Rule(
    "R.26.recipient", _F, "Dağıtımda muhatap yok: {value}.", "A distribution names no recipient: {value}."
)
RECIPIENTS_SEVERAL = Rule(
    "R.26.several",
    _F,
    "Birden çok kurum ya da kişi bir arada: {value}.",
    "More than one party stands where one must: {value}.",
)
TERM_MISSING = Rule(
    "R.27.term-missing", _F, "Günlü dağıtımda miat yok.", "A distribution with a term does not state it."
)
TERM_INVALID = Rule("R.27.term-invalid", _F, "Miat bir süre değil: {value}.", "The term is not a duration: {value}.")
WITHHELD_EMPTY = Rule("R.28.empty", _F, "Konulmamış ek listesi boş.", "A list of withheld annexes is empty.")
WITHHELD_UNKNOWN = Rule(
    "R.28.unknown",
    _F,
    "Konulmamış ek Üstveride yok: {value}.",
    "A withheld annex does not stand in the metadata: {value}.",
)
NUMBER_INVALID = Rule(
    "R.29.number",
    _F,
    "Kurum kuruluş kodu sekiz haneli DETSİS numarası değil: {value}.",
    "An organisation's code is not an eight-digit DETSİS number: {value}.",
)
UNIT_NUMBER_INVALID = Rule(
    "R.29.unit",
    _I,
    "Birim kodu sekiz haneli DETSİS numarası değil: {value}.",
    "A unit's code is not an eight-digit DETSİS number: {value}.",
)
IDENTITY_NUMBER_INVALID = Rule("R.30.invalid", _I, "T.C. kimlik numarası geçersiz.", "An identity number is not valid.")
LEGAL_ID_MISSING = Rule("R.31.value-missing", _F, "Tüzel şahsın kimliği boş.", "A legal entity's identifier is empty.")
LEGAL_SCHEME_MISSING = Rule(
    "R.31.scheme-missing",
    _F,
    "Tüzel şahıs kimliğinin türü (schemeID) yok.",
    "A legal entity's identifier does not name its register (schemeID).",
)
LEGAL_SCHEME_UNKNOWN = Rule(
    "R.31.scheme-unknown",
    _W,
    "Tüzel şahıs kimliğinin türü tanınmıyor: {value}.",
    "The register of a legal entity's identifier is not known: {value}.",
)
PERSON_NAME_MISSING = Rule(
    "R.32.name", _F, "Kişinin adı ya da soyadı yok.", "A person's first or last name is missing."
)
LOCAL_ID_INCOMPLETE = Rule(
    "R.33.incomplete", _F, "Öz kimlik değeri ya da türü eksik.", "A local id lacks its value or its scheme."
)
SECURITY_CODE_FORBIDDEN = Rule(
    "R.34.forbidden",
    _F,
    "Güvenlik kodu bu sürümde geçersiz: {value}.",
    "The security code is not valid in this version: {value}.",
)
SECURITY_CODE_RETIRED = Rule(
    "R.34.retired",
    _I,
    "ÖZEL gizlilik derecesi yürürlükten kalktı; HİZMETE ÖZEL sayılır.",
    "The degree ÖZEL is abolished; it is treated as HİZMETE ÖZEL.",
)
URGENCY_RETIRED = Rule(
    "R.35.urgency", _I, "İvedilik kodu geçersiz: {value}.", "The urgency code is not valid: {value}."
)
VALIDITY_TOO_EARLY = Rule(
    "R.36.too-early",
    _I,
    "Güvenlik kodunun geçerlilik tarihi belge tarihinden önce.",
    "The security code's end of validity lies before the letter's date.",
)
VERIFICATION_ADDRESS_EMPTY = Rule("R.37.empty", _F, "Doğrulama adresi boş.", "The verification address is empty.")
VERIFICATION_ADDRESS_FORMAT = Rule(
    "R.37.format",
    _I,
    "Doğrulama adresi bir web adresi değil: {value}.",
    "The verification address is not a web address: {value}.",
)
LANGUAGE_INVALID = Rule(
    "R.38.language", _F, "Dil kodu üç harfli olmalı: {value}.", "The language code must have three letters: {value}."
)
FILE_PLAN_INCOMPLETE = Rule(
    "R.39.file-plan", _F, "Standart dosya planı kodu ya da adı eksik.", "A file plan lacks its code or its name."
)
FILE_PLAN_FORMAT = Rule(
    "R.39.file-plan-format",
    _I,
    "Standart dosya planı kodunun biçimi hatalı: {value}.",
    "The file plan code has the wrong form: {value}.",
)
SERVICE_CODE_INCOMPLETE = Rule(
    "R.39.service", _F, "HEYS kodu ya da adı eksik.", "A service inventory entry lacks its code or its name."
)
CONTACT_IMPORTANT = {
    kind: Rule(
        f"R.40.{kind}",
        _I,
        f"İletişim bilgisinde {tr} biçimi hatalı: {{value}}.",
        f"Contact details have a malformed {en}: {{value}}.",
    )
    for kind, (tr, en) in {
        "kep": ("KEP adresi", "KEP address"),
        "email": ("e-posta adresi", "e-mail address"),
        "web": ("web adresi", "web address"),
        "phone": ("telefon numarası", "telephone number"),
    }.items()
}
CONTACT_FAX = Rule(
    "R.40.fax",
    _W,
    "İletişim bilgisinde faks numarası biçimi hatalı: {value}.",
    "Contact details have a malformed fax number: {value}.",
)
RETIRED_FIELD = Rule("R.41.retired", _I, "Kullanımdan kalkmış alan: {value}.", "A retired field is used: {value}.")
RECOMMENDED_EMPTY = Rule(
    "R.42.empty", _W, "Doldurulması önerilen alan boş: {value}.", "A recommended field is there but empty: {value}."
)
COVER_NAME_DIFFERS = Rule(
    "R.43.differs",
    _W,
    "Üstverideki dosya adı üst yazının adından farklı: {value}.",
    "The file name in the metadata differs from the cover letter's: {value}.",
)
IDS_NOT_UNIQUE = Rule(
    "R.44.duplicate",
    _F,
    "Aynı kimlik birden çok kez kullanılmış: {value}.",
    "An id is used more than once: {value}.",
    guide="K.61",
)
ANNEX_ID_INVALID = Rule("R.50.id", _F, "Ek kimliği bir GUID değil: {value}.", "An annex id is not a GUID: {value}.")
ANNEX_ORDER_INVALID = Rule(
    "R.50.order",
    _F,
    "Ek sıra numarası geçersiz ya da yinelenmiş: {value}.",
    "An annex's number is invalid or used twice: {value}.",
)
ANNEX_FILE_NAME_MISSING = Rule(
    "R.51.file-name", _F, "Ekin dosya adı yok: {value}.", "An annex has no file name: {value}."
)
ANNEX_MEDIA_TYPE_MISSING = Rule(
    "R.51.media-type", _F, "Ekin MIME türü yok: {value}.", "An annex has no media type: {value}."
)
ANNEX_URI_MISSING = Rule(
    "R.52.uri", _F, "Harici ekin adresi yok: {value}.", "An external annex has no address: {value}."
)
ANNEX_URI_FORMAT = Rule(
    "R.52.uri-format",
    _I,
    "Harici ekin adresi bir URI değil: {value}.",
    "An external annex's address is not a URI: {value}.",
)
ANNEX_DIGEST_INCOMPLETE = Rule(
    "R.52.digest", _F, "Harici ekin özeti eksik: {value}.", "An external annex's digest is incomplete: {value}."
)
ANNEX_CANNOT_BE_SIGNED = Rule(
    "R.53.signed",
    _F,
    "Harici ya da fiziksel ek imzalı olamaz: {value}.",
    "An external or physical annex cannot be signed: {value}.",
)
ANNEX_FILE_MISSING = Rule(
    "R.54.missing", _F, "Ekin dosyası pakette yok: {value}.", "An annex's file is not there: {value}.", guide="K.23"
)
ANNEX_WITHHELD = Rule(
    "R.54.withheld",
    _W,
    "Konulmamış ekin dosyası pakette yok: {value}.",
    "The file of a withheld annex is not there: {value}.",
)
ANNEX_NAME_DIFFERS = Rule(
    "R.54.name-differs",
    _I,
    "Ekin dosya adı Üstveridekinden farklı: {value}.",
    "An annex file's name differs from the metadata: {value}.",
)
ANNEX_SWAPPED = Rule(
    "R.54.swapped",
    _F,
    "Ek olarak başka bir ekin dosyası gösterilmiş: {value}.",
    "Another annex's file is given as this annex: {value}.",
)
ANNEX_UNPROVEN = Rule(
    "R.54.unproven",
    _F,
    "Adı farklı birden çok ek var; hangi dosyanın bu ek olduğu kanıtlanamıyor: {value}.",
    "Several annexes have other file names; nothing proves which file this annex is: {value}.",
)
ANNEX_UNDECLARED = Rule(
    "R.55.undeclared",
    _F,
    "Üstveride karşılığı olmayan ek: {value}.",
    "An annex in the package does not stand in the metadata: {value}.",
    guide="K.24",
)
ANNEX_SIGNED_MISPLACED = Rule(
    "R.56.misplaced",
    _F,
    "Ekin imzalı olup olmadığı, bulunduğu yerle çelişiyor: {value}.",
    "Whether an annex is signed contradicts the place it lies in: {value}.",
)
REFERENCE_INCOMPLETE = Rule(
    "R.57.incomplete", _F, "İlginin kimliği ya da etiketi yok.", "A reference lacks its id or its label."
)
REFERENCE_LABEL_REPEATED = Rule(
    "R.57.label-not-unique", _F, "İlgi etiketi yinelenmiş: {value}.", "A reference label is used twice: {value}."
)
REFERENCE_ANNEX_UNKNOWN = Rule(
    "R.57.annex",
    _F,
    "İlginin gösterdiği ek Üstveride yok: {value}.",
    "A reference points to an annex the metadata does not have: {value}.",
    guide="K.25",
)
REFERENCE_LABEL_FORM = Rule(
    "R.58.label",
    _W,
    "İlgi etiketleri a harfinden başlayan, sıralı tek harfler olmalı: {value}.",
    "Reference labels should be single letters in order, from a: {value}.",
)
