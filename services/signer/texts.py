"""The sentences of a report, in Turkish and English, by key."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.contracts.signatures import Text

_SENTENCES: dict[str, tuple[str, str]] = {
    "format.cms": ("Dosya CMS imzalı veri olarak okundu", "The file was read as CMS signed data"),
    "format.xml": ("Dosya imzalı XML olarak okundu", "The file was read as signed XML"),
    "format.malformed": ("Dosya beklenen biçimde değil ({detail})", "The file is not in the expected form ({detail})"),
    "format.limit": ("Dosya sınırı aşıyor: {what} en çok {limit}", "The file exceeds a limit: {what}, at most {limit}"),
    "format.unrecognised": ("Dosyanın imza biçimi tanınmadı", "The signature format was not recognised"),
    "content.detached": ("İmzalanan içerik ayrı verildi", "The signed content was given beside the signature"),
    "content.attached": ("İmzalanan içerik imzanın içinde", "The signed content is inside the signature"),
    "content.counter": (
        "Seri imza: belgeyi değil başka bir imzanın değerini kapsıyor",
        "Counter-signature: it covers the value of another signature, not the document",
    ),
    "content.enveloped": ("İmza belgenin tamamını kapsıyor", "The signature covers the whole document"),
    "content.line-ends": (
        "İçerik, satır sonları CRLF yapıldığında tutuyor",
        "The content fits once its lines end with CRLF",
    ),
    "format.pdf": ("Dosya imzalı PDF olarak okundu", "The file was read as a signed PDF"),
    "pdf.revision": (
        "İmza belgenin {total} sürümünden {number}. sürümünü kapsıyor",
        "The signature covers revision {number} of {total} of the document",
    ),
    "pdf.encrypted": (
        "PDF şifreli; imzaları hakkında bir şey söylenemez",
        "The PDF is encrypted; nothing is said about its signatures",
    ),
    "pdf.hybrid": (
        "PDF'de iki ayrı nesne çizelgesi var; programlar farklı belgeler gösterebilir",
        "The PDF has two tables of objects; programs may show different documents",
    ),
    "pdf.byte-range": (
        "İmzanın kapsadığı bayt aralığı hatalı ({detail})",
        "The range of bytes the signature covers is wrong ({detail})",
    ),
    "pdf.sub-filter": ("Bu tür PDF imzaları kabul edilmez: {name}", "PDF signatures of this kind are refused: {name}"),
    "pdf.signing-time": (
        "PAdES imzasında imza zamanı özelliği bulunmamalı (zaman /M alanındadır)",
        "A PAdES signature should not have a signing-time attribute (its time is in /M)",
    ),
    "pdf.claimed-time": ("PAdES imzasında /M alanı bulunmalı", "A PAdES signature should have an entry /M"),
    "pdf.one-signer": ("PAdES imzasında tek imzacı bulunmalı", "A PAdES signature should have exactly one signer"),
    "pdf.unchanged": (
        "Belgenin içeriği imzadan sonra değişmedi",
        "The document's content did not change after the signature",
    ),
    "pdf.changed": (
        "Belge imzadan sonra, zararsız olduğu gösterilemeyen biçimde değiştirilmiş; imza yalnız kapsadığı sürüm için geçerlidir",
        "The document was changed after the signature in a way that cannot be shown to be harmless; the signature speaks for the revision it covers only",
    ),
    "pdf.not-permitted": (
        "Belge imzadan sonra, imzanın izin vermediği biçimde değiştirilmiş",
        "The document was changed after the signature in a way that the signature does not permit",
    ),
    "pdf.locked-field": (
        "İmzanın kilitlediği bir form alanı imzadan sonra değiştirilmiş",
        "A form field that the signature locks was changed after it",
    ),
    "pdf.bytes-after": (
        "İmzalanan baytlardan sonra belgenin hiçbir sürümüne ait olmayan baytlar var",
        "After the signed bytes there are others that belong to no revision of the document",
    ),
    "pdf.not-compared": (
        "İmzadan sonraki değişiklikler incelenemedi",
        "The changes after the signature could not be examined",
    ),
    "pdf.change-signature": ("Sonradan {count} imza eklendi", "Signatures added later: {count}"),
    "pdf.change-timestamp": (
        "Sonradan {count} belge zaman damgası eklendi",
        "Document time-stamps added later: {count}",
    ),
    "pdf.change-store": ("Doğrulama verileri eklendi", "Validation data was added"),
    "pdf.change-form": ("Form alanları dolduruldu: {names}", "Form fields were filled in: {names}"),
    "pdf.change-annotations": ("Açıklamalar eklendi", "Annotations were added"),
    "pdf.change-harmless": (
        "Görünen içeriğe dokunmayan değişiklikler yapıldı",
        "Changes that do not touch the visible content were made",
    ),
    "pdf.change-other": ("Başka değişiklikler yapıldı", "Other changes were made"),
    "pdf.change-unknown": ("İncelenemeyen değişiklikler yapıldı", "Changes that could not be examined were made"),
    "content.missing": ("İmzalanan içerik bulunamadı", "The signed content was not found"),
    "content.other": ("İmza beklenen içeriği değil başka baytları kapsıyor", "The signature covers other bytes"),
    "attributes.hold": ("İmzalı özellikler kurallara uygun", "The signed attributes obey the rules"),
    "attributes.none": ("İmzalı özellik yok", "There are no signed attributes"),
    "attributes.required": (
        "İçerik türü veri değilken imzalı özellikler zorunludur",
        "Signed attributes are mandatory for this content type",
    ),
    "attributes.repeated": ("İmzalı özellik yinelenmiş: {oid}", "A signed attribute is repeated: {oid}"),
    "attributes.not-signed": ("Bu özellik imzalı olamaz: {oid}", "This attribute may not be signed: {oid}"),
    "attributes.cardinality": ("Özelliğin değer sayısı yanlış: {oid}", "Wrong number of values in attribute {oid}"),
    "attributes.missing": ("Zorunlu imzalı özellik yok: {oid}", "A mandatory signed attribute is missing: {oid}"),
    "attributes.content-type": (
        "content-type özelliği içerik türüyle aynı değil",
        "The content-type attribute differs from the content's type",
    ),
    "attributes.counter-content-type": (
        "Seri imzada content-type özelliği bulunamaz",
        "A counter-signature may not have a content-type attribute",
    ),
    "attributes.not-evaluated": (
        "Bu özellik değerlendirilmedi: {name}",
        "This attribute was not evaluated: {name}",
    ),
    "attributes.protection": (
        "Algoritma koruma özelliği kullanılan algoritmalarla uyuşmuyor",
        "The algorithm-protection attribute does not fit the algorithms used",
    ),
    "certificate.bound": (
        "İmzacı sertifikası bulundu ve imzalı özellikle bağlı",
        "The signer's certificate was found and a signed attribute names it",
    ),
    "certificate.found": ("İmzacı sertifikası bulundu", "The signer's certificate was found"),
    "certificate.missing": ("İmzacı sertifikası bulunamadı", "The signer's certificate was not found"),
    "certificate.other": (
        "İmzalı özellik başka bir sertifikayı gösteriyor",
        "The signed attribute names another certificate",
    ),
    "certificate.read": ("Sertifika okundu: {name}", "The certificate was read: {name}"),
    "certificate.in-date": (
        "Sertifika {since} ile {until} arasında geçerli",
        "The certificate is valid from {since} until {until}",
    ),
    "certificate.expired": ("Sertifikanın süresi dolmuş: {until}", "The certificate expired on {until}"),
    "certificate.not-yet": (
        "Sertifika henüz geçerli değil: {since}",
        "The certificate is not valid before {since}",
    ),
    "certificate.pinned": (
        "Sertifika güven listesinde doğrudan yer alıyor",
        "The certificate is itself in the trust store",
    ),
    "certificate.size": (
        "Bu anahtar bu tarihte geçerli değil ({name})",
        "This key does not count at this time ({name})",
    ),
    "certificate.now": ("Şimdiki zamana göre değerlendirildi: {at}", "Judged as of now: {at}"),
    "certificate.not-examined": (
        "Sertifika kullanılamadığı için bakılmadı",
        "Not examined, because the certificate cannot be used anyway",
    ),
    "certificate.processing": (
        "İnceleme tamamlanamadı; sertifika hakkında bir şey söylenemez",
        "The examination could not be completed; nothing is said about the certificate",
    ),
    "digest.holds": ("İçeriğin özeti imzadakiyle aynı ({name})", "The content's digest is the signed one ({name})"),
    "digest.references": ("Bütün başvuruların özetleri tutuyor", "The digests of all references hold"),
    "digest.direct": ("İmza doğrudan içerik üzerinde", "The signature is directly over the content"),
    "digest.differs": (
        "İçeriğin özeti imzadakinden farklı ({name}): içerik değişmiş",
        "The content's digest is not the signed one ({name}): the content was changed",
    ),
    "digest.reference-differs": (
        "Bir başvurunun özeti tutmuyor: içerik değişmiş",
        "The digest of a reference differs: the content was changed",
    ),
    "signature.holds": ("İmza değeri doğru ({name})", "The signature value holds ({name})"),
    "signature.not-der": (
        "İmza değeri doğru, ancak imzalı özellikler DER sırasında değil",
        "The signature value holds, but the signed attributes are not in DER order",
    ),
    "signature.no-null": (
        "İmza değeri doğru, ancak DigestInfo içinde NULL yok",
        "The signature value holds, but DigestInfo lacks its NULL",
    ),
    "signature.wrong": ("İmza değeri yanlış", "The signature value is wrong"),
    "signature.key-kind": (
        "Anahtar türü imza algoritmasına uymuyor",
        "The key is of another kind than the signature algorithm",
    ),
    "signature.digests-differ": (
        "Özet algoritması ({one}) imza algoritmasındakinden ({other}) farklı",
        "The digest algorithm ({one}) differs from the signature algorithm's ({other})",
    ),
    "algorithms.hold": (
        "Algoritmalar bu tarihte geçerli ({names})",
        "The algorithms count at this time ({names})",
    ),
    "algorithms.unknown": ("Tanınmayan algoritma: {name}", "Unknown algorithm: {name}"),
    "algorithms.refused": (
        "{name} bu tarihte artık geçerli değil (son: {until}, tablo {table})",
        "{name} no longer counts at this time (until: {until}, table {table})",
    ),
    "time.now": (
        "Şimdiki zamana göre değerlendirildi: {at}; imzanın daha önce var olduğu kanıtlı değil",
        "Judged as of now: {at}; nothing proves that the signature existed earlier",
    ),
    "time.given": ("Verilen zamana göre değerlendirildi: {at}", "Judged as of the given time: {at}"),
    "time.stamped": ("Zaman damgasına göre değerlendirildi: {at}", "Judged as of the time-stamp: {at}"),
    "timestamp.unused": ("Zaman damgası kullanılamadı: {why}", "A time-stamp could not be used: {why}"),
    "timestamp.not-evaluated": ("Zaman damgaları değerlendirilmedi", "Time-stamps were not evaluated"),
    "timestamp.refused": (
        "Zaman damgası otoritesi damga vermemiş",
        "The time-stamp authority granted no time-stamp",
    ),
    "timestamp.alone": ("Zaman damgası geçerli: {at}", "The time-stamp holds: {at}"),
    "content.stamped": ("Zaman damgası verilen içeriğe ait", "The time-stamp is about the content given"),
    "timestamp.other": ("Zaman damgası başka baytlara ait", "The time-stamp is about other bytes"),
    "timestamp.broken": ("Zaman damgasının imzası geçersiz", "The time-stamp's own signature is not valid"),
    "timestamp.not-authority": (
        "Zaman damgası sertifikası yalnız zaman damgası için değil",
        "The time-stamp's certificate is not one for time-stamping only",
    ),
    "timestamp.kind": (
        "Bu türden zaman damgaları değerlendirilmez: {name}",
        "Time-stamps of this kind are not evaluated: {name}",
    ),
    "timestamp.no-index": (
        "Arşiv zaman damgasında bilinen tek bir özet dizini yok",
        "The archive time-stamp does not have one hash index of a known kind",
    ),
    "timestamp.index-wrong": (
        "Özet dizini dosyada bulunmayan bir şeyi gösteriyor",
        "The hash index names something that is not in the file",
    ),
    "timestamp.index-incomplete": (
        "Özet dizininde daha önce eklenmiş bir özellik eksik",
        "The hash index leaves out an attribute that was there before",
    ),
    "timestamp.authority-expired": (
        "Zaman damgası sertifikasının süresi dolmuş ({until}); damganın daha önce var olduğu kanıtlı değil",
        "The time-stamp's certificate expired on {until}; nothing proves that the time-stamp existed earlier",
    ),
    "timestamp.authority-revoked": (
        "Zaman damgası sertifikası sonradan iptal edilmiş; damganın daha önce var olduğu kanıtlı değil ({why})",
        "The time-stamp's certificate was revoked later; nothing proves that the time-stamp existed before ({why})",
    ),
    "timestamp.order": (
        "Zaman damgalarının sırası yanlış: {outer} tarihli damga {inner} tarihli damgayı kapsıyor",
        "Time-stamps out of order: the one of {outer} covers the one of {inner}",
    ),
    "references.hold": ("Başvurular ve değerler birbirine uyuyor", "References and values fit each other"),
    "references.incomplete": (
        "Sertifika veya iptal bilgisi başvuruları eksik",
        "References to certificates or to revocation data are missing",
    ),
    "references.certificate-missing": (
        "Başvurulan bir sertifika değerler arasında yok",
        "A certificate that is referred to is not among the values",
    ),
    "references.revocation-missing": (
        "Başvurulan iptal bilgisi değerler arasında yok",
        "Revocation data that is referred to is not among the values",
    ),
    "references.value-unnamed": (
        "Değerler arasında başvurusu olmayan iptal bilgisi var",
        "The values hold revocation data without a reference",
    ),
    "raised.changed": ("İmzalanan veri veya imza değeri değişmiş", "What was signed or a signature value has changed"),
    "raised.level": ("Yükseltilen imza istenen seviyede değil", "The raised signature is not at the wanted level"),
    "raised.refused": (
        "Yükseltilen imza, taşıdığı verilerle doğrulanamıyor: {why}",
        "The raised signature does not pass by what it carries: {why}",
    ),
    "raised.no-signature": ("Dosyada imza yok", "There is no signature in the file"),
    "raised.early": ("Kesinleşme süresi dolmadı", "The grace period is not over"),
    "references.path": (
        "Zincirdeki bir sertifikanın başvurusu yok: {name}",
        "A certificate of the path has no reference: {name}",
    ),
    "path.holds": ("Güvenilen köke ulaşan geçerli zincir: {names}", "Valid path to a trusted root: {names}"),
    "path.none": ("Bu profilin güvendiği bir köke zincir yok", "No path to a root that this profile trusts"),
    "path.invalid": ("Sertifika zinciri geçersiz (RFC 5280)", "The certificate path is not valid (RFC 5280)"),
    "path.expired": ("İmzacı sertifikasının süresi dolmuş: {until}", "The signer's certificate expired on {until}"),
    "path.not-yet": (
        "İmzacı sertifikası henüz geçerli değil: {since}",
        "The signer's certificate is not valid before {since}",
    ),
    "path.ca-expired": ("Ara sertifikanın süresi dolmuş: {until}", "An intermediate certificate expired on {until}"),
    "path.ca-not-yet": (
        "Ara sertifika henüz geçerli değil: {since}",
        "An intermediate certificate is not valid before {since}",
    ),
    "path.anchor-ended": (
        "Zincirin kökü {name} yalnızca {until} tarihinden önce var olduğu kanıtlanan imzalar için geçerli",
        "The path's root {name} counts only for signatures proven to have existed before {until}",
    ),
    "path.anchor-dates": (
        "Kök sertifika bu tarihte geçerli değil (son: {until})",
        "The root certificate is not valid at this time (until {until})",
    ),
    "path.anchor-not-yet": (
        "Kök sertifika bu tarihte henüz geçerli değil (başlangıç: {since})",
        "The root certificate is not valid at this time (before {since})",
    ),
    "path.signature": (
        "Sertifikanın imzası üst sertifikanın anahtarıyla doğrulanmıyor: {name}",
        "The certificate is not signed with the key above it: {name}",
    ),
    "path.not-authority": (
        "Bu sertifika başka sertifika imzalayamaz: {name}",
        "This certificate may not issue others: {name}",
    ),
    "path.length": (
        "Zincir, izin verilen uzunluktan uzun: {name}",
        "The path is longer than a certificate in it allows: {name}",
    ),
    "path.critical": (
        "Sertifikada tanınmayan kritik bir uzantı var: {name}",
        "The certificate has a critical extension that is not known: {name}",
    ),
    "path.names": (
        "Sertifikadaki adlara üst sertifikalar izin vermiyor: {name}",
        "A name in the certificate is not allowed by those above it: {name}",
    ),
    "path.policy": (
        "Zincirin istenen sertifika ilkesi yok: {name}",
        "The path has no certificate policy that is asked for: {name}",
    ),
    "path.unprocessable": (
        "Zincirdeki bir ad kısıtlaması değerlendirilemedi",
        "The path contains a name constraint that cannot be evaluated",
    ),
    "path.algorithm": (
        "Zincirde artık geçerli olmayan bir algoritma var",
        "The path contains an algorithm that no longer counts",
    ),
    "path.not-judged": ("Bu profil sertifikayı değerlendirmez", "This profile does not judge the certificate"),
    "revocation.good": (
        "Zincirdeki sertifikalar iptal edilmemiş; kaynaklar: {sources}",
        "No certificate of the path was revoked; sources: {sources}",
    ),
    "revocation.anchor": (
        "İmzacı sertifikası güven listesinde doğrudan yer alıyor",
        "The signer's certificate is itself in the trust store",
    ),
    "revocation.missing": ("İptal bilgisi bulunamadı: {name}", "No revocation list was found for {name}"),
    "revocation.stale": ("İptal bilgisi güncel değil: {name}", "The revocation list is out of date for {name}"),
    "revocation.revoked": (
        "Sertifika iptal edilmiş: {at} ({reason})",
        "The certificate was revoked on {at} ({reason})",
    ),
    "revocation.unusable": (
        "İptal bilgisi kullanılamadı: {file} ({why})",
        "Revocation data could not be used: {file} ({why})",
    ),
    "revocation.hold": (
        "Sertifika askıda: {at} tarihinden beri; askı kaldırılabilir",
        "The certificate is on hold since {at}; the hold may be lifted",
    ),
    "skipped.broken": (
        "İmza bozuk olduğu için bakılmadı",
        "Not examined, because the signature itself does not hold",
    ),
    "skipped.no-path": ("Zincir olmadığı için bakılmadı", "Not examined, because there is no path"),
    "processing.error": (
        "Doğrulama tamamlanamadı; sonuç hakkında bir şey söylenemez",
        "The verification could not be completed; nothing is said about the signature",
    ),
}


def say(key: str, **values: object) -> Text:
    """The sentence in both languages, with ``values`` filled in; times are shown in UTC."""
    turkish, english = _SENTENCES[key]
    shown = {name: _shown(value) for name, value in values.items()}
    return Text(tr=turkish.format(**shown), en=english.format(**shown))


def say_because(key: str, why: Text) -> Text:
    """The sentence with its reason ``{why}``, in each language the one that belongs to it."""
    turkish, english = _SENTENCES[key]
    return Text(tr=turkish.format(why=why.tr), en=english.format(why=why.en))


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return str(value)[:300]
