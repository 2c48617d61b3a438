"""Times, peak memory and rows beside their predictions; the results are written after every section.

Times on a GPU are those between two CUDA events, on a CPU of the clock. One run warms up, then the median of
a few counts, as many as the section has time for.
"""

import gc
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from gpu.expected import Expectations, Expected
from gpu.plan import Plan
from gpu.scales import Scale
from unichar.model.bagel.model import BagelModel
from unichar.store.files import json_bytes, write_atomic


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured number beside its prediction."""

    section: str
    name: str
    value: float | None
    """None where it could not be measured; `note` says why."""
    unit: str
    predicted: float | None = None
    n: int = 1
    """Runs that the median is of."""
    mfu: float | None = None
    """Share of the card's peak, of a number in seconds."""
    peak_gb: float | None = None
    """Largest memory that tensors took, in decimal gigabytes; None on a CPU."""
    predicted_peak_gb: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the benchmark."""

    name: str
    seconds: float
    """Its share of the time on one H100; without as much time left it is skipped."""
    run: Callable[["Lab"], None]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What `Lab.time` measured."""

    seconds: float
    """Median of `n` runs after one to warm up."""
    n: int
    peak_gb: float | None


@dataclass
class Lab:
    """What the sections share: the device, the model, the time that is left and the rows so far."""

    scale: Scale
    device: torch.device
    plan: Plan
    out: Path
    folder: Path
    """For files; empty at first."""
    seconds: float
    """Of the whole run."""
    began: float = field(default_factory=time.monotonic)
    model: BagelModel | None = None
    rows: list[Row] = field(default_factory=list)
    sections: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """About the machine."""
    expected: dict[str, Expected] = field(init=False)
    """Predictions of rows, by `section/name`."""
    section: str = ""
    deadline: float = float("inf")

    def __post_init__(self) -> None:
        self.expected = Expectations(self.scale, self.plan).rows

    @property
    def bagel(self) -> BagelModel:
        """The model of the section `build`."""
        if self.model is None:
            raise RuntimeError("there is no model: the section `build` was skipped or has failed")
        return self.model

    def left(self) -> float:
        """Seconds until the end of the run."""
        return self.began + self.seconds - time.monotonic()

    def left_in_section(self) -> float:
        """Seconds until the end of the section's share."""
        return self.deadline - time.monotonic()

    # Running the sections.

    def run(self, sections: Sequence[Section]) -> None:
        """All sections for which there is time; what one raises ends that section alone."""
        for section in sections:
            self.section, began = section.name, time.monotonic()
            about: dict[str, Any] = {"name": section.name, "share": section.seconds}
            if self.left() < section.seconds:
                about |= {"status": "skipped", "reason": f"{self.left():.0f} seconds are left"}
            else:
                self.deadline = began + section.seconds
                about |= self._run(section)
                about["seconds"] = round(time.monotonic() - began, 2)

            self.sections.append(about)
            self.free()
            self.write()
            print(f"{section.name}: {about['status']} {about.get('reason', '')}".rstrip(), flush=True)

    def _run(self, section: Section) -> dict[str, Any]:
        try:
            section.run(self)
        except Unavailable as error:
            return {"status": "skipped", "reason": str(error)}
        except Exception as error:
            # One line for the table; where it happened is for whoever mends it.
            where = traceback.format_exc().splitlines()[-12:]
            return {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:500], "where": where}
        return {"status": "done"}

    def free(self) -> None:
        """Give back what the last section left in memory."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def write(self) -> None:
        """Replace the results on disk."""
        found = {**self.facts, "sections": self.sections, "rows": [asdict(row) for row in self.rows]}
        write_atomic(self.out, json_bytes(found))

    # Measuring.

    def time(self, work: Callable[[], object], *, runs: int | None = None, warm: bool = True) -> Timing:
        """Median seconds of `work`; at least one run, more while the section has time."""
        with self.peak() as peak:
            if warm:
                work()
            taken = [self.once(work)]
            while len(taken) < (runs or self.scale.runs) and taken[0] < self.left_in_section():
                taken.append(self.once(work))
        return Timing(seconds=statistics.median(taken), n=len(taken), peak_gb=peak.gb)

    def once(self, work: Callable[[], object]) -> float:
        """Seconds of one run."""
        if self.device.type != "cuda":
            began = time.perf_counter()
            work()
            return time.perf_counter() - began

        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000

    @contextmanager
    def peak(self) -> Iterator["Peak"]:
        """Largest memory within the context, in `Peak.gb` afterwards."""
        found, on_gpu = Peak(), self.device.type == "cuda"
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        try:
            yield found
        finally:
            if on_gpu:
                found.gb = torch.cuda.max_memory_allocated() / 1e9

    # Rows.

    def add(
        self,
        name: str,
        value: float | None,
        unit: str,
        *,
        n: int = 1,
        peak_gb: float | None = None,
        note: str = "",
    ) -> None:
        """A row of the section that runs, beside its prediction if there is one."""
        expected = self.expected.get(f"{self.section}/{name}", Expected())
        mfu = None
        if value and expected.flops is not None:
            mfu = expected.flops / value / self.plan.peak

        row = Row(
            section=self.section,
            name=name,
            value=value,
            unit=unit,
            predicted=expected.value,
            n=n,
            mfu=mfu,
            peak_gb=peak_gb,
            predicted_peak_gb=expected.peak_gb,
            note=note,
        )
        self.rows.append(row)
        beside = "" if row.predicted is None else f" (predicted {row.predicted:.4g})"
        shown = "-" if value is None else f"{value:.4g}"
        print(f"  {name}: {shown} {unit}{beside} {note}".rstrip(), flush=True)

    def add_time(self, name: str, timing: Timing, *, note: str = "") -> None:
        """A row in seconds."""
        self.add(name, timing.seconds, "s", n=timing.n, peak_gb=timing.peak_gb, note=note)

    def add_time_or_oom(self, name: str, work: Callable[[], object], **options: Any) -> None:
        """A row in seconds of what may not fit: that it does not is a result, too."""
        try:
            timing = self.time(work, **options)
        except torch.OutOfMemoryError as error:
            self.add(name, None, "s", note=f"out of memory: {error}"[:120])
            return
        self.add_time(name, timing)

    def value(self, section: str, name: str) -> float | None:
        """A measured number, if there is one."""
        for row in self.rows:
            if (row.section, row.name) == (section, name):
                return row.value
        return None


class Unavailable(Exception):
    """A section cannot run on this machine; the message says why."""


@dataclass
class Peak:
    """Largest memory of a context, in decimal gigabytes; None on a CPU."""

    gb: float | None = None


def last_json(path: Path) -> dict[str, Any]:
    """The results of an earlier run."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
