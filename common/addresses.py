"""Which addresses may be spoken to, and where an answer may send us.

Nothing that carries our sign-in or names people goes over a wire in the clear, but to this machine.
No client follows a redirect to another host, which would be given our token, nor repeats a write
with its body; `at_home` sees to it for one session of requests, `all_at_home` for whatever code of
others (a dlt source) runs inside it.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

READS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine; an empty one is a socket of it."""
    if not host or host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_sealed(address: str) -> bool:
    """https anywhere, http on this machine."""
    parts = urlsplit(address)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    )


def in_the_clear(setting: str, address: str) -> str:
    """The sentence for an address that is not; '' for one that is, or none."""
    if not address or is_sealed(address):
        return ""
    return (
        f"{setting} must be https://…, or http:// to this machine: what is sent there carries our"
        " sign-in or names people"
    )


SSL_MODES = frozenset({"require", "verify-ca", "verify-full"})


def postgres_in_the_clear(host: str | None, said: Mapping[str, Any]) -> str:
    """The sentence for a PostgreSQL that may be spoken to in the clear; '' where it may not, or is
    on this machine. `prefer`, libpq's own default, takes no for an answer.
    """
    hosts = [host, *str(said.get("host") or "").split(",")] if said.get("host") else [host]
    mode = str(said.get("sslmode") or os.environ.get("PGSSLMODE") or "")
    if mode in SSL_MODES or said.get("ssl_context") or all(map(is_loopback, hosts)):
        return ""
    return (
        "a PostgreSQL on another machine is spoken to with sslmode=require, verify-ca or"
        f" verify-full{f', not {mode}' if mode in {'allow', 'prefer', 'disable'} else ''}; write"
        " …/database?sslmode=verify-full&sslrootcert=… (or sslmode=require)"
    )


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: whose an address is."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def may_follow(method: str, asked: str, where: str) -> bool:
    """Whether a redirect may be followed: a read, on the host that was asked."""
    return method.upper() in READS and origin(urljoin(asked, where)) == origin(asked)


def at_home(session: Any) -> Any:
    """A session of requests that follows no redirect away from its host, and none of a write; it is
    given the redirect as the answer instead.
    """
    plain = session.get_redirect_target

    def target(answer: Any) -> str | None:
        where: str | None = plain(answer)
        asked = answer.request
        stays = where and may_follow(asked.method or "", asked.url or "", where)
        return where if stays else None

    session.get_redirect_target = target
    return session


@contextmanager
def all_at_home() -> Iterator[None]:
    """The same for every session of requests and for urllib, while others' code runs."""
    import requests

    mixin, handler = requests.sessions.SessionRedirectMixin, urllib.request.HTTPRedirectHandler
    plain, redirected = mixin.get_redirect_target, handler.redirect_request

    def target(self: Any, answer: Any) -> str | None:
        where: str | None = plain(self, answer)
        asked = answer.request
        stays = where and may_follow(asked.method or "", asked.url or "", where)
        return where if stays else None

    def request(self: Any, asked: Any, *given: Any) -> Any:
        stays = may_follow(asked.get_method(), asked.full_url, given[-1])
        return redirected(self, asked, *given) if stays else None

    mixin.get_redirect_target = target  # type: ignore[method-assign]
    handler.redirect_request = request  # type: ignore[method-assign]
    try:
        yield
    finally:
        mixin.get_redirect_target = plain  # type: ignore[method-assign]
        handler.redirect_request = redirected  # type: ignore[method-assign]
