"""Write `docs/targets/`: every target that takes files, from what its exports say of themselves.

In: the YAML under `models/exports/`: files, columns, personal data, and of the exposures where the
layout is from, how it gets there and what it was tried against. Out: a table of all, and a page
each. Run it after a change of an export:

    python -m scripts.shelf

`tests/python/test_shelf.py` fails when the pages and the exports disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
EXPORTS = ROOT / "models" / "exports"
PAGES = ROOT / "docs" / "targets"
HEAD = """# Targets that take files

Written by `python -m scripts.shelf` from the exports; do not edit. A target is switched on by one
line of the settings, and off by the same:

```toml
[targets.{example}]
enabled = true
```

Where its files go stands below that line ([how](../add-a-target.md)). Of what is off nothing is
built, read, planned or told. The privacy officer signs the columns of what is switched on in
`seeds/privacy_register.csv`; what ships there is signed for the demo. Layouts are as their source
had them when it was read, and a vendor may have moved since: agree on a trial file first.

| target | files | columns | personal data | delivery | layout from | tried against |
|---|---|---|---|---|---|---|
"""


def described() -> dict[str, list[dict[str, Any]]]:
    """Target -> its exports as their YAML has them, of targets all of whose exports are files."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(EXPORTS.glob("*/exp_*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        found.setdefault(model["config"]["meta"]["export"]["target"], []).append(model)
    return {
        target: models
        for target, models in found.items()
        if all("file" in model["config"]["meta"]["export"] for model in models)
    }


def exposures() -> dict[str, dict[str, Any]]:
    """Target -> the exposure that speaks of its exports."""
    text = (EXPORTS / "_exposures.yml").read_text(encoding="utf-8")
    return {
        one["depends_on"][0].split("__")[0].removeprefix("ref('exp_"): one
        for one in yaml.safe_load(text)["exposures"]
    }


def sent(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns that stand in the file."""
    context = model["config"]["meta"]["export"].get("context", ())
    return [
        column
        for column in model["columns"]
        if column["name"] not in context and column["config"]["meta"].get("in_file", True)
    ]


def classes(models: list[dict[str, Any]]) -> str:
    """What personal data some files hold, beside keys."""
    found = {
        column["config"]["meta"]["personal_data"] for model in models for column in sent(model)
    }
    return ", ".join(sorted(found - {"none", "key"})) or "none"


def form(file: Mapping[str, Any]) -> str:
    """How a file is written, in words."""
    marks = {"\t": "tab", "|": "pipe", ",": "comma", ";": "semicolon"}
    words = [
        {"fixed": "fixed columns", "excel": "Excel", "json": "JSON", "xml": "XML"}[file["layout"]]
        if file.get("layout", "delimited") != "delimited"
        else marks.get(file.get("delimiter", ","), "delimited"),
        file.get("encoding", "utf-8"),
        "heading" if file.get("header", True) else "no heading",
    ]
    if file.get("archive"):
        words.append(f"in `{file['archive']}`")
    return ", ".join(words)


def page(target: str, models: list[dict[str, Any]], exposure: Mapping[str, Any]) -> Iterator[str]:
    """The page of one target."""
    said = exposure.get("config", {}).get("meta", {})
    yield f"# {exposure['label']}\n"
    yield f"Written by `python -m scripts.shelf`; do not edit. {exposure['description']}\n"
    yield f"- Settings: `[targets.{target}]`"
    yield f"- Delivery: {said['delivery']}"
    yield f"- Layout from: {said['layout']}"
    yield f"- Tried against: {said['tried']}"
    for model in models:
        file = model["config"]["meta"]["export"]["file"]
        yield f"\n## `{file['name']}`\n"
        yield f"{model['description'].strip()}\n"
        yield f"{form(file)}.\n"
        yield "| column | personal data | what |\n|---|---|---|"
        for column in sent(model):
            meta = column["config"]["meta"]
            heading = meta.get("header", column["name"])
            what = " ".join(worded(column["description"]).split())
            yield f"| {heading} | {meta['personal_data']} | {what} |"


def worded(description: str) -> str:
    """A description with the shared words of `models/_docs.md` filled in."""
    if not description.startswith("{{ doc("):
        return description
    name = description.split('"')[1]
    text = (ROOT / "models" / "_docs.md").read_text(encoding="utf-8")
    return text.split(f"{{% docs {name} %}}")[1].split("{% enddocs %}")[0].strip()


def pages() -> dict[str, str]:
    """File name -> what stands in it."""
    rows, made = [], {}
    told = exposures()
    for target, models in sorted(described().items()):
        said = told[target]["config"]["meta"]
        names = "<br>".join(
            f"`{model['config']['meta']['export']['file']['name']}`" for model in models
        )
        counts = "<br>".join(str(len(sent(model))) for model in models)
        rows.append(
            f"| [{told[target]['label']}]({target}.md) `{target}` | {names} | {counts}"
            f" | {classes(models)} | {said['delivery']} | {said['layout']} | {said['tried']} |"
        )
        made[f"{target}.md"] = "\n".join(page(target, models, told[target])) + "\n"
    return {"README.md": HEAD.replace("{example}", "oneroster12") + "\n".join(rows) + "\n", **made}


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    made = pages()
    for path in PAGES.glob("*.md"):  # other pages there are another script's
        if path.name not in made and "`python -m scripts.shelf`" in path.read_text("utf-8"):
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
