"""A folder of this machine, or a mounted share, that takes files.

In: its path. Out: what a server's folder offers: list, look, put. Refused: a folder that is not
there.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from common import files, sftp


class Folder:
    """A folder of this machine, spoken to as one elsewhere. It has to be there already: what is not
    mounted is not made.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise sftp.SftpError(f"{path} is no folder that is there now: is the share mounted?")
        self._path = path

    def list(self) -> list[sftp.Entry]:
        """Its regular files by name, but those half written."""
        return [
            sftp.Entry(
                one.name, one.stat().st_size, datetime.fromtimestamp(one.stat().st_mtime, UTC)
            )
            for one in sorted(self._path.iterdir())
            if one.is_file() and not one.name.endswith(".part")
        ]

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether exactly these bytes are there under this name."""
        path = self._path / name
        return path.is_file() and (path.stat().st_size, files.sha256(path)) == (size, sha256)

    def put(self, path: Path, name: str) -> sftp.Receipt:
        """Written beside, then renamed: who reads sees the old file or the new."""
        try:
            with files.replacing(self._path / name, alone=True) as out, path.open("rb") as local:
                shutil.copyfileobj(local, out)
        except OSError as error:
            raise sftp.SftpError(
                f"{self._path}: {name} was not delivered ({type(error).__name__}); see whether the"
                " share is mounted, has room and lets this user write, then run again"
            ) from None
        return sftp.Receipt(name, path.stat().st_size, files.sha256(self._path / name))
