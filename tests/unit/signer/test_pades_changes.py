"""PDF changed after it was signed: what is harmless, what a signature forbids, and the known attacks by incremental update.

The names of the attacks are those of Mladenov et al. 2019 (incremental saving) and Mainka et al. 2021 (shadow attacks).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm

from shared.contracts.signatures import SignatureReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.pdf_signing import Pen, document, reader_of, updated
from tests.unit.signer.test_pades import changes, only, results

name = generic.pdf_name
OTHER = b"BT /F1 12 Tf 72 700 Td (something else) Tj ET"
LATER = "profile-rules.later-changes"


@pytest.fixture(scope="module")
def pen(pki: Pki) -> Pen:
    return Pen(pki)


@pytest.fixture(scope="module")
def signed(pen: Pen) -> bytes:
    return pen.sign(document(form=True))


def first_page(writer: IncrementalPdfFileWriter) -> generic.DictionaryObject:
    return writer.root["/Pages"]["/Kids"][0]


def fill(field_name: str, value: str = "999") -> Callable[[IncrementalPdfFileWriter], None]:
    def change(writer: IncrementalPdfFileWriter) -> None:
        for reference in writer.root["/AcroForm"]["/Fields"]:
            field = reference.get_object()
            if field.get("/T") == field_name:
                field[name("/V")] = generic.pdf_string(value)
                writer.mark_update(reference.reference)

    return change


def annotate(writer: IncrementalPdfFileWriter) -> None:
    page = first_page(writer)
    note = generic.DictionaryObject(
        {
            name("/Type"): name("/Annot"),
            name("/Subtype"): name("/Text"),
            name("/Rect"): generic.ArrayObject([generic.NumberObject(item) for item in (10, 10, 50, 50)]),
            name("/Contents"): generic.pdf_string("a comment"),
        }
    )
    page["/Annots"].append(writer.add_object(note))
    writer.update_container(page["/Annots"])


def verdict(signature: SignatureReport) -> tuple[Conclusion, SubIndication | None]:
    return signature.conclusion, signature.sub_indication


OPEN = (Conclusion.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE)
BROKEN = (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)
FINE = (Conclusion.PASSED, None)


class TestHarmless:
    def test_a_form_is_filled_in(self, signed: bytes, judge: Judge) -> None:
        signature = only(judge(updated(signed, fill("tutar"))))
        assert verdict(signature) == FINE
        assert results(signature) == {LATER: StepResult.WARNING}
        assert changes(signature) == ["Form fields were filled in: tutar"]
        assert signature.scope is not None
        assert not signature.scope.whole_document

    def test_a_form_is_filled_in_and_signed_again(self, pen: Pen, signed: bytes, judge: Judge) -> None:
        both = pen.sign(updated(signed, fill("tutar")), name="Imza2")
        first, second = judge(both).signatures
        assert (verdict(first), verdict(second)) == (FINE, FINE)
        assert changes(first) == ["Signatures added later: 1", "Form fields were filled in: tutar"]
        assert (results(second), changes(second)) == ({}, [])

    def test_white_space_at_the_end(self, signed: bytes, judge: Judge) -> None:
        signature = only(judge(signed + b"\r\n\n"))
        assert verdict(signature) == FINE
        assert signature.scope is not None
        assert signature.scope.whole_document

    def test_a_certified_document_may_be_kept_for_long(self, pen: Pen, judge: Judge) -> None:
        data = pen.sign(document(), certify=MDPPerm.NO_CHANGES, level="LTA")
        assert verdict(only(judge(data))) == FINE

    @pytest.mark.parametrize("permission", [MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE])
    def test_a_certified_form_may_be_filled_in(self, pen: Pen, judge: Judge, permission: MDPPerm) -> None:
        data = updated(pen.sign(document(form=True), certify=permission), fill("tutar"))
        assert verdict(only(judge(data))) == FINE


class TestForbidden:
    def test_filling_in_what_was_certified_as_final(self, pen: Pen, judge: Judge) -> None:
        data = updated(pen.sign(document(form=True), certify=MDPPerm.NO_CHANGES), fill("tutar"))
        signature = only(judge(data))
        assert verdict(signature) == BROKEN
        assert signature.integrity, "the signed bytes are as they were"
        assert results(signature)[LATER] is StepResult.FAILED

    def test_another_page_content_in_what_was_certified(self, pen: Pen, judge: Judge) -> None:
        data = updated(pen.sign(document(), certify=MDPPerm.FILL_FORMS), replace_content)
        assert verdict(only(judge(data))) == BROKEN

    @pytest.mark.parametrize(("field", "expected"), [("tutar", BROKEN), ("not", FINE)])
    def test_a_locked_field(
        self, pen: Pen, judge: Judge, field: str, expected: tuple[Conclusion, SubIndication | None]
    ) -> None:
        lock = FieldMDPSpec(FieldMDPAction.INCLUDE, ["tutar"])
        data = updated(pen.sign(document(form=True), lock=lock), fill(field))
        signature = only(judge(data))
        assert verdict(signature) == expected
        if expected == BROKEN:
            assert "locks" in next(item.text.en for item in signature.steps if item.id == LATER)

    def test_the_certifying_signature_fails_and_a_later_one_does_not(self, pen: Pen, judge: Judge) -> None:
        certified = pen.sign(document(), certify=MDPPerm.FILL_FORMS)
        both = pen.sign(updated(certified, replace_content), name="Imza2")
        first, second = judge(both).signatures
        assert (verdict(first), verdict(second)) == (BROKEN, FINE)


def replace_content(writer: IncrementalPdfFileWriter) -> None:
    first_page(writer)[name("/Contents")] = writer.add_object(generic.StreamObject(stream_data=OTHER))
    writer.update_container(first_page(writer))


def overwrite_content(writer: IncrementalPdfFileWriter) -> None:
    reference = first_page(writer).raw_get("/Contents").reference
    writer.objects[(reference.generation, reference.idnum)] = generic.StreamObject(stream_data=OTHER)


def replace_page(writer: IncrementalPdfFileWriter) -> None:
    kids = writer.root["/Pages"]["/Kids"]
    kids[0], kids[1] = kids.raw_get(1), kids.raw_get(0)
    writer.update_container(kids)


def add_page(writer: IncrementalPdfFileWriter) -> None:
    pages = writer.root["/Pages"]
    page = generic.DictionaryObject(first_page(writer))
    pages["/Kids"].append(writer.add_object(page))
    pages[name("/Count")] = generic.NumberObject(3)
    writer.update_container(pages)


def hide(writer: IncrementalPdfFileWriter) -> None:
    """Shadow attack *hide*: what lay over the text is overwritten with nothing."""
    picture = writer.root["/PieceInfo"].raw_get("/Overlay").reference
    writer.objects[(picture.generation, picture.idnum)] = generic.StreamObject(
        {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form")}, stream_data=b""
    )


def replace_font(writer: IncrementalPdfFileWriter) -> None:
    """Shadow attack *replace*: the same codes, other glyphs."""
    font = first_page(writer)["/Resources"]["/Font"]["/F1"]
    differences = generic.ArrayObject([generic.NumberObject(48), name("/nine"), name("/eight")])
    font[name("/Encoding")] = generic.DictionaryObject({name("/Differences"): differences})
    writer.update_container(font)


def hide_and_replace(writer: IncrementalPdfFileWriter) -> None:
    """Shadow attack *hide-and-replace*: the catalogue shows the pages that were hidden in the signed file."""
    writer.root[name("/Pages")] = writer.root["/PieceInfo"].raw_get("/Shadow")
    writer.update_root()


def prepare(writer: IncrementalPdfFileWriter) -> None:
    """What the author of a shadow document hides in it before somebody else signs."""
    overlay = generic.StreamObject(
        {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form")}, stream_data=b"0 0 600 800 re f"
    )
    page = generic.DictionaryObject(
        {
            name("/Type"): name("/Page"),
            name("/MediaBox"): first_page(writer)["/MediaBox"],
            name("/Contents"): writer.add_object(generic.StreamObject(stream_data=OTHER)),
        }
    )
    shadow = generic.DictionaryObject(
        {
            name("/Type"): name("/Pages"),
            name("/Kids"): generic.ArrayObject([writer.add_object(page)]),
            name("/Count"): generic.NumberObject(1),
        }
    )
    overlay_reference = writer.add_object(overlay)
    first_page(writer)["/Resources"][name("/XObject")] = generic.DictionaryObject({name("/Over"): overlay_reference})
    writer.update_container(first_page(writer)["/Resources"])
    writer.root[name("/PieceInfo")] = generic.DictionaryObject(
        {name("/Overlay"): overlay_reference, name("/Shadow"): writer.add_object(shadow)}
    )
    writer.update_root()


@pytest.fixture(scope="module")
def shadow(pen: Pen) -> bytes:
    return pen.sign(updated(document(form=True), prepare))


ATTACKS = [
    *(replace_content, overwrite_content, replace_page, add_page, hide, replace_font),
    *(hide_and_replace, annotate),
]


class TestAttacks:
    def test_the_prepared_document_is_fine_as_long_as_nothing_is_added(self, shadow: bytes, judge: Judge) -> None:
        assert verdict(only(judge(shadow))) == FINE

    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda item: item.__name__)
    def test_a_revision_that_shows_something_else(
        self, shadow: bytes, judge: Judge, attack: Callable[[IncrementalPdfFileWriter], None]
    ) -> None:
        signature = only(judge(updated(shadow, attack)))
        assert verdict(signature) == OPEN
        assert signature.integrity
        assert signature.scope is not None
        assert not signature.scope.whole_document
        assert "Other changes were made" in changes(signature)
        [step] = [item for item in signature.steps if item.id == LATER]
        assert "cannot be shown to be harmless" in step.text.en
        assert "zararsız" in step.text.tr

    @pytest.mark.parametrize("attack", [replace_content, hide, hide_and_replace], ids=lambda item: item.__name__)
    def test_a_second_signature_does_not_cover_it_up(
        self, pen: Pen, shadow: bytes, judge: Judge, attack: Callable[[IncrementalPdfFileWriter], None]
    ) -> None:
        report = judge(pen.sign(updated(shadow, attack), name="Imza2"))
        first = report.signatures[0]
        assert verdict(first) == OPEN
        assert report.conclusion is Conclusion.INDETERMINATE

    @pytest.mark.parametrize("attack", [replace_content, hide_and_replace], ids=lambda item: item.__name__)
    def test_nor_does_undoing_it_in_one_more_revision(
        self, shadow: bytes, judge: Judge, attack: Callable[[IncrementalPdfFileWriter], None]
    ) -> None:
        def undo(writer: IncrementalPdfFileWriter) -> None:
            original = reader_of(shadow)
            for reference in (original.root_ref, original.root["/Pages"]["/Kids"].raw_get(0).reference):
                writer.objects[(reference.generation, reference.idnum)] = original.get_object(reference)

        assert verdict(only(judge(updated(updated(shadow, attack), undo)))) == OPEN

    def test_incremental_saving_without_a_table(self, signed: bytes, judge: Judge) -> None:
        """Some readers search for objects when there is no table: then they find this one."""
        reference = reader_of(signed).root["/Pages"]["/Kids"][0].raw_get("/Contents").reference
        added = b"\n%d 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (
            reference.idnum, len(OTHER), OTHER,
        )  # fmt: skip
        signature = only(judge(signed + added))
        assert verdict(signature) == OPEN
        assert "no revision" in next(item.text.en for item in signature.steps if item.id == LATER)

    def test_incremental_saving_that_points_back_to_the_signed_table(self, signed: bytes, judge: Judge) -> None:
        start = reader_of(signed).last_startxref
        added = b"\n4 0 obj\n<< >>\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
        assert verdict(only(judge(signed + added))) == OPEN

    def test_bytes_after_a_harmless_revision(self, pen: Pen, signed: bytes, judge: Judge) -> None:
        assert verdict(only(judge(pen.stamp(signed) + b"\n4 0 obj << >> endobj\n"))) == OPEN

    def test_a_table_that_names_another_place_inside_the_signed_bytes(self, pen: Pen, judge: Judge) -> None:
        """No new object at all: the table alone leads to what was hidden as data of another."""

        def hidden(writer: IncrementalPdfFileWriter) -> None:
            number = first_page(writer).raw_get("/Contents").reference.idnum
            body = b"\n%d 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (number, len(OTHER), OTHER)
            writer.root[name("/PieceInfo")] = writer.add_object(generic.StreamObject(stream_data=body))
            writer.update_root()

        data = pen.sign(updated(document(), hidden))
        reader = reader_of(data)
        number = reader.root["/Pages"]["/Kids"][0].raw_get("/Contents").reference.idnum
        place = data.rindex(b"\n%d 0 obj\n<< /Length %d" % (number, len(OTHER))) + 1
        added = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<< /Size %d /Root %d 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
            number, place, int(reader.trailer["/Size"]), reader.root_ref.idnum, reader.last_startxref, len(data),
        )  # fmt: skip
        assert reader_of(data + added).root["/Pages"]["/Kids"][0]["/Contents"].data == OTHER, "the attack works"
        assert verdict(only(judge(data + added))) == OPEN

    def test_another_catalogue_altogether(self, shadow: bytes, judge: Judge) -> None:
        made: list[int] = []

        def add(writer: IncrementalPdfFileWriter) -> None:
            root = generic.DictionaryObject(writer.root)
            root[name("/Pages")] = writer.root["/PieceInfo"].raw_get("/Shadow")
            made.append(writer.add_object(root).idnum)

        data = updated(shadow, add)
        place = data.index(b"/Root", data.rindex(b"trailer"))
        data = data[:place] + b"/Root %d 0 R\n" % made[0] + data[data.index(b"R", place + 5) + 1 :]
        assert reader_of(data).root["/Pages"]["/Count"] == 1, "the attack works"
        assert judge(data).conclusion is not Conclusion.PASSED

    def test_an_object_that_is_freed(self, signed: bytes, judge: Judge) -> None:
        reader = reader_of(signed)
        number = reader.root["/Pages"]["/Kids"][0].raw_get("/Contents").reference.idnum
        added = b"xref\n%d 1\n0000000000 00001 f \ntrailer\n<< /Size %d /Root %d 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
            number, int(reader.trailer["/Size"]), reader.root_ref.idnum, reader.last_startxref, len(signed),
        )  # fmt: skip
        assert judge(signed + added).conclusion is not Conclusion.PASSED

    def test_a_signature_that_is_taken_out_of_the_form_is_none(self, signed: bytes, judge: Judge) -> None:
        def drop(writer: IncrementalPdfFileWriter) -> None:
            form = writer.root["/AcroForm"]
            form[name("/Fields")] = generic.ArrayObject()
            writer.update_container(form)

        report = judge(updated(signed, drop))
        assert report.signatures == []
        assert report.conclusion is Conclusion.INDETERMINATE

    def test_a_signature_dictionary_written_anew(self, signed: bytes, judge: Judge) -> None:
        """Universal signature forgery: the dictionary of the last revision says other things about the same bytes."""

        def anew(writer: IncrementalPdfFileWriter) -> None:
            for reference in writer.root["/AcroForm"]["/Fields"]:
                field = reference.get_object()
                if field.get("/FT") == "/Sig":
                    value = field["/V"]
                    value[name("/Reason")] = generic.pdf_string("approved")
                    writer.update_container(value)

        assert verdict(only(judge(updated(signed, anew)))) == BROKEN
