"""The HTTP client of the command line: one service's door at a time, with the user's token."""

import hashlib
import ssl
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from deploy.fault import Fault

TIMEOUT = httpx.Timeout(30, connect=5)


class Refused(Fault):
    """A service refused a request; `problem` is its RFC 9457 body."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = problem
        self.code = str(problem.get("code", "internal"))
        detail = str(problem.get("detail", ""))
        errors = [
            f"{error.get('item') or error.get('field', '')}: {error.get('detail') or error.get('code', '')}"
            for error in problem.get("errors", ())
        ]
        more = "" if not errors else f" [{'; '.join(errors[:20])}{'; …' if len(errors) > 20 else ''}]"
        super().__init__(f"{self.code}: {detail}{more}")


class Client:
    """Calls the four services at `urls` (service → base URL) with one token; None where no token is needed."""

    def __init__(self, urls: Mapping[str, str], token: str | None = None) -> None:
        self._urls = urls
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(timeout=TIMEOUT, headers=headers, verify=_trust())

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, service: str, path: str) -> Any:
        """The JSON that a service answers. Raises Refused, and Fault if it cannot be reached."""
        return (await self._send(service, "GET", path, None, None)).json()

    async def post(self, service: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Post a JSON body; `key` is the Idempotency-Key, a fresh one without it."""
        return (await self._send(service, "POST", path, body, key)).json()

    async def put(self, service: str, path: str, body: Any, key: str | None = None) -> Any:
        """Put a JSON body; `key` is the Idempotency-Key, a fresh one without it."""
        return (await self._send(service, "PUT", path, body, key)).json()

    async def post_file(self, service: str, path: str, data: bytes, media_type: str) -> Any:
        """Post a file as it is; the answer's JSON."""
        return (await self._send(service, "POST", path, None, None, (data, media_type))).json()

    async def send(
        self, service: str, method: str, path: str, body: Any = None, key: str | None = None
    ) -> httpx.Response:
        """As `get`, `post` and `put`, with the whole answer."""
        return await self._send(service, method, path, body, key)

    async def upload(self, url: str, headers: Mapping[str, str], data: bytes) -> None:
        """Put bytes to a presigned place of the object store; the token does not go there."""
        async with httpx.AsyncClient(timeout=TIMEOUT, verify=_trust()) as http:
            try:
                answer = await http.put(url, content=data, headers=dict(headers))
            except httpx.HTTPError as error:
                what = type(error).__name__
                raise Fault(f"the object store cannot be reached ({what}); see `parindex status`") from None
        if answer.is_error:
            raise Fault(f"the object store refused the upload with status {answer.status_code}; ask for a new place")

    async def _send(
        self,
        service: str,
        method: str,
        path: str,
        body: Any,
        key: str | None,
        file: tuple[bytes, str] | None = None,
    ) -> httpx.Response:
        url = self._urls.get(service)
        if url is None:
            raise Fault(f"where the service {service} answers is not known; start the stack with `parindex up`")
        headers = {} if method == "GET" else {"Idempotency-Key": key or str(uuid.uuid4())}
        try:
            if file is None:
                answer = await self._http.request(method, url + path, json=body, headers=headers)
            else:
                headers["Content-Type"] = file[1]
                answer = await self._http.request(method, url + path, content=file[0], headers=headers)
        except httpx.HTTPError as error:
            raise Fault(f"{service} cannot be reached ({type(error).__name__}); see `parindex status`") from None
        if answer.is_error:
            try:
                raise Refused(answer.json())
            except ValueError:
                raise Fault(f"{service} answered {answer.status_code} to {method} {path}") from None
        return answer


@cache
def _trust() -> ssl.SSLContext:
    """The certificates that are trusted, read once: it takes longer than many a request."""
    return httpx.create_ssl_context()


def key_of(*parts: str | bytes) -> str:
    """An idempotency key that the same request has again when a command is repeated."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
