"""A district's own folder: what it decides, beside a product it never edits.

In: the folder HOMEROOM_DISTRICT names (settings, seeds, layouts, models, macros, tests) and the
product's own. Out, in `var/district`: `dbt`, a dbt project in which the district is the root and
the product a package, with `+enabled: false` for what the district has of the same name; `whole`,
models, seeds, macros and tests as they are in force, for whoever reads them without dbt. Both are
links to the files where people edit them, and are written again only where something differs.

A seed of the district takes the place of the product's; rows of `seeds/more/<seed>.csv` are added
behind those the product ships, and go on with whatever it ships next. docs/decisions/0035 tells
why it is made this way.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from common import paths
from common.settings import SettingsError

PACKAGE = "homeroom"
MACRO = re.compile(r"\{%-?\s*(?:macro|test)\s+(\w+)|\{%-?\s*materialization\s+(\w+)")
GENERIC = Path("tests/dbt/generic")
ROOMS = ("models", "seeds", "macros", "tests/dbt")
MORE = Path("seeds/more")
PACKAGED = ("models", "seeds", "common", "tests/dbt")  # what the package is made of
# kind -> (folder, ending): what a district may have under a name
KINDS = {
    "model": ("models", ".sql"),
    "seed": ("seeds", ".csv"),
    "macro": ("macros", ".sql"),
    "test": ("tests/dbt", ".sql"),
    "layout": ("layouts", ".toml"),
}


class DistrictError(SettingsError):
    """A district's folder that cannot be followed; the message says what stands where."""


@dataclass(frozen=True)
class Choice:
    """One thing a district has under a name: whether it stands in the product's place, or adds."""

    kind: str
    name: str
    file: str
    """Where it stands in the district's folder."""
    instead: bool
    """The product has one of this name."""

    @property
    def words(self) -> str:
        """`model exp_transport__riders`."""
        return f"{self.kind} {self.name}"


def choices(folder: Path | None = None, product: Path | None = None) -> tuple[Choice, ...]:
    """What the folder holds beside the product, by kind and name; none without a folder. Rows it
    adds to a seed are a choice of kind `rows`.
    """
    folder, product = folder or paths.district(), product or paths.root()
    if folder is None:
        return ()
    found = []
    for kind in KINDS:
        theirs = named(product, kind)
        found += [
            Choice(kind, name, str(file.relative_to(folder)), name in theirs)
            for name, file in named(folder, kind).items()
        ]
    for file in sorted((folder / MORE).glob("*.csv")):
        found.append(Choice("rows", file.stem, str(file.relative_to(folder)), instead=False))
    return tuple(found)


def named(folder: Path, kind: str) -> dict[str, Path]:
    """Name -> file of everything of a kind in a folder, the product's or a district's. Raises
    DistrictError for a name that stands twice.
    """
    room, ending = KINDS[kind]
    if kind == "layout" and (folder / "ingestion").is_dir():
        room = "ingestion/layouts"
    found: dict[str, Path] = {}
    for file in sorted((folder / room).rglob(f"*{ending}")):
        if kind == "seed" and file.parent != folder / room:
            continue
        names = _defined(file) if kind == "macro" else [file.stem]
        for name in names:
            if name in found and kind != "macro":
                raise DistrictError(
                    f"{kind} {name} stands twice in {folder}:"
                    f" {found[name].relative_to(folder)} and {file.relative_to(folder)}; keep one"
                )
            found[name] = file
    return found


def _defined(file: Path) -> list[str]:
    """The macros a file defines."""
    found = MACRO.findall(file.read_text(encoding="utf-8"))
    return [macro or f"materialization {made}" for macro, made in found]


def sentences() -> list[str]:
    """What a plan says of it: what stands in the product's place, and what is added."""
    found, folder = choices(), paths.district()
    instead = [one.words for one in found if one.instead]
    added = [one.words for one in found if not one.instead and one.kind != "rows"]
    rows = [one.name for one in found if one.kind == "rows"]
    said = [
        (instead, "in place of Homeroom's: {}"),
        (added, "beside Homeroom's: {}"),
        (rows, "rows added to seeds of Homeroom: {}"),
    ]
    return [
        f"{folder.name} has its own, {words.format(', '.join(names))}"
        for names, words in said
        if names and folder
    ]


def seed_file(name: str, line: int) -> tuple[str, int]:
    """Where a line of a seed as dbt reads it is typed: the file, and its line there."""
    folder = paths.district()
    more = folder / MORE / f"{name}.csv" if folder else None
    if folder and more and more.is_file():
        first = (folder if (folder / "seeds" / f"{name}.csv").is_file() else paths.root()) / "seeds"
        shipped = len((first / f"{name}.csv").read_text(encoding="utf-8-sig").splitlines())
        if line > shipped:
            return f"{MORE}/{name}.csv", line - shipped + 1
    return f"seeds/{name}.csv", line


# ---------------------------------------------------------------- what is in force


def whole() -> Path:
    """The folder of models, seeds, macros and tests as they are in force."""
    return _composed(paths.district(), paths.root(), paths.var()) / "whole"


def project() -> Path:
    """The dbt project to give to dbt."""
    return _composed(paths.district(), paths.root(), paths.var()) / "dbt"


@cache
def _composed(folder: Path | None, product: Path, var: Path) -> Path:
    """Once for each process; who only reads takes what the last night left."""
    there = var / "district"
    if folder is not None and os.access(var, os.W_OK):
        compose(folder, product, there)
    return there


def compose(folder: Path, product: Path, there: Path) -> None:
    """Write both trees of `there` as the two folders have it now. Raises DistrictError."""
    if not folder.is_dir():
        raise DistrictError(
            f"there is no folder {folder} (DISTRICT): make init-district DISTRICT={folder}"
        )
    in_force = _whole(folder, product)
    _write(there / "whole", in_force)
    _write(there / "dbt", _dbt(folder, product, in_force))


def _files(folder: Path, room: str) -> Iterator[tuple[str, Path]]:
    for file in sorted((folder / room).rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            yield str(file.relative_to(folder)), file


def _whole(folder: Path, product: Path) -> dict[str, Path | str]:
    taken = {(one.kind, one.name) for one in choices(folder, product) if one.instead}
    own, described = [one for room in ROOMS for one in _files(folder, room)], _described(folder)
    found: dict[str, Path | str] = {}
    for room in ROOMS:
        kind = next(kind for kind, (where, _) in KINDS.items() if where == room)
        for name, file in _files(product, room):
            if file.suffix in (".yml", ".yaml"):
                found[name] = _less(file, described)
            elif kind == "macro":
                gone = {one for one in _defined(file) if (kind, one) in taken}
                if gone and gone != set(_defined(file)):
                    raise DistrictError(
                        f"{', '.join(sorted(gone))} of {folder.name} stands in the place of one"
                        f" macro of {name}, which has {', '.join(_defined(file))}: take all of them"
                    )
                if not gone:
                    found[name] = file
            elif (kind, file.stem) not in taken:
                found[name] = file
    for name, file in own:
        if Path(name).parent == MORE:
            continue
        if name in found:  # two files of YAML of one name, about different things
            found[_beside(name)] = found[name]
        found[name] = file
    for file in sorted((folder / MORE).glob("*.csv")):
        found[f"seeds/{file.name}"] = _more(file, found.get(f"seeds/{file.name}"))
    return found


def _dbt(folder: Path, product: Path, in_force: Mapping[str, Path | str]) -> dict[str, Path | str]:
    """The root project: what the district has, all macros and kinds of tests (a macro of the root
    serves both, one of a package only its own nodes), and the package beside it.
    """
    found: dict[str, Path | str] = {}
    for name, file in in_force.items():
        ours = isinstance(file, Path) and folder in file.parents
        if ours or name.startswith("macros/") or Path(name).parent == GENERIC:
            found[name] = file
    for file in sorted((folder / MORE).glob("*.csv")):
        found[f"seeds/{file.name}"] = in_force[f"seeds/{file.name}"]
    # a selection by path means the root's folders, and finds the package's nodes in those of a name
    for room in sorted({*(product / "models").rglob("*"), product / "models"}):
        if room.is_dir():
            found[f"{room.relative_to(product)}/.of_{PACKAGE}"] = ""
    found["dbt_project.yml"] = _yaml(_root_project(folder, product))
    home = f"dbt_packages/{PACKAGE}"
    package = _read(product / "dbt_project.yml") | {"macro-paths": []}
    found[f"{home}/dbt_project.yml"] = _yaml(package)
    described = _described(folder)
    kinds = {"model": "models", "seed": "seeds", "rows": "seeds"}
    ours = {
        (kinds[one.kind], one.name)
        for one in choices(folder, product)
        if one.kind == "rows" or (one.instead and one.kind in kinds)
    }
    for name, file in (one for room in PACKAGED for one in _files(product, room)):
        found[f"{home}/{name}"] = file
        if file.suffix == ".yml" and name.startswith(("models/", "seeds/")):
            # dbt looks for a test of a model beside its YAML: what stands in another's place is
            # described where it stands, in the words of the product until it has its own
            found[f"{home}/{name}"] = _less(file, described | ours)
            if said := _only(file, ours - described):
                found[_beside(name)] = said
    return found


def _described(folder: Path) -> set[tuple[str, str]]:
    """What the district's own YAML speaks of."""
    return {
        (kind, entry["name"])
        for room in ROOMS
        for _, file in _files(folder, room)
        if file.suffix in (".yml", ".yaml")
        for kind, entry in _entries(_read(file))
    }


def _beside(name: str) -> str:
    """Where the product's YAML stands, when the district has one of the same name."""
    return str(Path(name).with_name(f"{Path(name).stem}.{PACKAGE}{Path(name).suffix}"))


def _root_project(folder: Path, product: Path) -> dict[str, Any]:
    theirs = _read(product / "dbt_project.yml")
    file = folder / "dbt_project.yml"
    own = _read(file) if file.is_file() else {}
    name = own.get("name", "district")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", str(name)) or name == PACKAGE:
        raise DistrictError(
            f"{file}: name is {name!r}; it must be small letters, digits and _, and not {PACKAGE}"
        )
    made = theirs | {
        "name": name,
        "packages-install-path": "dbt_packages",
        "vars": theirs.get("vars", {}) | own.get("vars", {}),
    }
    off: dict[str, Any] = {"models": {}, "seeds": {}, "data_tests": {}}
    for one in choices(folder, product):
        if one.kind == "rows" or (one.instead and one.kind in ("model", "seed", "test")):
            kind = {"model": "models", "test": "data_tests"}.get(one.kind, "seeds")
            room, _ = KINDS["seed" if one.kind == "rows" else one.kind]
            there = named(product, "seed" if one.kind == "rows" else one.kind).get(one.name)
            if there is None:
                raise DistrictError(
                    f"{one.file} of {folder.name} adds rows to a seed Homeroom has not; put the"
                    f" whole of it into seeds/{one.name}.csv"
                )
            inner: dict[str, Any] = {"+enabled": False}
            for word in reversed(there.relative_to(product / room).with_suffix("").parts):
                inner = {word: inner}
            _merge(off[kind], inner)
    for kind, disabled in off.items():
        settings = own.get(kind, {})
        shipped = theirs.get(kind, {}).get(PACKAGE, {})
        made[kind] = settings | {
            name: _merge(_merge({}, shipped), settings.get(name, {})),
            PACKAGE: _merge(_merge({}, settings.get(PACKAGE, {})), disabled),
        }
    return made


# ---------------------------------------------------------------- YAML, seeds, links


def _less(file: Path, described: set[tuple[str, str]]) -> Path | str:
    """A YAML of the product without what the district describes itself, and its unit tests."""
    text = file.read_text(encoding="utf-8")
    if not any(name in text for _, name in described):
        return file
    document = _read(file)
    kept = {
        kind: [one for one in entries if not _is_described(kind, one, described)]
        if isinstance(entries, list)
        else entries
        for kind, entries in document.items()
    }
    return file if kept == document else _yaml(kept)


def _only(file: Path, wanted: set[tuple[str, str]]) -> str:
    """What a YAML of the product says of some models and seeds; '' for nothing."""
    text = file.read_text(encoding="utf-8")
    if not any(name in text for _, name in wanted):
        return ""
    found: dict[str, list[Any]] = {}
    for kind, entry in _entries(_read(file)):
        if (kind, entry["name"]) in wanted:
            found.setdefault(kind, []).append(entry)
    return _yaml(found) if found else ""


def _is_described(kind: str, entry: Any, described: set[tuple[str, str]]) -> bool:
    if not isinstance(entry, dict):
        return False
    of_model = kind == "unit_tests" and ("models", entry.get("model")) in described
    return of_model or (kind, entry.get("name")) in described


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("models", "seeds", "exposures"):
        for entry in document.get(kind) or ():
            if isinstance(entry, dict) and "name" in entry:
                yield kind, entry


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DistrictError(f"{file} cannot be read as YAML ({error})") from None
    if not isinstance(found, dict):
        raise DistrictError(f"{file} cannot be read as YAML of dbt: it is no table")
    return found


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(dict(document), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def _more(file: Path, shipped: Path | str | None) -> str:
    """A seed with the rows of the district behind its own. Raises DistrictError where the headings
    are others.
    """
    text = shipped.read_text("utf-8-sig") if isinstance(shipped, Path) else shipped
    if text is None:
        raise DistrictError(
            f"{MORE}/{file.name} adds rows to a seed there is none of; put the whole of it into"
            f" seeds/{file.name}"
        )
    try:
        added = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DistrictError(f"{MORE}/{file.name} is not UTF-8; save it as UTF-8") from None
    head, _, rows = added.partition("\n")
    wanted, given = (next(csv.reader([one]), []) for one in (text.partition("\n")[0], head.strip()))
    if wanted != given:
        raise DistrictError(
            f"{MORE}/{file.name}, line 1: its headings are {', '.join(given)}; those of"
            f" {file.stem} are {', '.join(wanted)}, in that order"
        )
    return f"{text.rstrip()}\n{rows}"


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        if isinstance(value, Mapping):
            into[key] = _merge(dict(into.get(key) or {}), value)
        else:
            into[key] = value
    return into


def _write(there: Path, tree: Mapping[str, Path | str]) -> None:
    """Make a folder say what `tree` says: links to files, and files of a text. What is so already
    is not touched: dbt reads anew what is younger than when it was read.
    """
    there.mkdir(parents=True, exist_ok=True, mode=0o700)
    folders = {there / parent for name in tree for parent in Path(name).parents}
    for folder, rooms, files in os.walk(there, topdown=False):
        for name in (*files, *rooms):
            path = Path(folder) / name
            if path.is_symlink() or path.is_file():
                if str(path.relative_to(there)) not in tree:
                    path.unlink(missing_ok=True)
            elif path not in folders:
                shutil.rmtree(path, ignore_errors=True)
    for name, what in tree.items():
        path = there / name
        if isinstance(what, Path):
            if path.is_symlink() and path.readlink() == what:
                continue
        elif path.is_file() and not path.is_symlink() and path.read_text("utf-8") == what:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=there.parent) as beside:
            new = Path(beside) / "new"
            if isinstance(what, Path):
                new.symlink_to(what)
            else:
                new.write_text(what, encoding="utf-8")
            new.replace(path)
