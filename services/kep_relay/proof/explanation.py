"""The page for whoever opens a proof file without knowing the software that made it."""

EXPLANATION = """Bu dosya, bir resmî yazının KEP üzerinden gönderilmesine ilişkin kayıtların tamamıdır.

manifest.json    Bu dosyadaki bütün dosyaların listesi ve SHA-256 özetleri.
manifest.tsr     Varsa: manifest.json üzerine alınmış zaman damgası (RFC 3161). Listeyi ve dolayısıyla bütün
                 dosyaları, içindeki anda var olduğu gibi sabitler.
letter.json      Yazının bilgileri, muhatapları ve adreslerin DETSİS'ten nasıl ve ne zaman alındığı.
events.json      Yazının geçmişi. Her satır bir önceki satırın özetini (previous) ve kendi özetini (sha256) taşır;
                 satır çıkarılırsa veya değiştirilirse özetler tutmaz.
package/         Gönderilen e-Yazışma paketi, bayt bayt.
notice/          Paket yerine: gelen bir yazının ret bildiriminin metni (UTF-8).
sent/            KEP hizmet sağlayıcısına teslim edilen iletiler, bayt bayt.
evidence/        Alınan KEP delilleri (.xml) ve içinde geldikleri iletiler (.eml), bayt bayt. Adındaki sayı delil
                 kodudur (10 kabul, 20 aktarma, 40 teslim, 60 okundu).
verdicts/        Delillerin imzaları hakkında her doğrulamanın adım adım sonucu.
listed/          Varsa: hizmet sağlayıcının delil listesinde bildirdikleri, ilk görüldükleri gibi. Delilin kendisi değildir.

Denetlemek için: kepgw proof verify DOSYA. Başka araçlarla: her dosyanın SHA-256 özeti manifest.json içindekiyle
karşılaştırılır; zaman damgası "openssl ts -verify -data manifest.json -in manifest.tsr -token_in -CAfile KÖK" ile,
deliller XML imzalarıyla, iletiler "openssl cms -verify" ile doğrulanır. events.json satırlarının özeti, satırın sha256
alanı olmadan, anahtarları sıralı ve boşluksuz JSON (UTF-8) olarak alınır.


This file holds all records about one official letter that was sent over registered e-mail (KEP).

manifest.json lists every file with its SHA-256; manifest.tsr, when present, is an RFC 3161 time-stamp over the bytes of
manifest.json. events.json is the letter's history: each line carries the digest of the line before ("previous") and its
own ("sha256"), taken over the line without "sha256" as JSON with sorted keys and no spaces, in UTF-8. package/ (of a notice of
refusal: notice/), sent/ and evidence/ are byte for byte what travelled; verdicts/ say, step by step, what the signatures of the evidence are worth;
listed/, where the provider lists evidence, is what it listed, as first seen: its word and no evidence itself.
Check with: kepgw proof verify FILE.
"""
