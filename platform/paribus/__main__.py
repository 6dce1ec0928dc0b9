"""`paribus` and `python -m paribus`: run one command, and turn what went wrong into an exit code."""

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import CycloptsError

MISTAKE, INTERRUPTED = 2, 130
ONE_FILE = {"plan", "run", "tune"}  # commands that people try with several
COLLECTED = 50_000  # new objects between two searches for garbage; at Python's 700 they take a fifth of a start
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def main(words: list[str] | None = None) -> None:
    """Exit with 0 done, 1 some runs failed, 2 the user's mistake, 130 interrupted."""
    gc.set_threshold(COLLECTED)
    try:
        code = _called(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is stored stays, and the same command goes on with what is missing\n")
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        sys.stderr.write(f"cannot write to {error.filename or 'the output'}: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = MISTAKE
    sys.exit(code if isinstance(code, int) else 0)


def _called(words: list[str] | None) -> object:
    from cyclopts import CycloptsError

    from paribus.cli import app
    from paribus.errors import ParibusError

    try:
        return app(words, exit_on_error=False, print_error=True, error_formatter=_told, result_action="return_value")
    except ParibusError as error:
        sys.stderr.write(f"{error}\n")
    except CycloptsError:
        pass  # printed by cyclopts
    return MISTAKE


def _told(error: "CycloptsError") -> object:
    """What is shown of a command line that cannot be meant."""
    from cyclopts import CycloptsPanel, UnusedCliTokensError

    if not isinstance(error, UnusedCliTokensError):
        return CycloptsPanel(error)
    command = " ".join(error.command_chain or ())
    takes = "one file" if command in ONE_FILE else "no more words"
    return CycloptsPanel(f"{command} takes {takes}; left over: {', '.join(error.unused_tokens or ())}")


if __name__ == "__main__":
    main()
