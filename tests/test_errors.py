"""What a user can mend is told apart from a defect by its class."""

import pytest

from unichar.errors import MissingFile, UserError
from unichar.kit.verdict import KitRejected
from unichar.pipeline.lineage import StaleInput
from unichar.store.manifest import BrokenOutput
from unichar.store.remote import RemoteError
from unichar.store.store import MissingOutput, StoreError
from unichar.training.state import OtherRun


@pytest.mark.parametrize(
    "kind", [KitRejected, StaleInput, BrokenOutput, RemoteError, MissingOutput, StoreError, MissingFile]
)
def test_a_failed_step_ends_the_command_with_1(kind: type[UserError]) -> None:
    assert issubclass(kind, UserError) and kind.exit_code == 1


@pytest.mark.parametrize("kind", [UserError, OtherRun])
def test_a_wrong_setting_ends_the_command_with_2(kind: type[UserError]) -> None:
    assert issubclass(kind, ValueError) and kind.exit_code == 2


def test_a_missing_file_is_also_what_python_calls_it() -> None:
    error = MissingFile("there is no kit for 'pip'")
    assert isinstance(error, FileNotFoundError) and isinstance(error, UserError)
    assert str(error) == "there is no kit for 'pip'"
