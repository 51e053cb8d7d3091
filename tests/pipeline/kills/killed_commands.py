"""Commands of DVC that are killed, with all that they have started."""

import os
import signal
import subprocess
import time

import psutil
from small_project import Project


def was_killed(project: Project, after: float, *words: str) -> bool:
    """Whether `dvc WORDS` was still at work after so many seconds; it is killed then, and its stage with it."""
    running = begun(project, *words)
    time.sleep(after)
    at_work = running.poll() is None
    if at_work:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return at_work


def begun(project: Project, *words: str) -> "subprocess.Popen[bytes]":
    """`dvc WORDS` in a group of processes of its own. Nobody reads what it prints: a worker of the queue would keep that open."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        ["dvc", *words], cwd=project.root, env=project.env, start_new_session=True, stdout=nowhere, stderr=nowhere
    )


def kill_all_in(project: Project) -> int:
    """Kill all processes that work in the project's folder, such as the workers of DVC's queue; how many."""
    own = all_in(project)
    for one in own:
        one.kill()
    psutil.wait_procs(own)
    return len(own)


def all_in(project: Project) -> list[psutil.Process]:
    """The processes that work in the project's folder."""
    return [one for one in psutil.process_iter() if _works_in(one, str(project.root))]


def _works_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.cwd().startswith(folder) and process.pid != os.getpid()
    except psutil.Error:  # it has ended, or is another user's
        return False
