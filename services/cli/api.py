"""The REST API as the command line calls it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from shared.tls import default_context


class ApiError(Exception):
    """The gateway answered with a problem, or not at all: then ``status`` is None."""

    def __init__(self, status: int | None, problem: dict[str, Any]) -> None:
        faults = "; ".join(f"{item.get('pointer')}: {item.get('detail')}" for item in problem.get("errors") or [])
        text = f"{problem.get('title', 'failed')}: {problem.get('detail') or ''}".strip(": ")
        super().__init__(f"{text} ({faults})" if faults else text)
        self.status = status
        self.problem = problem


class Api:
    """One caller of the gateway. Every method, and making one, raises ``ApiError``."""

    def __init__(self, base_url: str, key: str | None, *, timeout_seconds: float = 60) -> None:
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ApiError(None, {"title": "the API key cannot be right", "detail": "it has letters that no key has"})
        headers = {"Accept-Language": "en"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.base_url = base_url.rstrip("/")
        with _readable_failures(self.base_url):
            self._http = httpx.Client(
                base_url=f"{self.base_url}/v1",
                headers=headers,
                timeout=timeout_seconds,
                verify=default_context(),
                trust_env=False,
            )

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call; ``options`` are httpx's. Files are read as they are sent."""
        with _readable_failures(self.base_url):
            answer = self._http.request(method, path, **options)
        if not answer.is_success:
            raise ApiError(answer.status_code, _problem(answer))
        return answer

    def json(self, method: str, path: str, **options: Any) -> Any:
        """One call whose answer is JSON; None for 204."""
        answer = self.call(method, path, **options)
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            return answer.json()
        except ValueError as error:
            detail = f"{self.base_url} answered something that is not JSON"
            raise ApiError(None, {"title": "this is no gateway", "detail": detail}) from error

    def download(self, path: str, target: Path | None = None) -> tuple[str, int]:
        """Fetch bytes, to a file if one is named; returns their SHA-256 and number.

        The file appears under its name once it is whole. Raises ``OSError`` if it cannot be written.
        """
        partial = target.with_name(f"{target.name}.part") if target is not None else None
        digest, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
            stack.enter_context(_readable_failures(self.base_url))
            answer = stack.enter_context(self._http.stream("GET", path))
            if not answer.is_success:
                answer.read()
                raise ApiError(answer.status_code, _problem(answer))
            if partial is not None:
                stack.callback(partial.unlink, missing_ok=True)
            file = stack.enter_context(partial.open("wb")) if partial is not None else None
            for chunk in answer.iter_bytes():
                digest.update(chunk)
                size += len(chunk)
                if file is not None:
                    file.write(chunk)
            if file is not None and partial is not None and target is not None:
                file.close()
                partial.replace(target)
        return digest.hexdigest(), size


@contextmanager
def _readable_failures(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise ApiError(None, {"title": "no answer from the gateway", "detail": f"{url}: {reason}"}) from error


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"title": f"HTTP {answer.status_code}", "detail": answer.text[:500]}
