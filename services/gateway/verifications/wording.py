"""What a report is called in Turkish, for people who read it on paper."""

from __future__ import annotations

from shared.contracts.signatures import EvidenceKind, EvidenceOrigin, Profile, SignatureFormat, TimestampType
from shared.domain.verdict import Conclusion, StepResult, SubIndication

HEADLINES = {
    Conclusion.PASSED: ("İMZA GEÇERLİ", "İMZALARIN TÜMÜ GEÇERLİ"),
    Conclusion.FAILED: ("İMZA GEÇERSİZ", "İMZALARIN EN AZ BİRİ GEÇERSİZ"),
    Conclusion.INDETERMINATE: ("İMZA HAKKINDA KARAR VERİLEMEDİ", "İMZALAR HAKKINDA KARAR VERİLEMEDİ"),
}
"""For one signature, and for none or several."""
MEANINGS = {
    Conclusion.PASSED: "İmzanın kapsadığı baytlar imzalandıktan sonra değişmemiştir; imza karar anında istenen profilin "
    "bütün kurallarını sağlamaktadır.",
    Conclusion.FAILED: "İmza istenen profilin en az bir kuralını sağlamamaktadır ve bu sonuç yeni bilgiyle değişmez. "
    "Hangi adımın sonucu belirlediği aşağıdadır.",
    Conclusion.INDETERMINATE: "Eldeki bilgi imzayı geçerli ya da geçersiz saymaya yetmemektedir. Bu sonuç imzanın "
    "geçersiz olduğu anlamına gelmez, geçerli olduğu anlamına da gelmez.",
}
INTEGRITY_HEADLINE, INTEGRITY_WORD = "İÇERİK DEĞİŞMEMİŞ", "Değişmemiş"
"""Nobody looked at who signed it, so it is not called valid."""
INTEGRITY_MEANING = "Bu profilde imzacının sertifikasına bakılmamıştır; kimin imzaladığı doğrulanmış değildir."
WORDS = {
    Conclusion.PASSED: "Geçerli",
    Conclusion.FAILED: "Geçersiz",
    Conclusion.INDETERMINATE: "Karar verilemedi",
}
STEP_WORDS = {
    StepResult.PASSED: "Olumlu",
    StepResult.FAILED: "Olumsuz",
    StepResult.INDETERMINATE: "Belirsiz",
    StepResult.WARNING: "Uyarı",
    StepResult.SKIPPED: "Bakılmadı",
}
PROFILES = {
    Profile.QUALIFIED_SIGNATURE: "Güvenli (nitelikli) elektronik imza",
    Profile.INSTITUTION_SEAL: "Kurum elektronik mührü",
    Profile.KEPHS_TRANSACTION: "KEP hizmet sağlayıcısı işlem sertifikası",
    Profile.TIMESTAMP: "Zaman damgası",
    Profile.INTEGRITY_ONLY: "Yalnız bütünlük (sertifikaya bakılmaz)",
    Profile.P1: "P1: anlık imza",
    Profile.P2: "P2: kısa süreli imza",
    Profile.P3: "P3: uzun süreli imza",
    Profile.P4: "P4: arşiv imzası",
}
FORMATS = {
    SignatureFormat.AUTO: "Kendiliğinden",
    SignatureFormat.CADES: "CAdES (CMS)",
    SignatureFormat.SMIME: "S/MIME",
    SignatureFormat.PADES: "PAdES (PDF)",
    SignatureFormat.XADES: "XAdES (XML)",
    SignatureFormat.TIMESTAMP: "RFC 3161 zaman damgası",
}
TIMESTAMPS = {
    TimestampType.SIGNATURE: "İmza zaman damgası",
    TimestampType.VALIDATION_DATA: "Doğrulama verisi zaman damgası",
    TimestampType.REFERENCES: "Referans zaman damgası",
    TimestampType.ARCHIVE_V1: "Arşiv zaman damgası v1",
    TimestampType.ARCHIVE_V2: "Arşiv zaman damgası v2",
    TimestampType.ARCHIVE_V3: "Arşiv zaman damgası v3",
    TimestampType.CONTENT: "İçerik zaman damgası",
    TimestampType.XADES_ARCHIVE: "XAdES arşiv zaman damgası",
    TimestampType.DOCUMENT: "Belge zaman damgası",
    TimestampType.ALONE: "Tek başına zaman damgası",
}
EVIDENCE = {
    EvidenceKind.CERTIFICATE: "Sertifika",
    EvidenceKind.REVOCATION_LIST: "İptal listesi (SİL)",
    EvidenceKind.OCSP_RESPONSE: "OCSP yanıtı (ÇiSDuP)",
}
ORIGINS = {
    EvidenceOrigin.FILE: "Dosyanın içinde",
    EvidenceOrigin.TRUST_STORE: "Güven deposu",
    EvidenceOrigin.SUPPLIED: "İşletici sağladı",
    EvidenceOrigin.FETCHED: "Kaynağından indirildi",
}
SUB_INDICATIONS = {
    SubIndication.FORMAT_FAILURE: "dosyanın biçimi bozuk",
    SubIndication.HASH_FAILURE: "içeriğin özeti imzadakinden farklı",
    SubIndication.SIG_CRYPTO_FAILURE: "imza değeri tutmuyor",
    SubIndication.REVOKED: "sertifika iptal edilmiş",
    SubIndication.EXPIRED: "sertifikanın süresi dolmuş",
    SubIndication.NOT_YET_VALID: "sertifika henüz geçerli değil",
    SubIndication.SIG_CONSTRAINTS_FAILURE: "imza profilin kurallarını sağlamıyor",
    SubIndication.CHAIN_CONSTRAINTS_FAILURE: "sertifika zinciri profilin kurallarını sağlamıyor",
    SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE: "sertifika zinciri doğrulanamadı",
    SubIndication.CRYPTO_CONSTRAINTS_FAILURE: "kullanılan algoritma kabul edilmiyor",
    SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: "algoritmanın yeterli olduğu bir zaman kanıtlanamadı",
    SubIndication.NO_SIGNING_CERTIFICATE_FOUND: "imzacının sertifikası belirlenemedi",
    SubIndication.NO_CERTIFICATE_CHAIN_FOUND: "güvenilen bir köke giden sertifika zinciri bulunamadı",
    SubIndication.REVOKED_NO_POE: "sertifika iptal edilmiş; imzanın daha önce atıldığı kanıtlanamadı",
    SubIndication.REVOKED_CA_NO_POE: "bir ara sertifika iptal edilmiş; imzanın daha önce atıldığı kanıtlanamadı",
    SubIndication.OUT_OF_BOUNDS_NO_POE: "sertifikanın geçerlilik süresi içinde atıldığı kanıtlanamadı",
    SubIndication.OUT_OF_BOUNDS_NOT_REVOKED: "sertifikanın süresi dolmuş; süresi içinde iptal edildiği görülmedi",
    SubIndication.TIMESTAMP_ORDER_FAILURE: "zaman damgalarının sırası tutarsız",
    SubIndication.NO_POE: "imzanın o zaman var olduğu kanıtlanamadı",
    SubIndication.TRY_LATER: "gerekli bilgi henüz yok; daha sonra yeniden bakılmalı",
    SubIndication.SIGNED_DATA_NOT_FOUND: "imzalanan içerik verilmedi",
    SubIndication.POLICY_PROCESSING_ERROR: "kurallar uygulanamadı",
}
PRELIMINARY = "ÖN SONUÇ"
FINAL = "KESİN SONUÇ"
OPEN = "AÇIK SONUÇ"
FINAL_MEANING = "Bekleme süresi yoktur ya da geçmiştir; sonuç bu raporun dayandığı delillerle kesindir."
OPEN_MEANING = "Eksik bilgi tamamlanınca aynı dosyanın yeniden doğrulanması gerekir."
READING = (
    "Bu rapor yukarıda SHA-256 özeti yazılı baytlar hakkındadır; başka bir dosya hakkında bir şey söylemez. Beyan edilen "
    "imza zamanı imzacının kendi sözüdür ve delil değildir; kanıtlanmış zaman yalnız geçerli zaman damgalarınınkidir. "
    "Karar, sayılan delillere, güven deposuna ve kural sürümüne dayanır; bunlarla aynı karar yeniden üretilebilir. Bu "
    "kâğıdın dayandığı veri raporunun (JSON) SHA-256 özeti her sayfanın altındadır. Kimlik numaraları kişisel veri "
    "olduğu için kısaltılmıştır."
)
