"""Hostile PDFs: ranges that cover something else, and files that would keep a reader busy. Nothing raises, nothing passes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace

import pikepdf
import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from services.signer import der
from services.signer.formats import pades, pades_reader
from services.signer.limits import DEFAULT_LIMITS, Limits
from services.signer.pipeline import Evidence, read_facts, verify
from services.signer.trust import make_store
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion, Indication, SubIndication
from tests.support.pki import NOW, Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.pdf_signing import Pen, byte_range, document, handmade, hexadecimal, updated
from tests.unit.signer.test_pades import only, pen_of
from tests.unit.signer.test_pades_changes import LATER, fill

Ranges = Callable[[int, int, int], list[int]]


def read(data: bytes, limits: Limits = DEFAULT_LIMITS) -> VerificationReport:
    """By mathematics alone, so that nothing but the file decides."""
    request = VerificationRequest(profile=Profile.INTEGRITY_ONLY)
    return verify(data, None, request, Evidence(make_store({})), NOW, limits=limits)


def refused(report: VerificationReport) -> str:
    assert report.conclusion is Conclusion.FAILED
    assert report.sub_indication is SubIndication.FORMAT_FAILURE
    return report.signatures[0].steps[0].text.en


class TestRanges:
    def test_the_handmade_file_is_good_as_it_is(self, pki: Pki, judge: Judge) -> None:
        assert judge(handmade(pen_of(pki))).conclusion is Conclusion.PASSED

    @pytest.mark.parametrize(
        ("ranges", "why"),
        [
            (lambda start, end, size: [9, start - 9, end, size - end], "begin at 0"),
            (lambda start, end, size: [0, start - 20, end, size - end], "more or less"),
            (lambda start, end, size: [0, start, end + 20, size - end - 20], "more or less"),
            (lambda start, end, size: [0, start + 1, end, size - end], "more or less"),
            (lambda start, end, size: [0, start, end - 1, size - end + 1], "more or less"),
            (lambda start, end, size: [0, start, end, size - end - 20], "end with a revision"),
            (lambda start, end, size: [0, start, end, size - end + 100], "beyond the file"),
            (lambda start, end, size: [0, start, start - 50, size - start + 50], "overlapping"),
            (lambda start, end, size: [0, size, size, 0], "overlapping"),
            (lambda start, end, size: [0, start, end, -5], "overlapping"),
            (lambda start, end, size: [0, 0, end, size - end], "overlapping"),
            (lambda start, end, size: [0, start, end, size - end, size, 0], "four numbers"),
            (lambda start, end, size: [0, start], "four numbers"),
            (lambda start, end, size: [], "four numbers"),
        ],
    )
    def test_every_other_range_is_refused(self, pki: Pki, judge: Judge, ranges: Ranges, why: str) -> None:
        """Each is signed rightly over the bytes it names: the range alone is wrong."""
        assert why in refused(judge(handmade(pen_of(pki), ranges=ranges)))

    def test_numbers_of_other_kinds(self, pki: Pki, judge: Judge) -> None:
        data = handmade(pen_of(pki))
        for number in (b"0.0 ", b"(0) ", b"/A  "):
            place = data.index(b"/ByteRange [") + len(b"/ByteRange [")
            changed = data[:place] + number + data[place + 4 :]
            assert judge(changed).conclusion is Conclusion.FAILED

    @pytest.mark.parametrize(
        "written",
        [
            lambda encoded: hexadecimal(encoded)[:-4] + b"beef",
            lambda encoded: hexadecimal(encoded)[:-2] + b" \n",
            lambda encoded: (b"00" + encoded.hex().encode()).ljust(16_000, b"0"),
            lambda _encoded: b"0" * 16_000,
            lambda encoded: encoded[:-1].hex().encode().ljust(16_000, b"0"),
        ],
        ids=["bytes after the CMS", "white space", "zero before", "nothing", "shortened"],
    )
    def test_the_hole_holds_the_cms_and_zeros(self, pki: Pki, judge: Judge, written: Callable[[bytes], bytes]) -> None:
        assert judge(handmade(pen_of(pki), written=written)).conclusion is Conclusion.FAILED

    def test_a_cms_of_indefinite_length_is_good(self, pki: Pki, judge: Judge) -> None:
        make = pen_of(pki)

        def indefinite(content: bytes) -> bytes:
            return b"\x30\x80" + der.read_whole(make(content)).contents + b"\0\0"

        assert judge(handmade(indefinite)).conclusion is Conclusion.PASSED

    def test_two_fields_for_one_signature(self, pki: Pki, judge: Judge) -> None:
        second = "<< /Type /Annot /Subtype /Widget /FT /Sig /T (Imza2) /Rect [0 0 0 0] /P 3 0 R /V 5 0 R >>"
        data = handmade(pen_of(pki), catalog="/AcroForm << /Fields [4 0 R 6 0 R] /SigFlags 3 >>", more=second)
        report = judge(data)
        assert len(report.signatures) == 2
        assert "two signatures" in refused(report)
        assert report.conclusion is Conclusion.FAILED

    @pytest.mark.parametrize("value", ["/V 3 0 R", "/V 2 0 R", "/V << /Type /Sig >>", "/V (x)", "/V 99 0 R"])
    def test_a_value_that_is_no_signature(self, pki: Pki, judge: Judge, value: str) -> None:
        assert judge(handmade(pen_of(pki), field_entries=value)).conclusion is not Conclusion.PASSED

    def test_the_same_bytes_under_another_dictionary(self, pki: Pki, judge: Judge) -> None:
        """The dictionary says the range of the signature, and its /Contents lies elsewhere."""
        data = handmade(pen_of(pki))
        changed = data.replace(b"/Contents <", b"/Kontents <", 1)
        assert judge(changed).conclusion is Conclusion.FAILED


REGIONS = ["header", "page", "sig-dictionary", "byte-range", "hole-begin", "signature-value", "table", "trailer", "end"]


class TestAltered:
    def place(self, data: bytes, region: str) -> int:
        _, start, end, _ = byte_range(data)
        return {
            "header": 7,
            "page": data.index(b"/MediaBox") + 12,
            "sig-dictionary": data.index(b"/SubFilter") + 13,
            "byte-range": data.index(b"/ByteRange") + 14,
            "hole-begin": start + 3,
            "signature-value": start + 2 + data[start:end].rstrip(b"0>").__len__() - 40,
            "table": data.rindex(b"xref\n", 0, data.rindex(b"startxref")) + 12,
            "trailer": data.rindex(b"/Size"),
            "end": len(data) - 8,
        }[region]

    @pytest.mark.parametrize("region", REGIONS)
    def test_one_byte_anywhere(self, pki: Pki, judge: Judge, region: str) -> None:
        data = Pen(pki).sign(document())
        place = self.place(data, region)
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert judge(changed).conclusion is not Conclusion.PASSED

    @pytest.mark.parametrize("cut", [1, 7, 100, 5_000, 12_000])
    def test_the_end_is_cut_off(self, pki: Pki, judge: Judge, cut: int) -> None:
        data = Pen(pki).sign(document(), level="T")
        report = judge(data[:-cut])
        assert report.conclusion is not Conclusion.PASSED

    @pytest.mark.parametrize("cut", [1, 20, 300])
    def test_the_beginning_is_cut_off(self, pki: Pki, judge: Judge, cut: int) -> None:
        assert judge(Pen(pki).sign(document())[cut:]).conclusion is not Conclusion.PASSED

    def test_back_to_the_signed_revision_is_what_was_signed(self, pki: Pki, judge: Judge) -> None:
        data = Pen(pki).sign(document(form=True))
        assert updated(data, fill("tutar"))[: len(data)] == data
        assert judge(data).conclusion is Conclusion.PASSED


def plain(objects: dict[int, bytes], *, root: int = 1, trailer: bytes = b"", size: int | None = None) -> bytes:
    """A PDF of just these objects."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    out += b"".join(b"%d 1\n%010d 00000 n \n" % (number, place) for number, place in places.items())
    end = size or max(objects) + 1
    out += b"trailer\n<< /Size %d /Root %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (end, root, trailer, table)
    return bytes(out)


def loops() -> dict[str, bytes]:
    form = b"<< /Type /Catalog /AcroForm << /Fields %s >> >>"
    start = len(b"%PDF-1.7\n")
    looping = b"%%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    tree = {number: b"<< /T (x) /FT /Tx /Kids [%d 0 R %d 0 R] >>" % (number + 1, number + 1) for number in range(2, 60)}
    return {
        "a table before itself": looping % (start, start),
        "a catalogue that is itself": plain({1: b"1 0 R"}),
        "objects that are each other": plain({1: b"2 0 R", 2: b"1 0 R"}),
        "a field in itself": plain({1: form % b"[2 0 R]", 2: b"<< /T (a) /FT /Sig /Kids [2 0 R] >>"}),
        "fields that are each other's fields": plain(
            {1: form % b"[2 0 R]", 2: b"<< /T (a) /Kids [3 0 R] >>", 3: b"<< /T (b) /Kids [2 0 R] >>"}
        ),
        "a form that is a reference to itself": plain({1: b"<< /AcroForm 2 0 R >>", 2: b"<< /Fields 2 0 R >>"}),
        "fields doubled sixty times": plain({1: form % b"[2 0 R]", **tree, 60: b"<< /T (x) >>"}),
        "a thousand brackets": plain({1: b"[" * 1_000 + b"]" * 1_000}),
        "a million brackets": plain({1: b"[" * 1_000_000}),
        "a million dictionaries": plain({1: b"<</A " * 200_000}),
        "a length that is itself": plain({1: b"<< /AcroForm 2 0 R >>", 2: b"<< /Length 2 0 R >>\nstream\n\nendstream"}),
        "nothing": b"%PDF-1.7\n",
        "only an end": b"%PDF-1.7\nstartxref\n0\n%%EOF\n",
        "a table beyond the file": b"%PDF-1.7\nstartxref\n99999999999\n%%EOF\n",
        "a negative place": b"%PDF-1.7\nstartxref\n-5\n%%EOF\n",
        "no number": b"%PDF-1.7\nstartxref\ntwelve\n%%EOF\n",
        "a table of many": b"%PDF-1.7\nxref\n0 9999999999\n0000000000 65535 f \ntrailer\n<<>>\nstartxref\n9\n%%EOF\n",
        "a huge number": plain({1: b"<< /AcroForm << /Fields [%s 0 R] >> >>" % (b"9" * 5_000)}),
    }


@pytest.mark.parametrize("name", loops())
def test_loops_and_depths_end(name: str) -> None:
    report = read(loops()[name])
    assert report.conclusion is not Conclusion.PASSED
    assert report.format is SignatureFormat.PADES


def bomb(layers: int, size: int) -> bytes:
    data = b"\0" * size
    for _ in range(layers):
        data = zlib.compress(data, 9)
    return data


class TestBombs:
    @pytest.mark.parametrize("layers", [1, 2, 3])
    def test_an_object_stream_of_zeros(self, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
        data = bomb(layers, 100 * 1024 * 1024)
        filters = b"/FlateDecode " * layers
        stream = b"<< /Type /ObjStm /N 1 /First 4 /Length %d /Filter [%s] >>\nstream\n%s\nendstream" % (
            len(data), filters, data,
        )  # fmt: skip
        whole = self.with_table(stream)
        spent: list[int] = []
        original = pades_reader.MeteredReader.__init__

        def watched(reader: pades_reader.MeteredReader, given: bytes, steps: int) -> None:
            original(reader, given, steps)
            spent.append(id(reader))

        monkeypatch.setattr(pades_reader.MeteredReader, "__init__", watched)
        assert read(whole).conclusion is not Conclusion.PASSED
        assert spent, "the file was opened, and the stream refused"

    def with_table(self, stream: bytes) -> bytes:
        """A file whose catalogue lies in the object stream 2, by a table that is a stream itself."""
        out = bytearray(b"%PDF-1.7\n")
        first = len(out)
        out += b"2 0 obj\n" + stream + b"\nendobj\n"
        table = len(out)
        entries = b"".join(
            kind.to_bytes(1, "big") + place.to_bytes(4, "big") + index.to_bytes(2, "big")
            for kind, place, index in ((0, 0, 65535), (2, 2, 0), (1, first, 0), (1, table, 0))
        )
        out += b"3 0 obj\n<< /Type /XRef /Size 4 /Root 1 0 R /W [1 4 2] /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (
            len(entries), entries,
        )  # fmt: skip
        return bytes(out + b"startxref\n%d\n%%%%EOF\n" % table)

    def test_the_same_file_with_an_honest_stream_is_read(self) -> None:
        body = b"1 0 << /Type /Catalog >>"
        stream = b"<< /Type /ObjStm /N 1 /First 4 /Length %d >>\nstream\n%s\nendstream" % (len(body), body)
        assert read(self.with_table(stream)).indication is Indication.NO_SIGNATURE_FOUND

    def test_an_object_stream_with_too_many_objects(self) -> None:
        body = b"1 0 << /Type /Catalog >>"
        stream = b"<< /Type /ObjStm /N 100000 /First 4 /Length %d >>\nstream\n%s\nendstream" % (len(body), body)
        assert "PdfReadError" in refused(read(self.with_table(stream)))

    def test_a_store_of_zeros(self, pki: Pki, judge: Judge) -> None:
        """Its one list unpacks to 40 MB; the signature itself is as good as before."""
        packed = bomb(1, 40 * 1024 * 1024)

        def add(writer: IncrementalPdfFileWriter) -> None:
            stream = generic.StreamObject(
                {generic.pdf_name("/Filter"): generic.pdf_name("/FlateDecode")}, encoded_data=packed
            )
            lists = generic.ArrayObject([writer.add_object(stream)])
            writer.root[generic.pdf_name("/DSS")] = generic.DictionaryObject({generic.pdf_name("/CRLs"): lists})
            writer.update_root()

        data = Pen(pki).sign(updated(document(), add))
        facts = read_facts(data, None)
        assert facts.signers[0].unsigned.values.revocation_lists == ()
        assert judge(data).conclusion is Conclusion.PASSED


class TestLimits:
    def test_size(self, pki: Pki) -> None:
        data = Pen(pki).sign(document())
        assert read(data, replace(DEFAULT_LIMITS, pdf_bytes=len(data))).conclusion is Conclusion.PASSED
        assert "at most" in refused(read(data, replace(DEFAULT_LIMITS, pdf_bytes=len(data) - 1)))

    def test_five_thousand_fields(self) -> None:
        fields = {number: b"<< /T (f%d) /FT /Sig /V 2 0 R >>" % number for number in range(3, 5_003)}
        kids = b" ".join(b"%d 0 R" % number for number in fields)
        data = plain({1: b"<< /AcroForm << /Fields [%s] >> >>" % kids, 2: b"<< /Type /Sig >>", **fields})
        assert "signature fields" in refused(read(data))

    def test_revisions(self, pki: Pki) -> None:
        data = Pen(pki).sign(document(form=True))
        for number in range(3):
            data = updated(data, fill("tutar", str(number)))
        assert read(data, replace(DEFAULT_LIMITS, pdf_revisions=5)).conclusion is Conclusion.PASSED
        assert "revisions" in refused(read(data, replace(DEFAULT_LIMITS, pdf_revisions=4)))

    def test_comparisons(self, pki: Pki) -> None:
        data = Pen(pki).sign(document(form=True))
        for number in range(3):
            data = updated(data, fill("tutar", str(number)))
        assert read(data, replace(DEFAULT_LIMITS, pdf_comparisons=3)).conclusion is Conclusion.PASSED
        report = read(data, replace(DEFAULT_LIMITS, pdf_comparisons=2))
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE,
        )  # fmt: skip
        assert [item.en for item in only(report).scope.later_changes] == [
            "Changes that could not be examined were made"
        ]

    def test_steps(self, pki: Pki) -> None:
        data = Pen(pki).sign(document())
        assert "steps" in refused(read(data, replace(DEFAULT_LIMITS, pdf_steps=100)))

    def test_paths_that_double_at_every_object(self, pki: Pki) -> None:
        """Forty objects with two references each: 2^40 paths, which the comparison would all follow."""

        def add(writer: IncrementalPdfFileWriter) -> None:
            inner = writer.add_object(generic.DictionaryObject())
            for _ in range(40):
                inner = writer.add_object(generic.ArrayObject([inner, inner]))
            writer.root[generic.pdf_name("/PieceInfo")] = inner
            writer.update_root()

        data = Pen(pki).sign(updated(document(form=True), add))
        assert read(data).conclusion is Conclusion.PASSED, "nothing to compare"
        report = read(updated(data, fill("tutar")), replace(DEFAULT_LIMITS, pdf_steps=300_000))
        assert report.conclusion is Conclusion.INDETERMINATE
        assert "could not be examined" in next(item.text.en for item in only(report).steps if item.id == LATER)

    def test_fields_that_double_in_a_revision_between(self, pki: Pki) -> None:
        """The last revision's form is as it was signed; the comparison looks at the one between, too."""
        name = generic.pdf_name

        def doubled(writer: IncrementalPdfFileWriter) -> None:
            inner = writer.add_object(generic.DictionaryObject({name("/T"): generic.pdf_string("x")}))
            for _ in range(60):
                field = {name("/T"): generic.pdf_string("x"), name("/Kids"): generic.ArrayObject([inner, inner])}
                inner = writer.add_object(generic.DictionaryObject(field))
            writer.root["/AcroForm"]["/Fields"].append(inner)
            writer.update_container(writer.root["/AcroForm"]["/Fields"])

        def undone(writer: IncrementalPdfFileWriter) -> None:
            del writer.root["/AcroForm"]["/Fields"][-1]
            writer.update_container(writer.root["/AcroForm"]["/Fields"])

        data = Pen(pki).sign(document(form=True))
        report = read(updated(updated(data, doubled), undone))
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE,
        )  # fmt: skip
        assert only(report).integrity

    def test_memory_that_runs_out_is_no_verdict(self, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        def none_left(*_args: object) -> None:
            raise MemoryError

        data = Pen(pki).sign(document())
        monkeypatch.setattr(pades, "read_signatures", none_left)
        report = read(data)
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.POLICY_PROCESSING_ERROR,
        )  # fmt: skip


class TestStructure:
    def test_encrypted_is_said(self) -> None:
        out = io.BytesIO()
        with pikepdf.open(io.BytesIO(document())) as pdf:
            pdf.save(out, encryption=pikepdf.Encryption(owner="sahip", user=""))
        report = read(out.getvalue())
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.SIGNED_DATA_NOT_FOUND,
        )  # fmt: skip
        assert "encrypted" in only(report).steps[0].text.en

    def test_two_tables_are_said(self, pki: Pki) -> None:
        """A hybrid file: readers of 1.4 see the table, later ones the stream as well."""
        entries = b"\0\0\0\0\0\xff\xff"
        data = handmade(pen_of(pki))
        stream = len(data)
        hidden = (
            b"9 0 obj\n<< /Type /XRef /Size 10 /W [1 4 2] /Index [0 1] /Length 7 >>\nstream\n%s\nendstream\nendobj\n"
            % entries
        )
        table = stream + len(hidden)
        previous = int(data[data.rindex(b"startxref") + 10 :].split()[0])
        more = b"xref\n0 0\ntrailer\n<< /Size 10 /Root 1 0 R /Prev %d /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n" % (
            previous, stream, table,
        )  # fmt: skip
        report = read(data + hidden + more)
        assert report.conclusion is not Conclusion.PASSED
        assert report.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
        assert "two tables" in only(report).steps[0].text.en

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data.replace(b"xref\n0", b"xrff\n0", 1),
            lambda data: data.replace(b"trailer", b"tralier", 1),
            lambda data: data.replace(b"startxref\n", b"startxref\n1"),
            lambda data: data.replace(b" 00000 n", b" 0000x n", 1),
            lambda data: data.replace(b"0000000000 65535 f", b"0000000000 00000 n", 1),
            lambda data: data.replace(b"/Root", b"/Ruut"),
            lambda data: data.replace(b"/Pages 2 0 R", b"/Pages 8 0 R"),
        ],
    )
    def test_a_broken_table_is_not_repaired(self, pki: Pki, damage: Callable[[bytes], bytes]) -> None:
        data = handmade(pen_of(pki))
        assert damage(data) != data
        assert read(damage(data)).conclusion is not Conclusion.PASSED
