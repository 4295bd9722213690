"""Makes PDF documents and signs them with pyHanko's own signer; changes them afterwards as anybody could."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from asn1crypto import cms, keys, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore
from reportlab.pdfgen.canvas import Canvas

from tests.support.pki import NOW, Holder, Pki
from tests.unit.signer.signing import signed_data, signer_info

SIGNED_AT = NOW - timedelta(days=1)
PKCS7 = fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
CADES = fields.SigSeedSubFilter.PADES


def certificate(encoded: bytes) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(encoded)


def private_key(holder: Holder) -> keys.PrivateKeyInfo:
    return keys.PrivateKeyInfo.load(holder.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def store(holder: Holder) -> SimpleCertificateStore:
    found = SimpleCertificateStore()
    found.register_multiple([certificate(item) for item in holder.chain_der])
    return found


@lru_cache
def document(*, form: bool = False, pages: int = 2, size: int = 0) -> bytes:
    """A letter; ``size`` bytes of something that does not compress are put into it."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    for number in range(pages):
        canvas.drawString(72, 720, f"Sayı: E-12345678-000-{number}   Konu: Örnek yazı")
        if form and number == 0:
            canvas.acroForm.textfield(name="tutar", x=72, y=600, value="1")
            canvas.acroForm.textfield(name="not", x=72, y=500, value="2")
        canvas.showPage()
    canvas.save()
    if not size:
        return out.getvalue()
    writer = IncrementalPdfFileWriter(io.BytesIO(out.getvalue()))
    filler = generic.StreamObject(stream_data=random.Random(1).randbytes(size))
    writer.root["/PieceInfo"] = generic.DictionaryObject({"/Filler": writer.add_object(filler)})
    writer.update_root()
    result = io.BytesIO()
    writer.write(result)
    return result.getvalue()


class Stamper(TimeStamper):
    """A time-stamp authority in this process; pyHanko's own names its certificate by SHA-1."""

    def __init__(self, holder: Holder, at: datetime) -> None:
        super().__init__(include_nonce=False)
        self.holder = holder
        self.at = at

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "2.16.792.1.2.1.1.5.7.3.1",
                "message_imprint": req["message_imprint"],
                "serial_number": 7,
                "gen_time": self.at,
            }
        ).dump()
        signed = signer_info(self.holder, info, content_type="tst_info", at=self.at)
        token = signed_data([signed], list(self.holder.chain_der), info, content_type="tst_info")
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)})


@dataclass
class Pen:
    """Signs documents for the test's own authorities."""

    pki: Pki
    at: datetime = SIGNED_AT
    crls: list[bytes] = field(default_factory=list)

    def context(self, moment: datetime = NOW) -> ValidationContext:
        roots = [certificate(tree.root.der) for tree in self.pki.hierarchies().values()]
        others = [certificate(tree.issuing.der) for tree in self.pki.hierarchies().values()]
        return ValidationContext(
            trust_roots=roots,
            other_certs=others,
            crls=self.crls or self.pki.crls(),
            moment=moment,
            allow_fetching=False,
            revocation_mode="require",
        )

    def stamper(self, at: datetime | None = None) -> Stamper:
        return Stamper(self.pki.tsa, at or self.at)

    def sign(
        self,
        data: bytes,
        *,
        holder: Holder | None = None,
        name: str = "Imza1",
        level: str = "B",
        subfilter: fields.SigSeedSubFilter = CADES,
        digest: str = "sha256",
        stamped_at: datetime | None = None,
        certify: fields.MDPPerm | None = None,
        lock: fields.FieldMDPSpec | None = None,
        signer_options: dict[str, object] | None = None,
    ) -> bytes:
        holder = holder or self.pki.signer
        signer = signers.SimpleSigner(
            signing_cert=certificate(holder.der),
            signing_key=private_key(holder),
            cert_registry=store(holder),
            **(signer_options or {}),
        )
        long_term = level in ("LT", "LTA")
        metadata = signers.PdfSignatureMetadata(
            field_name=name,
            md_algorithm=digest,
            subfilter=subfilter,
            embed_validation_info=long_term,
            use_pades_lta=level == "LTA",
            validation_context=self.context() if long_term else None,
            certify=certify is not None,
            docmdp_permissions=certify or fields.MDPPerm.FILL_FORMS,
        )
        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        spec = fields.SigFieldSpec(name, field_mdp_spec=lock)
        pen = signers.PdfSigner(
            metadata,
            signer,
            timestamper=None if level == "B" else self.stamper(stamped_at),
            new_field_spec=spec,
        )
        return asyncio.run(pen.async_sign_pdf(writer)).getvalue()

    def stamp(self, data: bytes, at: datetime | None = None, name: str = "Damga") -> bytes:
        """A document time-stamp over all there is."""
        stamper = signers.PdfTimeStamper(self.stamper(at), field_name=name)
        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        return asyncio.run(stamper.async_timestamp_pdf(writer, "sha256")).getvalue()


def updated(data: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """One more revision with what ``change`` does."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def reader_of(data: bytes) -> PdfFileReader:
    return PdfFileReader(io.BytesIO(data))


def byte_range(data: bytes, index: int = 0) -> list[int]:
    return [int(item) for item in reader_of(data).embedded_signatures[index].byte_range]


def hexadecimal(encoded: bytes) -> bytes:
    """``/Contents`` as signers write it: the CMS and zeros."""
    return encoded.hex().encode().ljust(_HOLE - 2, b"0")


_HOLE = 16_002
_NUMBERS = 60


def handmade(
    sign_bytes: Callable[[bytes], bytes],
    *,
    ranges: Callable[[int, int, int], list[int]] = lambda start, end, size: [0, start, end, size - end],
    sub_filter: str = "ETSI.CAdES.detached",
    written: Callable[[bytes], bytes] = hexadecimal,
    entries: str = "/M (D:20261119120000+00'00')",
    catalog: str = "/AcroForm << /Fields [4 0 R] /SigFlags 3 >>",
    field_entries: str = "/V 5 0 R",
    trailer: str = "",
    more: str = "",
    after: bytes = b"",
) -> bytes:
    """A PDF of one revision written without any library, signed over whatever ``ranges`` says."""
    head = f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /{sub_filter} {entries} /ByteRange {'[]':<{_NUMBERS}}"
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [4 0 R] >>",
        f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Imza1) /Rect [0 0 0 0] /P 3 0 R {field_entries} >>",
        f"{head} /Contents <{'0' * (_HOLE - 2)}> >>",
        *([more] if more else []),
    ]
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = len(out)
    out += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n".encode()
    out += after
    start = out.index(b"/Contents <") + len("/Contents ")
    numbers = ranges(start, start + _HOLE, len(out))
    placed = out.index(f"{'[]':<{_NUMBERS}}".encode())
    out[placed : placed + _NUMBERS] = f"[{' '.join(str(item) for item in numbers)}]".ljust(_NUMBERS).encode()
    signed = b"".join(
        bytes(out[first : first + size]) for first, size in zip(numbers[::2], numbers[1::2], strict=False)
    )
    hole = written(sign_bytes(signed))
    assert len(hole) == _HOLE - 2
    out[start + 1 : start + _HOLE - 1] = hole
    return bytes(out)
