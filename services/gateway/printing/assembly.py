"""Puts pages together so that nothing but what they show comes along.

Of a source page only its geometry, its content and the resources of that content are taken; of the source document
only which layers are shown. Programs, embedded files, links, forms, comments and metadata stay behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream

from services.gateway.printing.orders import Obstacle, UnprintableError
from services.gateway.printing.rendering import opened

_INHERITED = ("/MediaBox", "/CropBox", "/Resources", "/Rotate")
_KEPT = (*_INHERITED, "/Contents", "/UserUnit", "/Group")
_ACTIVE = ("/AA", "/AF", "/EF", "/JS", "/Metadata", "/OPI", "/PieceInfo", "/Ref", "/StructParent", "/StructParents")
"""What a stream or a typed dictionary may carry that is not part of what it shows."""
_FORBIDDEN_TYPES = frozenset({"/EmbeddedFile", "/Filespec", "/Action", "/Annot", "/Sig"})
_FORBIDDEN_ACTIONS = frozenset({"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/GoToE", "/GoToR", "/URI"})
_DEEPEST_TREE = 50
_DEEPEST_VALUE = 30
_OVERLAY = "/PrintOverlay"


@dataclass(frozen=True)
class Source:
    """A document to be printed: its pages for the print, and the bytes that its pages are compared with."""

    original: bytes
    pages: Pdf

    def __len__(self) -> int:
        return len(self.pages.pages)


def read_source(content: bytes, *, max_pages: int, max_pixels: int) -> Source:
    """A PDF whose pages can be printed. Raises ``UnprintableError``."""
    document = _opened(content)
    if any(_has_looks(page) for page in document.pages):
        with opened(content, max_pixels) as renderer:
            content_to_take = renderer.flattened()
        document = _opened(content_to_take)
    if not len(document.pages):
        raise UnprintableError(Obstacle.NO_PAGES)
    if len(document.pages) > max_pages:
        raise UnprintableError(Obstacle.TOO_MANY_PAGES)
    with _faults():
        return Source(content, _bare(document))


def assemble(documents: list[Pdf]) -> Pdf:
    """One document of the pages of several. Only the layers of the first one are kept."""
    with _faults():
        target = pikepdf.new()
        for document in documents:
            target.pages.extend(document.pages)
        layers = documents[0].Root.get("/OCProperties")
        if layers is not None:
            target.Root.OCProperties = target.copy_foreign(layers)
        return target


def written(document: Pdf) -> bytes:
    """The bytes of a finished print; raises ``UnprintableError`` if anything active is still in it."""
    with _faults():
        file = io.BytesIO()
        document.save(file, deterministic_id=True)
        with Pdf.open(io.BytesIO(file.getvalue())) as again:
            if any(map(_is_active, _dictionaries(again))):
                raise UnprintableError(Obstacle.NOT_PRINTABLE)
        return file.getvalue()


def lay_over(document: Pdf, number: int, overlay: bytes) -> None:
    """Draw the first page of ``overlay``, a page of the same size as shown, over page ``number``."""
    with _faults(), Pdf.open(io.BytesIO(overlay)) as drawn:
        page = document.pages[number]
        form = document.copy_foreign(drawn.pages[0].as_form_xobject())
        resources = page.obj.get("/Resources")
        own = _copy(resources)
        forms = own.get("/XObject")
        own["/XObject"] = _copy(forms)
        name = _OVERLAY
        while name in own["/XObject"]:
            name += "0"
        own["/XObject"][name] = form
        page.obj["/Resources"] = own
        a, b, c, d, e, f = _shown_to_user_space(page)
        page.contents_add(b"q\n", prepend=True)
        page.contents_add(f"\nQ\nq {a} {b} {c} {d} {e:.4f} {f:.4f} cm {name} Do Q\n".encode())


def _copy(found: Object | None) -> Dictionary:
    """Its entries in a dictionary of its own: resources may be shared with other pages."""
    return Dictionary(dict(found.items())) if isinstance(found, Dictionary) else Dictionary()


def _opened(content: bytes) -> Pdf:
    with _faults():
        document = Pdf.open(io.BytesIO(content))
    if document.is_encrypted:
        raise UnprintableError(Obstacle.ENCRYPTED)
    dynamic: object = document.Root.get("/NeedsRendering")
    if dynamic is True:
        raise UnprintableError(Obstacle.DYNAMIC_FORM)
    return document


def _has_looks(page: pikepdf.Page) -> bool:
    """Whether comments or form fields stand on the page that show something of their own."""
    annotations = page.obj.get("/Annots")
    if not isinstance(annotations, Array):
        return False
    return any(isinstance(item, Dictionary) and "/AP" in item for item in annotations)


def _bare(document: Pdf) -> Pdf:
    for page in document.pages:
        kept = {name: value for name in _INHERITED if (value := _attribute(page.obj, name)) is not None}
        kept |= {name: page.obj[name] for name in _KEPT if name in page.obj}
        for name in list(page.obj.keys()):
            if name not in {"/Type", "/Parent"}:
                del page.obj[name]
        for name, value in kept.items():
            page.obj[name] = value
    target = pikepdf.new()
    target.pages.extend(document.pages)
    layers = document.Root.get("/OCProperties")
    if isinstance(layers, Dictionary):
        target.Root.OCProperties = target.copy_foreign(document.make_indirect(layers))
    for found in _dictionaries(target):
        own = found.stream_dict if isinstance(found, Stream) else found
        if isinstance(found, Stream) or "/Type" in found:
            for name in _ACTIVE:
                if name in own:
                    del found[name]
    return target


def _attribute(page: Object, name: str) -> Object | None:
    """A page's attribute, from wherever in the page tree it is stated."""
    node = page
    for _ in range(_DEEPEST_TREE):
        if (value := node.get(name)) is not None:
            return value
        parent = node.get("/Parent")
        if not isinstance(parent, Dictionary):
            return None
        node = parent
    return None


def _dictionaries(document: Pdf) -> Iterator[Dictionary | Stream]:
    """Every dictionary and stream of a document, nested ones included."""
    for found in document.objects:
        yield from _within(found, 0)


def _within(found: Object, depth: int) -> Iterator[Dictionary | Stream]:
    if depth > _DEEPEST_VALUE:
        raise UnprintableError(Obstacle.BROKEN)
    if isinstance(found, (Dictionary, Stream)):
        yield found
        values = [value for _, value in found.items()]
    elif isinstance(found, Array):
        values = list(found)
    else:
        return
    for value in values:
        if isinstance(value, Object) and not value.is_indirect:
            yield from _within(value, depth + 1)


def _is_active(found: Dictionary | Stream) -> bool:
    kind, action = found.get("/Type"), found.get("/S")
    if isinstance(kind, Name) and str(kind) in _FORBIDDEN_TYPES:
        return True
    return isinstance(action, Name) and str(action) in _FORBIDDEN_ACTIONS


def _shown_to_user_space(page: pikepdf.Page) -> tuple[int, int, int, int, float, float]:
    """The matrix from points on the page as it is shown to the page's own space (ISO 32000-1, 8.3.3)."""
    media, crop = _corners(page.obj.get("/MediaBox")), _corners(page.obj.get("/CropBox"))
    left, lower, right, upper = media or (0.0, 0.0, 612.0, 792.0)
    if crop is not None:
        left, lower = max(left, crop[0]), max(lower, crop[1])
        right, upper = min(right, crop[2]), min(upper, crop[3])
    rotation = page.obj.get("/Rotate", 0)
    match int(rotation) % 360:
        case 90:
            return 0, 1, -1, 0, right, lower
        case 180:
            return -1, 0, 0, -1, right, upper
        case 270:
            return 0, -1, 1, 0, left, upper
        case _:
            return 1, 0, 0, 1, left, lower


def _corners(box: Object | None) -> tuple[float, float, float, float] | None:
    if not isinstance(box, Array) or len(box) != 4:
        return None
    x1, y1, x2, y2 = (float(value) for value in box)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


@contextmanager
def _faults() -> Iterator[None]:
    """Whatever pikepdf raises about a document: the document is broken."""
    try:
        yield
    except pikepdf.PasswordError as error:
        raise UnprintableError(Obstacle.ENCRYPTED) from error
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, OverflowError) as error:
        raise UnprintableError(Obstacle.BROKEN) from error
