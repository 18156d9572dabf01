"""Init: a new project of somebody's own, beside the one that ships: one source, one model, one
target, one test, which converge against the built-in emulator; to be edited from there.

In: a folder. Out: its files, each written only where none stands: what somebody has edited is never
written over. What to type next.

Alone: `python -m operations init ../shop`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Template

from common import paths
from common.settings import SettingsError

PLAIN = Path(__file__).parent / "plain"  # $name and $house stand for what they say


class InitError(SettingsError):
    """No project can be begun there; the message says why."""


def begin(where: str) -> str:
    """Write what is not there yet; a sentence of what was, and what to type next. Raises
    InitError.
    """
    folder = Path(where).expanduser()
    folder = (folder if folder.is_absolute() else paths.root() / folder).resolve()
    name = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")
    if not where or not name or name[0].isdigit():
        raise InitError(
            "say where, in a folder whose name begins with a letter: make init TO=../shop"
        )
    if folder == paths.root() or (paths.root() in folder.parents and folder.is_dir()):
        raise InitError(f"{folder} is a part of Homeroom itself; take a folder beside it")
    house = os.path.relpath(paths.root(), folder)
    written, kept = [], []
    for one in sorted(path for path in PLAIN.rglob("*") if path.is_file()):
        file = str(one.relative_to(PLAIN)).replace("gitignore", ".gitignore")
        path, text = folder / file, one.read_text(encoding="utf-8")
        if path.exists():
            kept.append(file)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).safe_substitute(name=name, house=house), encoding="utf-8")
        written.append(file)
    left = f"; {len(kept)} that stand there were left as they are" if kept else ""
    return f"{folder}: {len(written)} files written{left}\nnext: make -C {folder} try"
