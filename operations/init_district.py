"""Init: a district's own folder, ready to be a repository of its own.

In: the folder HOMEROOM_DISTRICT names, which holds nothing yet. Out: its settings (those the
product ships, to be edited), its dbt_project.yml, and what keeps secrets and state out of git.

Alone: `python -m operations init-district`.
"""

from __future__ import annotations

import shutil
import subprocess

from common import paths
from common.district import DistrictError

FILES = {
    ".gitignore": "var/\n.dlt/secrets.toml\n",
    "dbt_project.yml": """\
# What this district says to dbt, besides what Homeroom says: docs/districts.md
name: district

# vars:
#   withdraw_date_decides: true
""",
    "README.md": """# Our district's Homeroom
What we decide, beside a product we never edit. Homeroom's docs/districts.md tells how.

    .dlt/config.toml            where sources and targets are, and their limits
    seeds/<seed>.csv            a table of decisions, in place of the one Homeroom ships
    seeds/more/<seed>.csv       rows added to one Homeroom ships
    models/                     models of our own, or in place of Homeroom's
    macros/                     rules of our own, or in place of Homeroom's
    layouts/<layout>.toml       what our extracts look like
    tests/dbt/                  checks of our own
""",
}


def begin() -> str:
    """Write the folder; what to type next. Raises DistrictError where something stands there."""
    folder = paths.district()
    if folder is None:
        raise DistrictError(
            "say where: make init-district DISTRICT=../sd74 (HOMEROOM_DISTRICT in the environment)"
        )
    there = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    if others := [name for name in there if name not in (".git", "var")]:
        raise DistrictError(
            f"{folder} holds {', '.join(others[:3])} already; a district's folder begins empty"
        )
    (folder / ".dlt").mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copyfile(paths.root() / ".dlt" / "config.toml", folder / ".dlt" / "config.toml")
    for room in ("seeds/more", "models/exports", "macros", "layouts", "tests/dbt"):
        (folder / room).mkdir(parents=True)
        (folder / room / ".gitkeep").touch()
    git = shutil.which("git")
    if git and ".git" not in there:
        subprocess.run([git, "init", "--quiet", str(folder)], check=False)
    return (
        f"{folder} is begun: edit .dlt/config.toml there, put secrets into .dlt/secrets.toml, then"
        f" make check DISTRICT={folder}"
    )
