"""``/problems`` and ``/problems/<code>``: what each problem means, for people, in both languages."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from services.gateway.problem_texts import TEXTS
from shared.errors import RETRYABLE, DomainError, ErrorCode
from shared.http import STATUS

_PAGE = """<!doctype html>
<html lang="tr"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{root}/docs/assets/pages.css"></head><body><main>{body}</main></body></html>
"""


def problem_routes() -> list[Route]:
    """Both routes; they need no API key."""
    return [Route("/problems", _all_problems), Route("/problems/{code}", _one_problem)]


async def _all_problems(request: Request) -> HTMLResponse:
    items = "".join(
        f'<li><a href="{escape(_root(request))}/problems/{code}">{code}</a> ({STATUS[code]}): '
        f'{escape(text.title_tr)} / <span lang="en">{escape(text.title_en)}</span></li>'
        for code, text in TEXTS.items()
    )
    return _page(request, "Hata kodları / Problem codes", f"<h1>Hata kodları / Problem codes</h1><ul>{items}</ul>")


async def _one_problem(request: Request) -> HTMLResponse:
    try:
        code = ErrorCode(request.path_params["code"])
    except ValueError:
        raise DomainError(ErrorCode.NOT_FOUND, "no such problem code") from None
    text = TEXTS[code]
    again = code in RETRYABLE
    body = (
        f"<h1><code>{code}</code></h1><p>HTTP {STATUS[code]}</p>"
        f"<section><h2>{escape(text.title_tr)}</h2><p>{escape(text.advice_tr)}</p>"
        f"<p>{'Aynı istek değiştirilmeden yinelenebilir.' if again else 'Aynı istek yinelenirse sonuç değişmez.'}</p>"
        f'</section><section lang="en"><h2>{escape(text.title_en)}</h2><p>{escape(text.advice_en)}</p>'
        f"<p>{'The same request may be repeated unchanged.' if again else 'Repeating the request changes nothing.'}"
        "</p></section>"
    )
    return _page(request, code.value, body)


def _page(request: Request, title: str, body: str) -> HTMLResponse:
    root = escape(_root(request))
    return HTMLResponse(_PAGE.format(title=escape(title), body=body, root=root))


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
