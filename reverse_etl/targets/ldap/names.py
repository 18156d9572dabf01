"""Names of entries (RFC 4514) and paths of units, each as the other.

`/Students/Oak` below `dc=sd74,dc=example` is `ou=Oak,ou=Students,dc=sd74,dc=example`; `/` is the
base itself. A part of a path that is no unit says what it is (`/cn=Users`); a slash inside a name
is written `\\/`.
"""

from __future__ import annotations

import re

import ldap.dn

UNIT = "ou"
_PART = re.compile(r"(?<!\\)/")
_TYPED = re.compile(r"([A-Za-z][A-Za-z0-9-]*)=(.+)", re.DOTALL)


def folded(dn: str) -> str:
    """A name as it is compared: letter case, spaces and ways of escaping make no difference."""
    parts = ldap.dn.str2dn(dn)
    return ldap.dn.dn2str([[(t.lower(), v.strip().lower(), 1) for t, v, _ in rdn] for rdn in parts])


def below(dn: str, base: str) -> bool:
    """Whether an entry is the base or stands below it."""
    found, root = folded(dn), folded(base)
    return found == root or found.endswith(f",{root}")


def own(dn: str) -> str:
    """The last name of an entry."""
    return ldap.dn.dn2str(ldap.dn.str2dn(dn)[:1])


def exact(name: str) -> str:
    """A last name as it is compared where letter case is meant: only the escaping is taken off."""
    return ldap.dn.dn2str([[(t.lower(), v, 1) for t, v, _ in rdn] for rdn in ldap.dn.str2dn(name)])


def rdn(attribute: str, value: str) -> str:
    """A last name."""
    return f"{attribute}={ldap.dn.escape_dn_chars(value)}"


def parent(dn: str) -> str:
    """What an entry stands in."""
    return ldap.dn.dn2str(ldap.dn.str2dn(dn)[1:])


def path(dn: str, base: str) -> str:
    """Where an entry stands, as a path."""
    own = ldap.dn.str2dn(dn)
    parts = own[: len(own) - len(ldap.dn.str2dn(base))]
    said = []
    for attribute, value, _ in (part[0] for part in reversed(parts)):
        name = value.replace("/", "\\/")
        said.append(name if attribute.lower() == UNIT else f"{attribute.lower()}={name}")
    return "/" + "/".join(said)


def dn(path_: str, base: str) -> str:
    """The name of the entry at a path."""
    found = base
    for escaped in filter(None, _PART.split(path_)):
        name = escaped.replace("\\/", "/")
        typed = _TYPED.fullmatch(name)
        attribute, value = typed.groups() if typed else (UNIT, name)
        found = f"{rdn(attribute, value)},{found}"
    return found
