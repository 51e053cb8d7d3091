"""Templates of the pages: text from records is escaped (Jinja's autoescape), never markup.

In: a template's name, and what it shows. Out: the page; a name that it uses and is not given is an error.
"""

from typing import Any

from shed.report.shown import writable

BASE = "base.html.j2"  # the style of every page, which each template extends


def rendered(name: str, **values: Any) -> str:
    """The page that one of the templates beside this module makes of these values; every character in it can be written."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("shed", "report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return writable(environment.get_template(name).render(**values))
