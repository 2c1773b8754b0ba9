"""What a check finds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor."""

    name: str
    """What was looked at."""
    verdict: Verdict
    """"warn": it will run, but not well; "fail": it will not run, or lose what it should keep."""
    found: str
    """What is there, without credentials."""
    advice: str = ""
    """What to do; empty where all is well."""


def look(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; one that breaks is a line too, and the others go on."""
    try:
        return check()
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, "fail", f"could not be looked at ({what})", "please report this")


def judge(name: str, found: str, fails: str = "", warns: str = "") -> Check:
    """A line from the advice there is: the first that is not empty decides."""
    if fails:
        return Check(name, "fail", found, fails)
    return Check(name, "warn", found, warns) if warns else Check(name, "ok", found)
