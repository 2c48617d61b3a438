"""Where the lines of a command go."""

import logging
import sys
from collections.abc import Iterator

import pytest

from unichar.log import LineHandler, set_up_logging

LOGGER = logging.getLogger("unichar.somewhere")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Other tests find the logger as it was."""
    logger = logging.getLogger("unichar")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def test_a_notice_is_one_plain_line_on_stderr_however_often_it_is_set_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging()
    set_up_logging()
    LOGGER.info("another %s is running: waiting", "sft")
    LOGGER.debug("nobody needs this")
    assert capsys.readouterr() == ("", "another sft is running: waiting\n")


def test_a_warning_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging()
    LOGGER.warning("the disk is nearly full")
    assert capsys.readouterr().err == "warning: the disk is nearly full\n"


def test_the_lines_may_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging()
    set_up_logging("stdout")
    LOGGER.info("made")
    assert capsys.readouterr() == ("made\n", "")


def test_of_several_ranks_only_the_first_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    set_up_logging()
    LOGGER.info("loading the model")
    LOGGER.warning("out of memory")
    assert capsys.readouterr().err == "warning: out of memory\n"


def test_a_line_is_printed_above_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    set_up_logging()
    with tqdm(total=2, file=sys.stderr, ascii=True) as bar:
        bar.update()
        LOGGER.info("saved")
    text = capsys.readouterr().err
    assert "saved\n" in text and text.index("saved\n") < text.rindex("50%")


def test_without_tqdm_a_line_is_printed_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    handler = LineHandler("stderr")
    handler.emit(logging.LogRecord("unichar", logging.INFO, "", 0, "made", (), None))
    assert capsys.readouterr().err == "made\n"
