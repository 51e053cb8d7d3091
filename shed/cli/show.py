"""`shed show`"""

from shed.cli.project import find_project
from shed.cli.terminal import Json, show_result


def show(*, as_json: Json = False) -> None:
    """The result."""
    verdict = find_project().metrics("verdict")
    show_result(verdict, as_json, lambda console: console.print(verdict["sentence"]))
