"""The REST API as the command line calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx


class ApiError(Exception):
    """The gateway answered with a problem, or not at all."""

    def __init__(self, status: int | None, problem: dict[str, Any]) -> None:
        faults = "; ".join(f"{item.get('pointer')}: {item.get('detail')}" for item in problem.get("errors") or [])
        text = f"{problem.get('title', 'failed')}: {problem.get('detail') or ''}".strip(": ")
        super().__init__(f"{text} ({faults})" if faults else text)
        self.status = status
        self.problem = problem


class Api:
    """One caller of the gateway. Every method raises ``ApiError``."""

    def __init__(self, base_url: str, key: str | None, *, timeout_seconds: float = 60) -> None:
        headers = {"Accept-Language": "en"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.base_url}/v1", headers=headers, timeout=timeout_seconds,
                                  trust_env=False)  # fmt: skip

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call; ``options`` are httpx's."""
        with _readable_failures():
            answer = self._http.request(method, path, **options)
        if answer.is_error:
            raise ApiError(answer.status_code, _problem(answer))
        return answer

    def json(self, method: str, path: str, **options: Any) -> Any:
        """One call whose answer is JSON; None for 204."""
        answer = self.call(method, path, **options)
        return None if answer.status_code == 204 else answer.json()

    def download(self, path: str, target: Path | None = None) -> tuple[str, int]:
        """Fetch bytes, to a file if one is named; returns their SHA-256 and number."""
        digest, size = hashlib.sha256(), 0
        with _readable_failures(), self._http.stream("GET", path) as answer:
            if answer.is_error:
                answer.read()
                raise ApiError(answer.status_code, _problem(answer))
            file = target.open("wb") if target is not None else None
            try:
                for chunk in answer.iter_bytes():
                    digest.update(chunk)
                    size += len(chunk)
                    if file is not None:
                        file.write(chunk)
            finally:
                if file is not None:
                    file.close()
        return digest.hexdigest(), size


@contextmanager
def _readable_failures() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise ApiError(None, {"title": "no answer from the gateway", "detail": str(error)}) from error


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"title": f"HTTP {answer.status_code}", "detail": answer.text[:500]}
