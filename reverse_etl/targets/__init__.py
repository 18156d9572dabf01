"""The kinds of target there are: `[targets.<name>] kind` -> the adapter that speaks to it.

Adding one = its module here, its table in `fields.py`, its line below, an emulator in `demo/`, its
export models.
"""

from __future__ import annotations

from typing import Any

from reverse_etl.targets.files import Files
from reverse_etl.targets.google import Google
from reverse_etl.targets.microsoft import Microsoft

ADAPTERS: dict[str, Any] = {"google": Google, "microsoft": Microsoft, "files": Files}
