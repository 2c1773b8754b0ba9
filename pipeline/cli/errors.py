"""Report failures: one line, and a traceback only on request.

Errors of ours, and `ValueError`, `OSError` and `FloatingPointError` (a training that diverges) in
general, say themselves what was got, what is wanted and where. Anything else is a fault of the
program, and is called one.
"""

import os
import sys
import traceback

DEBUG_VARIABLE = "VEDETTE_DEBUG"

# By name: catching them by class would import their modules, one of them torch.
_OUR_ERRORS = frozenset(
    {
        "AttachedError",
        "CheckpointError",
        "ConfigError",
        "DataFolderInUseError",
        "DatasetError",
        "SourceError",
    }
)


def report(error: Exception, debug: bool) -> int:
    """Report an error on standard error.

    Args:
        error: What ended the command.
        debug: Print the traceback too.

    Returns:
        The exit status: 1 where the person can do something about it, 70 for a fault of ours.
    """
    if debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.strerror is not None:
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"vedette: {place}{error.strerror.lower()}", file=sys.stderr)
        return 1
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, (ValueError, OSError, FloatingPointError)) or names & _OUR_ERRORS:
        print(f"vedette: {error}", file=sys.stderr)
        return 1
    what = " ".join(f"{type(error).__name__}: {error}".split())
    print(
        f"vedette: internal error ({what}); please report it with the output of --debug",
        file=sys.stderr,
    )
    return os.EX_SOFTWARE


def debug_wanted() -> bool:
    """Whether the environment requests tracebacks."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
