"""The code location: everything under `defs/`, with the pipeline's executor and loggers as defaults."""

from pathlib import Path

import dagster as dg

from orchestration.executor import multiprocess_executor
from orchestration.lifeline import end_with_parent
from orchestration.terminal import silence_step, terminal_logger
from unichar.log import set_up_logging


@dg.definitions
def defs() -> dg.Definitions:
    # Every process of a run loads this first: the run worker of a code server, and each step.
    end_with_parent()
    silence_step()
    set_up_logging("stdout")  # the compute log that the terminal of a run follows

    folder = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    defaults = dg.Definitions(
        executor=multiprocess_executor,
        loggers={"console": dg.colored_console_logger, "terminal": terminal_logger},
    )
    return dg.Definitions.merge(folder, defaults)
