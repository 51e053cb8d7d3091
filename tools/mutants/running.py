"""Tests run against a mutant: in a process that is forked after all libraries are imported, so that only the tests take time.

In: a mutant, and what a run without any told: which tests run which line, and how long they take. Out: whether a test failed.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from shed.common.import_closure import ROOT
from tools.mutants.places import Mutant

QUIET = ("-q", "-m", "not slow", "-p", "no:cacheprovider", "--no-header", "--tb=no")
SLOWER, MORE = 3.0, 10.0  # a mutant may take so many times as long as its tests, and so many seconds more
STEP = 0.02  # seconds between two looks at a process
MOST = 12.0  # seconds of tests for a mutant, the quickest of those that run its lines


@dataclass(frozen=True)
class Known:
    """What a run without mutants told.

    Attributes:
        tests: by module and line, which tests run it.
        seconds: what each test takes.
        imported: the modules of libraries that were imported, in order.
    """

    tests: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]
    imported: list[str]

    def of(self, mutant: Mutant) -> list[str]:
        """The quickest tests that run the lines of a mutant, or its module if the lines run when it is imported."""
        own = self.tests.get(mutant.module, {})
        lines = range(mutant.first, mutant.last + 1)
        found = {test for line in lines for test in own.get(line, [])} or {test for of in own.values() for test in of}
        quickest = sorted(found, key=lambda test: (self.seconds.get(test, 0.0), test))
        spent = itertools.accumulate(self.seconds.get(test, 0.0) for test in quickest)
        return [test for test, seconds in zip(quickest, spent, strict=True) if seconds <= MOST]


def first_run(suites: Sequence[str], modules: Sequence[str], folder: Path) -> Known:
    """Run the tests without a mutant.

    Raises:
        RuntimeError: one fails.
    """
    report = folder / "known.json"
    status = forked(lambda: _measured(suites, modules, folder, report), limit=3600.0)
    if status:
        raise RuntimeError(f"the tests fail without a mutant (status {status})")
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    tests = {module: {int(line): own for line, own in lines.items()} for module, lines in told["tests"].items()}
    return Known(tests, told["seconds"], told["imported"])


def preload(known: Known) -> None:
    """Import what the tests will need of libraries, so that each fork has it already."""
    for name in known.imported:
        with suppress(Exception):  # some are there only after others have set them up
            importlib.import_module(name)


def is_found(mutant: Mutant, known: Known, folder: Path) -> bool:
    """Whether one of its tests fails, or never ends."""
    tests = known.of(mutant)
    if not tests:
        return False
    changed = _Mutated(mutant)
    limit = SLOWER * sum(known.seconds.get(test, 0.0) for test in tests) + MORE

    def work() -> int:
        sys.meta_path.insert(0, changed)
        return _pytest([*tests, "-x", f"--basetemp={folder / 'work'}"])

    return forked(work, limit) != 0


def forked(work: Callable[[], int], limit: float) -> int:
    """The status with which the work ends in a process of its own; below 0 if it was ended.

    Args:
        limit: seconds of a processor that it may take, and a third of the seconds in which it may wait.
    """
    child = os.fork()
    if not child:
        status = 70
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
            status = work()
        finally:
            os._exit(status)
    for _ in range(int(3 * limit / STEP)):  # steps and not a clock: whoever stops all processes for a while ends none
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(STEP)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


def _pytest(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    return int(pytest.main([*QUIET, *arguments], plugins=list(plugins)))


def _measured(suites: Sequence[str], modules: Sequence[str], folder: Path, report: Path) -> int:
    """Run the tests and note, for each, the lines that it runs."""
    import coverage

    measured = coverage.Coverage(data_file=None, include=[str(ROOT / module) for module in modules], config_file=False)
    watch = _Watch(measured)
    measured.start()
    status = _pytest([*suites, f"--basetemp={folder / 'work'}"], [watch])
    measured.stop()
    data = measured.get_data()
    tests = {
        module: {line: [test for test in own if test] for line, own in data.contexts_by_lineno(str(ROOT / module)).items()}
        for module in modules
    }
    imported = [name for name, module in sys.modules.items() if not _is_ours(name, module)]
    report.write_text(json.dumps({"tests": tests, "seconds": watch.seconds, "imported": imported}), encoding="utf-8")
    return status


def _is_ours(name: str, module: ModuleType) -> bool:
    where = getattr(module, "__file__", None)
    return name == "__main__" or (where is not None and Path(where).is_relative_to(ROOT) and "site-packages" not in where)


class _Watch:
    """A plugin of pytest that tells coverage which test runs, and takes the time."""

    def __init__(self, measured: Any) -> None:
        self.seconds: dict[str, float] = {}
        self._measured = measured

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._measured.switch_context(nodeid)
        self.seconds[nodeid] = -time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += time.monotonic()
        self._measured.switch_context("")


class _Mutated(importlib.abc.MetaPathFinder):
    """Finds the one module that is changed."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path, self._source = str(ROOT / mutant.module), mutant.source

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=_Loader(name, self._path, self._source))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._changed = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._changed, self.path, "exec", dont_inherit=True)
        return code
