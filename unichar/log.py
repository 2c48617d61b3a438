"""Logging of commands: progress and notices are lines on stderr, the result of a command goes to stdout.

Modules log with `logging.getLogger(__name__)` at INFO and know nothing about this module: a program that uses
`unichar` as a library decides itself where these lines go.
"""

import logging
import os
import sys
from typing import Literal


def set_up_logging(stream: Literal["stdout", "stderr"] = "stderr") -> None:
    """Print the records of `unichar` from INFO on; under a launcher only rank 0 does. May be called again.

    Args:
        stream: Where to. Dagster's steps take stdout, which the terminal of a run follows.
    """
    # Only records of this package; those of libraries stay as they are set up.
    logger = logging.getLogger("unichar")
    is_main = os.environ.get("RANK", "0") == "0"
    logger.setLevel(logging.INFO if is_main else logging.WARNING)

    # A second call replaces the handler, or every line would appear twice.
    for handler in list(logger.handlers):
        if isinstance(handler, LineHandler):
            logger.removeHandler(handler)
    logger.addHandler(LineHandler(stream))


class LineHandler(logging.Handler):
    """Prints each record as one line, above a progress bar if there is one; a warning with its level."""

    def __init__(self, stream: Literal["stdout", "stderr"]) -> None:
        super().__init__()
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        line = self.format(record)
        if record.levelno >= logging.WARNING:
            line = f"{record.levelname.lower()}: {line}"

        # Looked up at each record, since tests and Dagster replace the streams.
        file = sys.stdout if self.stream == "stdout" else sys.stderr
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            print(line, file=file, flush=True)
        else:
            # Clears the bars, prints and draws them again; without a bar it is a plain print.
            tqdm.tqdm.write(line, file=file)
            file.flush()
