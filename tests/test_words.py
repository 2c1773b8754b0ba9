"""Code, documents and tests use the standard terms of the field, not home-made words."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOTS = ("cameras", "models", "pipeline", "benchmarks", "docs", "deploy", "tests")
SUFFIXES = {".py", ".md", ".yaml", ".js", ".json", ".html", ".css"}

HOME_MADE = {
    r"hears?|heard|overheard": "receives, reads",
    r"hush(ed|es)?": "suppressed",
    r"news": "live updates, changes",
    r"obeys?|obeyed": "handles",
    r"errands?": "pending request",
    r"letters? to": "message",
    r"couriers?": "delivery worker",
    r"rosters?": "camera registry",
    r"overseers?|oversees?": "restart policy",
    r"staff(ing|ed)?|manned|hires?|hired": "reconciler, start",
    r"bury|buried|buries": "reap",
    r"enlist(s|ed)?": "acknowledge",
    r"doorkeepers?": "authenticator",
    r"dialects?": "open options (a database's dialect is meant in storage alone)",
    r"unmendable|mend(s|ed|ing)?": "permanent; repair, correct",
    r"glimpses?": "cached features",
    r"outlyingness": "outlier score",
    r"witness(es)?": "recorder",
    r"gliders?|glid(e|es|ing)": "fast mover",
    r"taint(ed|s)?": "contaminated",
    r"hurr(y|ied|ies)": "sped up",
    r"scene keepers?": "scene builder",
    r"first minute": "calibration window",
    r"wider scenes?|widen(s|ed|ing)?": "refit",
    r"made (street|scene|crowd|camera)s?": "synthetic, composed",
    r"anew": "again",
    r"nobody is told|is told|are told|was told|were told|to tell people": "is notified",
    r"whoever|somebody|nobody": "say what or who is meant",
    r"what the networks? eats?|eats?": "takes",
    r"no more than that|and means it": "(delete)",
    r"asleep|awake": "idle",
}
"""Pattern of a word → what to write."""

ALLOWED = {
    "tests/test_words.py": "is this list",
    "pipeline/nodes/lease_store.py": "dialect",
    "pipeline/storage/schema.py": "dialect",
    "pipeline/storage/database.py": "dialect",
    "tests/postgresql_server.py": "nobody, the name of a Unix account",
}


def written() -> list[Path]:
    """All texts that people read."""
    found = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
    for root in ROOTS:
        found += [path for path in (REPOSITORY / root).rglob("*") if path.suffix in SUFFIXES]
    return [path for path in found if "/dist/" not in path.as_posix()]


@pytest.mark.parametrize("pattern", HOME_MADE)
def test_home_made_words_stay_out(pattern: str) -> None:
    word = re.compile(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", re.IGNORECASE)
    found = []
    for path in written():
        name = path.relative_to(REPOSITORY).as_posix()
        if re.search(pattern, ALLOWED.get(name, " ")) or name == "tests/test_words.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if match := word.search(line.replace("_", " ")):
                found.append(f"{name}:{number}: {match[0]}; want {HOME_MADE[pattern]}")
    assert not found, "\n".join(found)


def test_each_class_has_a_name_of_its_own() -> None:
    names: dict[str, list[str]] = {}
    for root in ("cameras", "models", "pipeline", "benchmarks"):
        for path in sorted((REPOSITORY / root).rglob("*.py")):
            for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
                names.setdefault(name, []).append(path.relative_to(REPOSITORY).as_posix())
    assert {name: places for name, places in names.items() if len(places) > 1} == {}
