"""lm-eval's tasks, by their names (gsm8k, mmlu) or from a task file.

In: a name. Out: lm-eval's task objects, those of a group one by one; or in one line why there are none.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.data.tasks.files import files_of, is_task_file, read_task_file


def load_tasks(name: str, locate: Callable[[str], str] = str) -> list[Any]:
    """The single tasks that a name means, in their order, their data loaded.

    Args:
        locate: where a task file that is relative lies; the files that it names are relative to the same folder.

    Raises:
        ShedError: no task has this name, its file cannot be read, or its data cannot be loaded.
    """
    from lm_eval.tasks import get_task_dict

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it tells which defaults a task takes
    if not is_task_file(name):
        with naming(name):
            return list(_single_tasks(get_task_dict([name], _manager(every=True))))
    path = Path(locate(name)).expanduser().absolute()
    is_group = "group" in read_task_file(path)
    files_of(path, base_of(name, locate).absolute())  # those that it includes are looked at, too, before lm-eval reads them
    try:
        with chdir(base_of(name, locate)), naming(name):
            return list(_single_tasks(get_task_dict([str(path)], _manager(every=is_group))))
    except ShedError:
        raise
    except Exception as error:  # lm-eval tries the user's templates and functions on the first document
        said = " ".join(str(error).split())[:200]
        raise ShedError(f"the task {name} cannot be read: {type(error).__name__}: {said}", "tasks") from error


def base_of(name: str, locate: Callable[[str], str]) -> Path:
    """The folder from which paths in a task file start: the project's."""
    there = locate(name)
    return Path(there.removesuffix(name) if there != name else ".")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say in one line what lm-eval or a hub does not have."""
    try:
        yield
    except KeyError as error:
        raise ShedError(f"lm-eval has no task {name!r}; `python -m lm_eval ls tasks` prints their names", "tasks") from error
    except OSError as error:
        raise ShedError(f"the data of the task {name} cannot be loaded ({error}); it comes from a hub", "tasks") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ShedError(f"the task {name} cannot be run here ({reason})", "tasks") from error


def short_name(name: str) -> str:
    """A task's name; of a file its own, without folders."""
    return name.rsplit("/", 1)[-1].removesuffix(".yaml").removesuffix(".yml")


@cache
def _manager(every: bool) -> Any:
    """What finds tasks; `every` reads lm-eval's own thousands, which takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=every)


def _single_tasks(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """The tasks of a group, however deep."""
    for task in tasks.values():
        if isinstance(task, Mapping):
            yield from _single_tasks(task)
        else:
            yield task
