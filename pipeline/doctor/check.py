"""Result of a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the output of `vedette doctor`."""

    name: str
    """What was checked."""
    verdict: Verdict
    """"warn": it will run, but not well; "fail": it will not run, or lose data."""
    found: str
    """What was found, without credentials."""
    advice: str = ""
    """What to do; empty if the verdict is "ok"."""


def run_check(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; an exception becomes a failed check, so that the others still run."""
    try:
        return check()
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, "fail", f"could not be checked ({what})", "please report this")


def judge(name: str, found: str, fails: str = "", warns: str = "") -> Check:
    """Build a check from its advice: `fails` if not empty, else `warns`, else "ok"."""
    if fails:
        return Check(name, "fail", found, fails)
    return Check(name, "warn", found, warns) if warns else Check(name, "ok", found)
