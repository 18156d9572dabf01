"""The wire: one connection a thread to a directory, by python-ldap (an extra of the installation:
`make .venv/ldap`).

In: requests in plain words (names, attributes, values). Out: entries, page by page to the proved
end, and for what goes wrong a `TroubleError`. No list is read unpaged (RFC 2696): a server cuts
it at 500 or 1,000 entries, and of a group's members at 1,500 (Active Directory's ranged
attributes, MS-ADTS 3.1.1.3.1.3.3); both are read on.

Refuses: a certificate nobody vouches for, referrals to other servers.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ldap
import ldap.filter
from ldap.controls import SimplePagedResultsControl

from reverse_etl.targets.ldap import names
from reverse_etl.targets.ldap.errors import EXPIRED, OUT_OF_DATE, TroubleError, trouble_of
from reverse_etl.targets.ldap.settings import Settings

__all__ = ["Directory", "Entry", "names"]
_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d+)-(?P<last>\d+|\*)", re.IGNORECASE)
_CUT = (ldap.SIZELIMIT_EXCEEDED, ldap.ADMINLIMIT_EXCEEDED)


@dataclass(frozen=True)
class Entry:
    """One entry: its name, and its attributes by their names in lower case."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def of(self, attribute: str) -> Sequence[bytes]:
        return self.attributes.get(attribute.lower(), ())


class Directory:
    """The connections to one directory."""

    def __init__(self, name: str, said: Settings) -> None:
        self._name, self._said = name, said
        self._here = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            open_, self._all = self._all, []
        for one in open_:
            _hang_up(one)
        self._here = threading.local()

    # ------------------------------------------------------------ reading

    def search(
        self, where: str, condition: str, attributes: Sequence[str], *, only: bool = False
    ) -> Iterator[list[Entry]]:
        """The entries below one that fulfil a condition, page by page; `only` the one itself."""
        scope = ldap.SCOPE_BASE if only else ldap.SCOPE_SUBTREE
        cookie: Any = ""
        while True:
            paging = SimplePagedResultsControl(not only, size=self._said.page, cookie=cookie)
            try:
                page, answered = self._page(where, scope, condition, attributes, paging)
            except TroubleError as trouble:
                if cookie and trouble.code in EXPIRED:
                    raise TroubleError("retry", OUT_OF_DATE, trouble.code) from None
                raise
            yield [self._whole(entry) for entry in page]
            told = [c for c in answered if c.controlType == SimplePagedResultsControl.controlType]
            cookie = told[0].cookie if told else ""
            if not cookie:
                return

    def _page(
        self, where: str, scope: int, condition: str, attributes: Sequence[str], paging: Any
    ) -> tuple[list[Entry], list[Any]]:
        connection = self._connected()
        try:
            asked = connection.search_ext(
                where, scope, condition, list(attributes), serverctrls=[paging]
            )
            _, found, _, answered = connection.result3(asked, timeout=self._said.timeout)
        except ldap.NO_SUCH_OBJECT:
            if scope == ldap.SCOPE_BASE:
                return [], []
            raise TroubleError("failed", "not_found", 32, "its base is not there") from None
        except _CUT as error:
            code = error.args[0]["result"]
            detail = "the server cuts its lists; let the user read paged without a limit, or lower"
            raise TroubleError("failed", "not_configured", code, f"{detail} page") from None
        except ldap.LDAPError as error:
            raise self._trouble(error) from None
        return [entry for each in found if (entry := _entry(*each[:2]))], answered

    def _whole(self, entry: Entry) -> Entry:
        """An entry with the values an Active Directory keeps back for the next request."""
        attributes = dict(entry.attributes)
        for name in [one for one in attributes if ";range=" in one]:
            values, found = [*attributes.pop(name)], _RANGE.fullmatch(name)
            if found is None:
                raise TroubleError("failed", "invalid", None, "a list of members has no end")
            if found["last"] != "*":
                asked = f"{found['name']};range={int(found['last']) + 1}-*"
                for page in self.search(entry.dn, "(objectClass=*)", [asked], only=True):
                    values += [value for one in page for value in one.of(found["name"])]
            attributes[found["name"]] = values
        return Entry(entry.dn, attributes)

    # ------------------------------------------------------------ writing

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> None:
        made = [(name, list(values)) for name, values in attributes.items() if values]
        self._write(lambda c: c.add_ext(dn, made), creating=True)

    def replace(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> None:
        """Set attributes; one without values is taken away."""
        changes = [(ldap.MOD_REPLACE, name, list(v) or None) for name, v in attributes.items()]
        self._write(lambda c: c.modify_ext(dn, changes))

    def values(self, dn: str, attribute: str, given: Sequence[bytes], *, taken: bool) -> None:
        """Add values to an attribute, or take them from it."""
        kind = ldap.MOD_DELETE if taken else ldap.MOD_ADD
        self._write(lambda c: c.modify_ext(dn, [(kind, attribute, list(given))]))

    def move(self, dn: str, rdn: str, where: str | None) -> None:
        """Give an entry another last name, and put it elsewhere."""
        self._write(lambda c: c.rename(dn, rdn, where, delold=1))

    def delete(self, dn: str) -> None:
        self._write(lambda c: c.delete_ext(dn))

    def _write(self, ask: Any, *, creating: bool = False) -> None:
        connection = self._connected()
        try:
            connection.result3(ask(connection), timeout=self._said.timeout)
        except ldap.LDAPError as error:
            raise self._trouble(error, creating=creating) from None

    # ------------------------------------------------------------ the connection

    def _connected(self) -> Any:
        """The connection of this thread, signed in. Raises TroubleError."""
        there = getattr(self._here, "connection", None)
        if there is not None:
            return there
        connection = ldap.initialize(self._said.url, bytes_strictness="error")
        connection.protocol_version = ldap.VERSION3
        wait = self._said.timeout
        options = {ldap.OPT_REFERRALS: 0, ldap.OPT_NETWORK_TIMEOUT: wait, ldap.OPT_TIMEOUT: wait}
        options[ldap.OPT_X_TLS_REQUIRE_CERT] = ldap.OPT_X_TLS_DEMAND
        if self._said.ca_file:
            options[ldap.OPT_X_TLS_CACERTFILE] = self._said.ca_file
        try:
            for option, value in options.items():
                connection.set_option(option, value)
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        except (ldap.LDAPError, ValueError):
            detail = "ca_file cannot be read as a certificate authority"
            raise TroubleError("failed", "not_configured", None, detail) from None
        try:
            if self._said.start_tls:
                connection.start_tls_s()
            connection.simple_bind_s(self._said.user, self._said.password)
        except ldap.LDAPError as error:
            _hang_up(connection)
            trouble = trouble_of(error)
            if trouble.reason == "no_reply":
                raise self._not_vouched_for() or TroubleError("retry", "unreachable") from None
            raise trouble from None
        self._here.connection = connection
        with self._lock:
            self._all.append(connection)
        return connection

    def _not_vouched_for(self) -> TroubleError | None:
        """Whether it is the certificate: the library does not say, so it is looked at once more."""
        address = urlsplit(self._said.url)
        if address.scheme != "ldaps":
            return None
        try:
            context = ssl.create_default_context(cafile=self._said.ca_file or None)
            where, wait = (address.hostname, address.port or 636), self._said.timeout
            with socket.create_connection(where, wait) as plain:
                context.wrap_socket(plain, server_hostname=address.hostname).close()
        except ssl.SSLCertVerificationError as error:
            detail = f"its certificate is not believed ({error.verify_message}); set ca_file"
            return TroubleError("failed", "not_configured", None, detail)
        except OSError:
            return None
        return None

    def _trouble(self, error: ldap.LDAPError, *, creating: bool = False) -> TroubleError:
        """The trouble of a request; a connection nothing came back on is not used again."""
        trouble = trouble_of(error, creating=creating)
        if trouble.code is None:
            broken, self._here.connection = self._here.connection, None
            with self._lock:
                self._all = [one for one in self._all if one is not broken]
            _hang_up(broken)
        return trouble


def _entry(dn: str | None, found: Any) -> Entry | None:
    """What a search gave; a referral to another server has no name."""
    if dn is None or not isinstance(found, Mapping):
        return None
    return Entry(dn, {name.lower(): list(values) for name, values in found.items()})


def escaped(value: str) -> str:
    """A value as it stands in a condition (RFC 4515)."""
    return str(ldap.filter.escape_filter_chars(value))


def _hang_up(connection: Any) -> None:
    try:
        connection.unbind_ext()
    except ldap.LDAPError:
        return  # it is gone: that is what was wanted
