"""An address that takes files by HTTPS.

In: how it is signed in to (as an API is), and where files go. Out: `Web`, which puts as a folder
does. A PUT may be repeated: the same bytes under the same name. A POST may not: where its answer is
lost it is not sent again this night, since the other side may have it.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from common import files
from common.sftp import Entry, Receipt, SftpError
from reverse_etl.targets.replies import Call, advised, general
from reverse_etl.targets.rest.client import Client, Upload


class NotAgainError(SftpError):
    """A delivery that was refused, or may have been taken: trying again would not help, or harm."""


class Web:
    """One address."""

    def __init__(self, client: Client, address: str, method: str, form_field: str) -> None:
        self._client, self._address = client, address
        self._method, self._form_field = method, form_field

    def list(self) -> list[Entry]:
        """Nothing is shown there."""
        return []

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Nobody can tell."""
        del name, size, sha256
        return False

    def put(self, path: Path, name: str) -> Receipt:
        """Send it once, whole."""
        repeatable = self._method == "PUT"
        sha256 = files.sha256(path)
        answer = self._client.ask(
            self._method,
            self._address.replace("{name}", quote(name)),
            body=Upload(path, name, self._form_field),
            headers={"Idempotency-Key": sha256},
        )
        verdict = self._client.verdict(Call(repeatable=repeatable), answer)
        if verdict.status == "applied":
            return Receipt(name, path.stat().st_size, sha256)
        code = f"it answers {answer.code}" if answer.code else verdict.reason.replace("_", " ")
        why = advised(answer.refusal or general(verdict.reason))
        said = f"{self._client.address}: {name} was not delivered: {code}; {why}"
        if verdict.status == "retry":
            raise SftpError(said)
        if verdict.status == "unknown":
            said = (
                f"{self._client.address}: whether {name} was taken is not known ({code}) and it is"
                " not sent again tonight; ask the other side, the next night sends anew"
            )
        raise NotAgainError(said)
