"""The wire to a REST source: who we are, how often we ask again, and whom we never ask.

In: `[sources.<name>]` with `base_url` and `auth` (bearer, api_key or oauth2_client_credentials).
Out: a session for dlt's REST client. A busy or failing server (429, 5xx, a dropped connection) is
asked again, after the time its Retry-After names. A token that runs out in the middle is renewed
and the page asked again. Only the source's own host is asked, whatever its links and redirects say:
another would be given our token.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from common.addresses import at_home, in_the_clear
from ingestion.configured import ApiKeyAuth, ApiSource, BearerAuth, Limits
from ingestion.model import SourceUnreachableError
from ingestion.rest_pages import PageError

BLOCK = 1 << 16
LONGEST_WAIT = 120.0  # a server that wants us back tomorrow is not there tonight
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


NEEDED = {  # without which nobody signs in
    "bearer": ("token",),
    "api_key": ("api_key",),
    "oauth2_client_credentials": ("access_token_url", "client_id", "client_secret"),
}


class Bounded(HTTPAdapter):
    """Takes an answer block by block, and none that is larger than `limits` allow, whatever it
    says of its length and however it is packed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        super().__init__()

    def send(self, request: Any, stream: bool = False, *more: Any, **how: Any) -> Any:
        """As HTTPAdapter. Raises PageError."""
        answer = super().send(request, True, *more, **how)
        most, content = self._limits.answer_megabytes * 1_000_000, bytearray()
        said = answer.headers.get("Content-Length", "")
        if said.isdigit() and int(said) > most:
            self._too_large(answer, int(said))
        if not stream:
            for block in answer.iter_content(BLOCK):
                content += block
                if len(content) > most:
                    self._too_large(answer, len(content))
            answer._content = bytes(content)
        return answer

    def _too_large(self, answer: Any, size: int) -> None:
        answer.close()
        raise PageError(
            f"an answer has {size / 1e6:,.0f} MB or more, limit {self._limits.answer_megabytes:,}"
            " MB: ask for smaller pages in paginator, or raise answer_megabytes under limits of"
            " the source"
        )


def opened(source: str, settings: ApiSource, limits: Limits) -> Any:
    """A session that signs every request. Raises SourceUnreachableError when a setting
    is missing.
    """
    base = settings.base_url
    if urlsplit(base).scheme not in {"http", "https"} or not urlsplit(base).netloc:
        raise SourceUnreachableError(
            f"setting sources.{source}.base_url must be the address of the API, such as"
            " https://api.example/v1/"
        )
    _sealed(source, settings)
    session = _session(base, settings, limits)
    session.auth = _auth(source, settings, limits)
    session.trust_env = False if session.auth is None else session.trust_env
    return session


def _sealed(source: str, settings: ApiSource) -> None:
    """Refuse to send a token, or ask for one, in the clear."""
    given, found = settings.auth, ""
    if given is not None:
        found = in_the_clear(f"sources.{source}.base_url", settings.base_url)
    if given is not None and not found:
        token = getattr(given, "access_token_url", "")
        found = in_the_clear(f"sources.{source}.auth.access_token_url", token)
    if found:
        raise SourceUnreachableError(found)


def is_unreachable(error: BaseException) -> bool:
    """Whether nobody answered at all."""
    return isinstance(error, BROKEN)


def status(error: BaseException) -> int:
    """The status it was answered with, 0 where nothing was."""
    answer = error.response if isinstance(error, requests.HTTPError) else None
    return 0 if answer is None else answer.status_code


def told(error: BaseException, attempts: int) -> str:
    """What went wrong on the wire, in words without addresses and tokens."""
    if code := status(error):
        if code in {401, 403}:
            return (
                f"it does not let us in (status {code}): check the credentials under auth, and"
                " what they may read"
            )
        return f"it answered with status {code}" + (
            f", {attempts} times" if code == 429 or code >= 500 else ""
        )
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "its next page is on another host; it was not asked for, it would be given our token"
    if isinstance(error, BROKEN):
        return "the connection broke off or no answer came"
    return f"it could not be understood ({type(error).__name__})"


def _session(address: str, settings: ApiSource, limits: Limits) -> Any:
    from dlt.sources.helpers.requests.retry import Client

    parts = urlsplit(address)
    client = Client(
        request_timeout=settings.timeout,
        raise_for_status=False,
        request_max_attempts=settings.attempts,
        request_max_retry_delay=LONGEST_WAIT,
        request_backoff_factor=settings.wait_seconds,
    )
    session = client.session
    session.headers["User-Agent"] = "Homeroom"
    session.adapters.clear()
    session.mount(f"{parts.scheme}://{parts.netloc}/", Bounded(limits))
    return at_home(session)


def _auth(source: str, settings: ApiSource, limits: Limits) -> Any:
    from dlt.sources.helpers.rest_client import auth

    given = settings.auth
    if given is None:
        return None
    if missing := [name for name in NEEDED[given.type] if not getattr(given, name)]:
        raise SourceUnreachableError(
            f"{', '.join(missing)} not set: put it under [sources.{source}.auth] in"
            " .dlt/secrets.toml"
        )
    if isinstance(given, BearerAuth):
        return auth.BearerTokenAuth(token=given.token)
    if isinstance(given, ApiKeyAuth):
        return auth.APIKeyAuth(name=given.name, api_key=given.api_key, location=given.location)
    return _renewing()(
        access_token_url=given.access_token_url,
        client_id=given.client_id,
        client_secret=given.client_secret,
        access_token_request_data=given.access_token_request_data or None,
        session=_session(given.access_token_url, settings, limits),
    )


def _renewing() -> Any:
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials

    class Renewing(OAuth2ClientCredentials):
        """Client credentials whose token may run out before its time: a 401 takes a new one, once
        per page.
        """

        def __call__(self, request: Any) -> Any:
            super().__call__(request)
            request.register_hook("response", self._again)
            return request

        def _again(self, response: Any, **how: Any) -> Any:
            if response.status_code != 401:
                return response
            _ = response.content  # gives the connection back
            used = response.request.headers.get("Authorization")
            if used == f"Bearer {self.access_token}":
                self.obtain_token()
            response.request.headers["Authorization"] = f"Bearer {self.access_token}"
            return response.connection.send(response.request, **how)

    return Renewing
