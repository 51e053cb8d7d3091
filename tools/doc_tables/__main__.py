"""Write what stands between markers in README.md and docs/. Usage: python -m tools.doc_tables [--check]"""

import argparse
import sys

from shed.common.import_closure import ROOT
from tools.doc_tables.pages import pages, renewed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.doc_tables", description="Write the tables and numbers of the docs from committed results."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 if a page is stale")
    check = parser.parse_args().check
    stale = False
    for page in pages(ROOT):
        old = page.read_text(encoding="utf-8")
        new = renewed(old, page.name)
        if new == old:
            continue
        stale = True
        print(f"{page.relative_to(ROOT)}: {'stale: run make docs' if check else 'written'}")
        if not check:
            page.write_text(new, encoding="utf-8")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
