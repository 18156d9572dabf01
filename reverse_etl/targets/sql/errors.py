"""What an error of a database means for a change: by SQLSTATE or the driver's number, never by its
text, which quotes rows and speaks the server's language.

In: an exception of SQLAlchemy, and whether the commit was under way. Out: a `TroubleError`: what
became of the change, and what a person may do. Sources: PostgreSQL's appendix of error codes;
MariaDB's and MySQL's numbers, measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reverse_etl.model import Change, Outcome, key_text

# SQLSTATE, its class, or a number of MariaDB and MySQL -> (status, reason)
CODES: dict[str, tuple[str, str]] = {
    "23505": ("failed", "duplicate"),
    "1062": ("failed", "duplicate"),
    "SQLITE_CONSTRAINT_UNIQUE": ("failed", "duplicate"),
    "SQLITE_CONSTRAINT_PRIMARYKEY": ("failed", "duplicate"),
    "23": ("failed", "invalid"),  # not null, check, foreign key
    "22": ("failed", "invalid"),  # a value the type does not take
    "42501": ("failed", "forbidden"),
    "1142": ("failed", "forbidden"),
    "1143": ("failed", "forbidden"),
    "28": ("failed", "unauthorized"),
    "1045": ("failed", "unauthorized"),
    "42": ("failed", "not_configured"),  # no such table or column
    "1146": ("failed", "not_configured"),
    "1054": ("failed", "not_configured"),
    "3D": ("failed", "not_configured"),  # no such database
    "40": ("retry", "conflict"),  # serialization, deadlock
    "1213": ("retry", "conflict"),
    "55": ("retry", "locked"),
    "1205": ("retry", "locked"),
    "SQLITE_BUSY": ("retry", "locked"),
    "53": ("retry", "throttled"),  # too many connections, no room
    "57014": ("retry", "too_slow"),  # our own statement_timeout
    "57": ("retry", "server_error"),  # the server goes down or comes up
    "58": ("retry", "server_error"),
    "08": ("retry", "no_reply"),
}
OF_A_ROW = frozenset({"duplicate", "invalid", "forbidden"})
ADVICE = {
    "unauthorized": "check the credentials in its url in .dlt/secrets.toml",
    "forbidden": "grant the user select, insert, update and delete on the table",
    "not_configured": "check table, schema and the columns' field: against the database",
}


@dataclass
class TroubleError(Exception):
    """Why statements came to nothing, or nobody knows to what."""

    status: str
    reason: str
    code: str

    def __str__(self) -> str:
        return f"{self.reason}{f', {self.code}' if self.code else ''}"

    @property
    def of_a_row(self) -> bool:
        """Whether one row was refused, and the others would have been taken."""
        return self.status == "failed" and self.reason in OF_A_ROW

    @property
    def advice(self) -> str:
        return ADVICE.get(
            self.reason, "check the address in its url and the network, then run again"
        )

    def outcome(self, change: Change, creating: bool) -> Outcome:
        """What it means for one change; what may be repeated needs no look-up."""
        status = "retry" if self.status == "unknown" and not creating else self.status
        note = f"the database says {self.code}" if self.code else ""
        if self.reason == "duplicate":
            note = (
                f"a value meant for {key_text(change.key)} is another row's, which is not ours or"
                " has another key; nothing was changed"
            )
        return Outcome(change.change_id, status, reason=self.reason, note=note)


def trouble_of(error: sa.exc.SQLAlchemyError, *, committing: bool) -> TroubleError:
    """The trouble an exception stands for. A commit that was not answered may have been kept."""
    code = _code(error)
    found = CODES.get(code) or CODES.get(code[:2])
    if committing and (found is None or found[1] in {"no_reply", "server_error"}):
        return TroubleError("unknown", "no_reply", code)
    if found is not None:
        return TroubleError(*found, code)
    if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError):
        return TroubleError("failed", "invalid", code)
    if _is_stranger(error):
        return TroubleError("failed", "unauthorized", "28")
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        return TroubleError("retry", "unreachable", code)
    if isinstance(error, sa.exc.StatementError) and not isinstance(error, sa.exc.DBAPIError):
        return TroubleError("failed", "invalid", code)  # a value no driver could bind
    return TroubleError("failed", "not_configured", code)


def _is_stranger(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the server let nobody in. psycopg2 gives such an error no code: only its words say
    so.
    """
    said = str(getattr(error, "orig", ""))
    return "FATAL" in said and any(
        word in said for word in ("authentication", "role", "password", "pg_hba")
    )


def _code(error: sa.exc.SQLAlchemyError) -> str:
    original: Any = getattr(error, "orig", None)
    for name in ("pgcode", "sqlstate", "sqlite_errorname"):
        if code := getattr(original, name, None):
            return str(code)
    first = next(iter(getattr(original, "args", ())), None)
    return str(first) if isinstance(first, int) else ""
