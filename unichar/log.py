"""Logging of the command line.

Progress and notices go to stderr as plain lines; the result of a command goes to stdout.

Modules log with `logging.getLogger(__name__)` at INFO and know nothing about this module: Dagster, tests and
other programs that use `unichar` as a library decide themselves where those lines go.
"""

import logging
import os
import sys


class StderrHandler(logging.Handler):
    """Writes each record as one line to the current `sys.stderr`, above a progress bar if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            print(line, file=sys.stderr, flush=True)
        else:
            # Clears the bars, writes and draws them again; without a bar it is a plain print.
            tqdm.tqdm.write(line, file=sys.stderr)
            sys.stderr.flush()


def set_up_logging() -> None:
    """Send the records of `unichar` from INFO on to stderr; under a launcher those of process 0 only.

    May be called again.
    """
    logger = logging.getLogger("unichar")
    is_main = os.environ.get("RANK", "0") == "0"
    logger.setLevel(logging.INFO if is_main else logging.WARNING)

    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        handler = StderrHandler()
        handler.setFormatter(_Formatter())
        logger.addHandler(handler)


class _Formatter(logging.Formatter):
    """The message alone at INFO; from WARNING on with the level before it."""

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        if record.levelno < logging.WARNING:
            return message
        return f"{record.levelname.lower()}: {message}"
