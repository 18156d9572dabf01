"""docs/add-a-source.md followed to the letter: a cafeteria's cards, which are no record of the
intake, from the file the kitchen writes to the file its tills read.
"""

from __future__ import annotations

import csv
import re
import shutil

import pytest
from conftest import ROOT, District, checkout

PAGE = ROOT / "docs" / "add-a-source.md"
CARDS = "Card,Student Number,Meal Plan\r\nA1,{here},full\r\nA2,{left},half\r\nA3,9999999,full\r\n"


def shown() -> dict[str, str]:
    """Path -> what the page's example says stands there."""
    text = PAGE.read_text("utf-8").split("## A feed that is no student record")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\w+\n(?:#|--) (\S+)\n(.*?)^```", text, re.M | re.S)
    return dict(blocks)


@pytest.mark.slow
def test_a_feed_of_no_record_goes_from_its_file_to_a_vendors(
    two_nights: District, tmp_path
) -> None:
    root = checkout(tmp_path / "checkout", two_nights.root)
    district = District(two_nights.copy(tmp_path / "state").var, root)
    files = shown()
    assert len(files) == 9, sorted(files)
    settings = files.pop(".dlt/config.toml")
    for room in ("inbox", "outbox"):
        (district.var / room / "kitchen").mkdir(parents=True)
        settings = settings.replace(f"var/{room}", str(district.var / room))
    for path, text in ((".dlt/config.toml", settings), ("seeds/privacy_register.csv", "")):
        with (root / path).open("a", encoding="utf-8") as file:
            file.write("\n" + text if text else files.pop(path))
    project = root / "dbt_project.yml"
    meant = files.pop("dbt_project.yml").splitlines()[1]
    said = project.read_text("utf-8")
    assert said.count("  more_personal_data_classes: []") == 1
    project.write_text(said.replace("  more_personal_data_classes: []", meant), "utf-8")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    ((here, name, school),), ((left, *_),) = district.ask(
        "select arg_min((student_number, usual_first_name, school_number), student_number)"
        " from core.students where enrolment_status in ('active', 'inactive')"
        " group by enrolment_status order by enrolment_status"
    )
    (district.var / "inbox" / "kitchen" / "Cards.csv").write_text(
        CARDS.format(here=here, left=left), encoding="utf-8", newline=""
    )
    district.run("ingestion", "--source", "kitchen")
    district.run("operations", "build", "--select", "+exp_kitchen__plans")
    district.run("reverse_etl", "plan", "--target", "kitchen", check=False)
    ended = district.run("reverse_etl", "preview-file", "--target", "kitchen", check=False)
    [made] = (district.var / "preview" / "kitchen").glob("*.csv")
    assert list(csv.reader(made.open(encoding="utf-8", newline=""))) == [
        ["Card", "Name", "School", "Plan"],
        ["A1", name, school, "full"],
    ], ended.stdout + ended.stderr
    shutil.rmtree(root)
