"""Errors that a user can mend. Everything else that is raised is a defect and keeps its traceback.

The command line and the Dagster bridge catch `UserError` and show its message alone, without a stack trace.
Both treat an `OSError` the same way: the disk or the network refused, and the message of the operating system
says how.
"""

from typing import ClassVar


# One class for all: callers tell kinds apart by its subclasses, the command line by their exit code.
class UserError(ValueError):
    """A mistake or a state that the user can mend.

    The message says what is wrong, where, what was expected and how to mend it. It is a `ValueError` so that
    code which checks one value can catch it without knowing this class.

    Example: `raise UserError(f"SftConfig.steps is {steps}; expected 1 or more")`
    """

    exit_code: ClassVar[int] = 2
    """Exit code of the command that it ends: 2 for a wrong command, setting or argument, 1 for a step that
    failed.
    """


class MissingFile(UserError, FileNotFoundError):
    """A file or folder that the user has to provide does not exist."""

    # The command is right; something outside of it is missing.
    exit_code = 1
