"""Somebody who takes files by mail: each as an attachment only they can open.

In: the mail server, the address, the age public key of who opens it (age-encryption.org/v1). Out:
`Mail`, which puts as a folder does. What a mailbox holds cannot be seen, and a mail whose answer
was lost may have gone: it is not sent again this night. Neither subject nor text names anybody.
"""

from __future__ import annotations

import hashlib
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pyrage

from common import files, mail
from common.sftp import Entry, Receipt, SftpError
from reverse_etl.targets.files.https import NotAgainError


class Mail:
    """One address."""

    def __init__(self, name: str, smtp: mail.Smtp, to: str, recipient: str) -> None:
        self._name, self._smtp, self._to = name, smtp, to
        try:
            self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError:
            raise NotAgainError(
                f'target {name}: recipient is not an age public key ("age1…", as "age-keygen"'
                " prints it); nothing was sent"
            ) from None

    def list(self) -> list[Entry]:
        """Nothing is shown there."""
        return []

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Nobody can tell."""
        del name, size, sha256
        return False

    def signed_in(self) -> None:
        """Whether the server lets us in. Raises SftpError, NotAgainError."""
        with self._office() as server:
            server.noop()

    def put(self, path: Path, name: str) -> Receipt:
        """Seal it and send it once."""
        sha256 = files.sha256(path)
        note = EmailMessage()
        note["From"], note["To"], note["Subject"] = self._smtp.sender, self._to, name
        domain = self._smtp.sender.rpartition("@")[2]
        stamp = hashlib.sha256(f"{self._name}|{name}|{sha256}".encode()).hexdigest()[:32]
        note["Message-ID"] = f"<{stamp}@{domain}>"
        note["Auto-Submitted"] = "auto-generated"  # RFC 3834
        note.set_content(f"{name} is attached, sealed with age: open it with your private key.\n")
        sealed = pyrage.encrypt(path.read_bytes(), [self._recipient])
        note.add_attachment(
            sealed, maintype="application", subtype="octet-stream", filename=f"{name}.age"
        )
        with self._office() as server:
            try:
                server.send_message(note)
            except smtplib.SMTPRecipientsRefused as refused:
                codes = [code for code, _ in refused.recipients.values()]
                raise self._refused(name, max(codes, default=0)) from None
            except smtplib.SMTPResponseException as refused:
                raise self._refused(name, refused.smtp_code) from None
            except (smtplib.SMTPException, OSError):
                raise NotAgainError(
                    f"{self._name}: whether {name} was sent is not known (no answer came) and it is"
                    " not sent again tonight; ask the other side, the next night sends anew"
                ) from None
        return Receipt(name, path.stat().st_size, sha256)

    def _refused(self, name: str, code: int) -> SftpError:
        said = f"{self._name}: {name} was not sent: the mail server answers {code}"
        if 400 <= code < 500:
            return SftpError(f"{said}; the next night tries again")
        return NotAgainError(f"{said}; check to and from under [targets.{self._name}] and the size")

    def _office(self) -> _Office:
        return _Office(self._name, self._smtp)


class _Office:
    """The mail server; what keeps us from it is said without its words."""

    def __init__(self, name: str, smtp: mail.Smtp) -> None:
        self._name = name
        self._open = mail.post_office(smtp, f"targets.{name}.smtp")

    def __enter__(self) -> smtplib.SMTP:
        try:
            return self._open.__enter__()
        except mail.ClearTextError as error:
            raise NotAgainError(str(error)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise SftpError(
                f"{self._name}: the mail server does not let us in ({type(error).__name__}); check"
                f" [targets.{self._name}.smtp]"
            ) from None

    def __exit__(self, *given: object) -> None:
        self._open.__exit__(*given)  # type: ignore[arg-type]
