"""Templates of the pages: text from records is escaped (Jinja's autoescape), never markup.

In: a template's name. Out: the template; a name that it uses and is not given is an error.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

BASE = "base.html.j2"  # the style of every page, which each template extends


def template(name: str) -> "Template":
    """One of the templates beside this module."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("shed", "report")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template(name)
