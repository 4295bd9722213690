"""What every problem code means and what to do about it, in Turkish and English."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import ErrorCode


@dataclass(frozen=True)
class ProblemText:
    """The title goes into every answer, the advice onto the page its ``type`` names."""

    title_tr: str
    title_en: str
    advice_tr: str
    advice_en: str


_C = ErrorCode
TEXTS: dict[ErrorCode, ProblemText] = {
    _C.VALIDATION_FAILED: ProblemText(
        "İstek doğrulanamadı", "The request is not valid",
        "errors listesindeki her JSON işaretçisinin gösterdiği alanı düzeltip yeniden gönderin.",
        "Correct the fields the JSON pointers in errors name and send the request again.",
    ),
    _C.MALFORMED_REQUEST: ProblemText(
        "İstek okunamadı", "The request cannot be read",
        "Gövde geçerli bir JSON ya da multipart/form-data değil; istemcinin ürettiği baytları denetleyin.",
        "The body is not valid JSON or multipart/form-data; check the bytes your client produces.",
    ),
    _C.UNAUTHENTICATED: ProblemText(
        "Kimlik doğrulanamadı", "Not authenticated",
        "Geçerli bir API anahtarını Authorization: Bearer ya da X-Api-Key başlığıyla gönderin. Anahtar süresi dolmuş "
        "ya da iptal edilmiş olabilir.",
        "Send a valid API key as Authorization: Bearer or X-Api-Key. The key may have expired or been revoked.",
    ),
    _C.SCOPE_MISSING: ProblemText(
        "Anahtarın yetkisi yok", "The API key lacks the scope",
        "Yöneticiden bu işlemin gerektirdiği kapsamı taşıyan bir anahtar isteyin.",
        "Ask the operator for a key with the scope this operation needs.",
    ),
    _C.INSTITUTION_FORBIDDEN: ProblemText(
        "Kurum için yetki yok", "Not allowed for this institution",
        "Anahtar bu kurum adına işlem yapamaz; DETSİS numarasını ve anahtarın bağlı olduğu kurumları denetleyin.",
        "The key may not act for this institution; check the DETSİS number and the institutions the key is bound to.",
    ),
    _C.NOT_FOUND: ProblemText(
        "Bulunamadı", "Not found",
        "Adresi ve kimliği denetleyin. Başka kurumlara ait kayıtlar da bulunamadı olarak yanıtlanır.",
        "Check the address and the id. Records of other institutions are answered as not found, too.",
    ),
    _C.METHOD_NOT_ALLOWED: ProblemText(
        "Yönteme izin yok", "Method not allowed",
        "Allow başlığında sayılan yöntemlerden birini kullanın.",
        "Use one of the methods the Allow header lists.",
    ),
    _C.STATE_CONFLICT: ProblemText(
        "Kaydın durumu buna uygun değil", "The state does not allow this",
        "Kaydın güncel durumunu okuyun; işlem bu durumda yapılamaz.",
        "Read the current state of the resource; the operation does not fit it.",
    ),
    _C.IDEMPOTENCY_KEY_MISSING: ProblemText(
        "Idempotency-Key başlığı eksik", "Idempotency-Key header missing",
        "Her yeni iş için benzersiz bir değer üretip Idempotency-Key başlığında gönderin; tekrar denemede aynısını "
        "kullanın.",
        "Make a unique value for each new piece of work and send it as Idempotency-Key; repeat it when you retry.",
    ),
    _C.IDEMPOTENCY_IN_PROGRESS: ProblemText(
        "Aynı istek hâlâ işleniyor", "The same request is still being worked on",
        "Retry-After kadar bekleyip aynı isteği aynı anahtarla yineleyin.",
        "Wait as long as Retry-After says and repeat the same request with the same key.",
    ),
    _C.IDEMPOTENCY_KEY_REUSED: ProblemText(
        "Anahtar başka bir istekte kullanılmış", "The key was used for another request",
        "Farklı içerik için yeni bir Idempotency-Key üretin.",
        "Make a new Idempotency-Key for different content.",
    ),
    _C.LEASE_LOST: ProblemText(
        "Kiralama geçerli değil", "The lease is lost",
        "Kiralama süresi dolmuş ya da ileti başkasına verilmiş; yeniden kiralayın ve iletiyi baştan alın.",
        "The lease ran out or the letter was given to another; take a new lease and start the letter over.",
    ),
    _C.TOO_LARGE: ProblemText(
        "İçerik çok büyük", "Too large",
        "İçerik izin verilen sınırı aşıyor; KEP ile gönderilemeyecek büyüklükteyse başka yol kullanın.",
        "The content exceeds the limit; what is too large for KEP must travel another way.",
    ),
    _C.UPLOAD_TRUNCATED: ProblemText(
        "Yükleme yarıda kaldı", "The upload ended early",
        "Gövdenin tamamı gelmedi ve hiçbir şey saklanmadı; isteği yineleyin.",
        "The body did not arrive whole and nothing was stored; repeat the request.",
    ),
    _C.DIGEST_MISMATCH: ProblemText(
        "Özet değeri uyuşmuyor", "The digest does not match",
        "Gelen baytların SHA-256 özeti bildirilenle aynı değil; dosyayı ve özeti yeniden üretin.",
        "The SHA-256 of the bytes received is not the one declared; produce file and digest again.",
    ),
    _C.RANGE_INVALID: ProblemText(
        "İstenen aralık yok", "The range cannot be served",
        "Range başlığı içeriğin sonundan sonrasını istiyor; Content-Range başlığındaki boyuta bakın.",
        "The Range header asks for bytes beyond the end; see the size in Content-Range.",
    ),
    _C.UNSUPPORTED_MEDIA_TYPE: ProblemText(
        "İçerik türü desteklenmiyor", "Unsupported media type",
        "İşlemin belgesinde yazan Content-Type ile gönderin.",
        "Send the Content-Type the operation documents.",
    ),
    _C.RECIPIENT_UNKNOWN: ProblemText(
        "Alıcı DETSİS'te yok", "The recipient is not in DETSİS",
        "DETSİS numarasını rehberde arayıp düzeltin.",
        "Look the DETSİS number up in the directory and correct it.",
    ),
    _C.RECIPIENT_INACTIVE: ProblemText(
        "Alıcı birim etkin değil", "The recipient is not active",
        "Birim kapanmış ya da dış yazışmaya kapalı; rehberden güncel muhatabı bulun.",
        "The unit is closed or takes no outside correspondence; find the present addressee in the directory.",
    ),
    _C.RECIPIENT_KEP_MISSING: ProblemText(
        "Alıcının KEP adresi yok", "The recipient has no KEP address",
        "Bu alıcıya KEP ile gönderilemez; üst birime ya da başka yolla gönderin.",
        "This recipient cannot be reached by KEP; write to a parent unit or use another way.",
    ),
    _C.RECIPIENT_KEP_INACTIVE: ProblemText(
        "Alıcının KEP adresi etkin değil", "The recipient's KEP address is not active",
        "Adres DETSİS'te etkin görünmüyor; alıcı kurumla görüşün ya da başka yolla gönderin.",
        "DETSİS lists the address as inactive; contact the recipient or use another way.",
    ),
    _C.PACKAGE_INVALID: ProblemText(
        "Paket kurallara uymuyor", "The package breaks the rules",
        "errors listesindeki bulguları giderin ya da paketi üreten sistemi düzeltin.",
        "Remove the findings listed in errors, or correct the system that made the package.",
    ),
    _C.NOT_A_PACKAGE: ProblemText(
        "Dosya bir e-Yazışma paketi değil", "The file is not an e-Yazışma package",
        "Bir .eyp, .eyps ya da .eypg dosyası gönderin; dosya baytları değiştirilmemelidir.",
        "Send an .eyp, .eyps or .eypg file, its bytes unchanged.",
    ),
    _C.CONFIDENTIALITY_FORBIDDEN: ProblemText(
        "Gizlilik derecesi KEP'e uygun değil", "Too confidential for KEP",
        "En çok HİZMETE ÖZEL belgeler KEP ile gönderilebilir; GİZLİ ve ÇOK GİZLİ, derecesi bilinmeyen belgeler ve ekinde "
        "yazıdan daha gizli bir paket bulunanlar gönderilmez. Nedeni errors listesindedir.",
        "At most HİZMETE ÖZEL travels by KEP; GİZLİ and ÇOK GİZLİ, letters whose degree is not known, and those with an "
        "annexed package more secret than themselves do not. errors gives the reason.",
    ),
    _C.DECISION_REQUIRED: ProblemText(
        "Şifresiz gönderim için karar gerekli", "A decision is needed to send it unencrypted",
        "HİZMETE ÖZEL yazının errors listesindeki alıcılarının DETSİS'te kullanılabilir şifreleme sertifikası yok. Yetkili "
        "kişi şifresiz gönderilmesine karar verirse unencrypted_decision alanında adını ve gerekçesini yazıp yineleyin; "
        "ya da alıcıdan DETSİS'e sertifika yüklemesini isteyin.",
        "The recipients in errors have no usable encryption certificate in DETSİS, and the letter is HİZMETE ÖZEL. If "
        "somebody entitled to it decides that it goes unencrypted, repeat with who and why in unencrypted_decision; or "
        "ask the recipient to upload a certificate to DETSİS.",
    ),
    _C.CLASSIFIED_SEALED: ProblemText(
        "İleti mühürlendi: KEP'e uygun olmayan gizlilik derecesi", "The letter is sealed: too confidential for KEP",
        "GİZLİ ya da ÇOK GİZLİ belge KEP ile geldiği için içeriği kimseye verilmez; kurumun güvenlik görevlisine "
        "başvurun (/v1/classified-incidents).",
        "A letter marked GİZLİ or ÇOK GİZLİ came by KEP, so its content is given to nobody; turn to the institution's "
        "security officer (/v1/classified-incidents).",
    ),
    _C.SIGNATURE_INVALID: ProblemText(
        "İmza geçersiz", "A signature is not valid",
        "Paketteki imza ya da mühür doğrulanamadı; ayrıntı için /v1/package-inspections kullanın.",
        "A signature or seal in the package failed verification; /v1/package-inspections gives the details.",
    ),
    _C.ENVELOPE_INVALID: ProblemText(
        "Şifreli içerik açılamadı", "The encrypted content cannot be opened",
        "Nedeni errors listesindedir; gönderen, kurumun geçerli şifreleme sertifikasıyla yeniden şifrelemelidir.",
        "errors gives the reason; the sender must encrypt again for the institution's current certificate.",
    ),
    _C.LETTER_UNPRINTABLE: ProblemText(
        "Belge yazdırılamıyor", "The letter cannot be printed",
        "Nedeni errors listesindedir; üst yazı parolasız, bozuk olmayan bir PDF olmalı ve çıktısı aslıyla aynı görünmelidir. "
        "Paketin kendisi etkilenmez.",
        "errors gives the reason; the cover letter must be a sound PDF without a password whose print looks like the "
        "original. The package itself is not affected.",
    ),
    _C.PRINT_UNAUTHORISED: ProblemText(
        "Resmî çıktı için geçerli yetki yok", "No valid authorisation for an official print",
        "authorisation alanında kurumun bugün geçerli bir yazdırma yetkisini belirtin; yetkileri işletmen tanımlar. "
        "Çalışma kopyası (profile=none) yetki istemez.",
        "Name an authorisation of the institution that holds today; the operator enters them. A working copy "
        "(profile=none) needs none.",
    ),
    _C.CERTIFICATE_UNFIT: ProblemText(
        "Sertifika şifrelemeye uygun değil", "A certificate is not fit for encryption",
        "Alıcının DETSİS'teki geçerli şifreleme sertifikasını kullanın; uygun olmayanlar errors listesindedir.",
        "Use the recipient's current encryption certificate in DETSİS; errors names those that are not fit.",
    ),
    _C.SIGNING_KEY_UNAVAILABLE: ProblemText(
        "İmzalama anahtarı kullanılamıyor", "The signing key is unavailable",
        "İşletmen anahtarı açmalı ya da yenilemeli; sonra yineleyin.",
        "The operator must open or renew the key; then retry.",
    ),
    _C.MAILBOX_NOT_READY: ProblemText(
        "KEP hesabı hazır değil", "The KEP mailbox is not ready",
        "Hesabın hazır olma denetimlerine bakın: /v1/mailboxes/{mailbox_id}/readiness.",
        "See the mailbox's checks: /v1/mailboxes/{mailbox_id}/readiness.",
    ),
    _C.MAILBOX_MISSING: ProblemText(
        "Kurumun gönderen KEP hesabı yok", "The institution has no sending mailbox",
        "İşletmen kurum için etkin, gönderen bir KEP hesabı tanımlamalı.",
        "The operator must configure an active, sending KEP mailbox for the institution.",
    ),
    _C.KEP_ADDRESS_LISTED: ProblemText(
        "KEP adresi DETSİS'te kayıtlı", "The KEP address is listed in DETSİS",
        "Adres DETSİS'te kayıtlı olduğu ya da süren bir kayıt ona gerek duyduğu sürece posta kutusu kapatılmaz (EK-2/5). "
        "Önce yeni adresi kaydedin: /v1/kep-registrations. Zorunluysa force_reason ile gerekçesini yazın.",
        "A mailbox stays open while DETSİS lists its address or an open registration needs it. Register the new "
        "address first: /v1/kep-registrations. If it must be closed, say why in force_reason.",
    ),
    _C.KEP_CREDIT_EXHAUSTED: ProblemText(
        "KEP kontörü bitti", "The KEP credit is used up",
        "Hesaba kontör yükleyin; bekleyen iletiler kendiliğinden gider.",
        "Top the account up; waiting letters go out by themselves.",
    ),
    _C.PROVIDER_UNAVAILABLE: ProblemText(
        "KEP hizmet sağlayıcısına ulaşılamıyor", "The KEP provider cannot be reached",
        "Bir süre sonra yineleyin; kabul edilmiş iletiler beklemede kalır.",
        "Retry after a while; accepted letters wait.",
    ),
    _C.PROVIDER_REFUSED: ProblemText(
        "KEP hizmet sağlayıcısı reddetti", "The KEP provider refused",
        "Sağlayıcının gerekçesi detail alanındadır.",
        "The provider's reason is in detail.",
    ),
    _C.DIRECTORY_UNAVAILABLE: ProblemText(
        "DETSİS rehberine ulaşılamıyor", "The directory cannot be reached",
        "Bir süre sonra yineleyin.",
        "Retry after a while.",
    ),
    _C.DIRECTORY_REFUSED: ProblemText(
        "DETSİS isteği reddetti", "DETSİS refused the request",
        "Kurumun DETSİS hesabını ve yetkilerini denetleyin.",
        "Check the institution's DETSİS account and its rights.",
    ),
    _C.SIGNER_UNAVAILABLE: ProblemText(
        "İmza hizmetine ulaşılamıyor", "The signature service cannot be reached",
        "Bir süre sonra yineleyin.",
        "Retry after a while.",
    ),
    _C.SERVICE_UNAVAILABLE: ProblemText(
        "Hizmet geçici olarak kullanılamıyor", "Temporarily unavailable",
        "Retry-After kadar bekleyip aynı isteği (varsa aynı Idempotency-Key ile) yineleyin.",
        "Wait as long as Retry-After says and repeat the request, with the same Idempotency-Key if it has one.",
    ),
    _C.DURABILITY_UNAVAILABLE: ProblemText(
        "Kalıcı saklama yapılamıyor", "Nothing can be stored durably now",
        "Hiçbir şey kabul edilmedi; aynı isteği aynı Idempotency-Key ile yineleyin.",
        "Nothing was accepted; repeat the same request with the same Idempotency-Key.",
    ),
    _C.RATE_LIMITED: ProblemText(
        "Çok sık istek", "Too many requests",
        "Retry-After kadar bekleyin.",
        "Wait as long as Retry-After says.",
    ),
    _C.INTERNAL: ProblemText(
        "Beklenmeyen hata", "Unforeseen error",
        "trace_id değeriyle işletmene başvurun; istek yinelenebilir.",
        "Give the operator the trace_id; the request may be repeated.",
    ),
}  # fmt: skip
