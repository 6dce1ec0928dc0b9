"""`paribus` and `python -m paribus`: run one command, and turn what went wrong into an exit code."""

import os
import sys

MISTAKE, INTERRUPTED = 2, 130


def main(words: list[str] | None = None) -> None:
    """Exit with 0 done, 1 some runs failed, 2 the user's mistake, 130 interrupted."""
    from cyclopts import CycloptsError

    from paribus.cli import app
    from paribus.errors import ParibusError

    try:
        code = app(words, exit_on_error=False, print_error=True, result_action="return_value")
    except ParibusError as error:
        sys.stderr.write(f"{error}\n")
        code = MISTAKE
    except CycloptsError:
        code = MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
