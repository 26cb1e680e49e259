"""Write the pages of docs/ that are generated, or with --check say which are stale."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAGES = {
    "docs/addresses.md": ("voiced.cli", "addresses", "--markdown"),
    "docs/emulators.md": ("voiced.emulators.reference",),
    "docs/lifecycle.md": ("voiced.mind.diagram",),
    "docs/providers.md": ("voiced.cli", "providers", "--markdown", "docs/providers.md"),
}
"""A page, and the module with arguments that prints it."""


def printed_by(module: str, *arguments: str) -> str:
    """Return what a module of the project prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode or not done.stdout:
        raise SystemExit(f"generated_docs: {module} printed no page (exit {done.returncode})")
    return done.stdout


def main() -> int:
    """Return 0 when every page is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = []
    for name, command in PAGES.items():
        page, text = ROOT / name, printed_by(*command)
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if not check:
            page.write_text(text, encoding="utf-8")
            print(f"generated_docs: wrote {name}")
        stale.append(name)
    if check and stale:
        print(f"generated_docs: stale: {', '.join(stale)}; run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
