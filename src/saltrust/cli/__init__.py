"""The command line (floor 8): `saltrust run`, `publish`, `plan`, `assess` and the rest.

The package may import everything, and nothing imports it. A command parses its arguments, calls one function of a floor
below and prints what that returns. What a command can do, a notebook can do as well.
"""

import errno
import sys
from contextlib import suppress
from typing import Any

import click

from saltrust.cli import (
    assess,
    book,
    chapters,
    compare,
    compute,
    crate,
    datasets,
    methods,
    notebooks,
    plan,
    publish,
    quiz,
    readers,
    run,
    store,
    trace,
)
from saltrust.core import paths, progress
from saltrust.core.errors import SaltrustError
from saltrust.core.interruption import Interrupted, interruptible, tell
from saltrust.core.visible import visible

# What only one command needs is imported when it runs: torch alone takes seconds.

MISTAKE = 2  # exit code
UNWRITABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),  # something else is in the way
)


class _InOrder(click.Group):
    """A group that lists its commands as they were added."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*self.commands]

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:  # before click meets it with an empty line
            raise click.Abort from error


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
def app() -> None:
    """Can you trust a saliency map? Run the chapters that ask, and look at what they find."""


COMMANDS = (
    *(chapters, notebooks, methods, datasets, readers, quiz),
    *(run, compare, assess, plan, publish, compute, book, trace, crate, store),
)
for one in COMMANDS:
    app.add_command(one.command)


def main() -> None:
    """Do what the command line says, and end the process."""
    try:
        with interruptible():
            code = app(prog_name="saltrust", standalone_mode=False) or 0
        sys.exit(code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(MISTAKE)
    except click.ClickException as error:
        _end(error.format_message(), MISTAKE)
    except (click.Abort, KeyboardInterrupt) as error:
        asked = next((one for one in (error, error.__cause__) if isinstance(one, Interrupted)), Interrupted())
        if not progress.followed():  # else whoever follows was asked, too, and tells it once for all
            tell(asked)
        sys.exit(asked.exit_code)
    except SaltrustError as error:
        _end(str(error), MISTAKE)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        where = f"results go to {paths.RESULTS} (SALTRUST_RESULTS); `saltrust store gc` finds what can go"
        _end(f"{error}; {where}", MISTAKE)


def _end(line: str, code: int) -> None:
    """Say why the command ends, above the progress of others where there is one, and end."""
    line = visible(f"saltrust: {line}")
    if progress.followed():
        progress.say(line, stays=True)
    else:
        with suppress(OSError):  # a terminal that has closed
            print(line, file=sys.stderr, flush=True)
    sys.exit(code)
