"""Check a built site without a network: links, loaded files, names that differ by a capital.

Run it: ``python -m tools.site FOLDER``; it prints each fault and exits with 1 if there is one.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, the files that it loads, and the places that links may name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("img", "script", "source", "iframe") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found.get("href", ""))


def faults(site: Path) -> Iterator[str]:
    """Yield the faults of a built site."""
    files = {path for path in site.rglob("*") if path.is_file()}
    names = Counter(str(path.relative_to(site)).lower() for path in files)
    yield from (f"{name}: differs from another file only by capitals"
                for name, count in names.items() if count > 1)  # fmt: skip
    # the theme leaves its templates next to its scripts
    written = {path for path in files if "_static" not in path.parts}
    pages = {path: Page(path) for path in sorted(written) if path.suffix == ".html"}
    for path, page in pages.items():
        where = path.relative_to(site)
        for link in page.loaded:
            if urlsplit(link).scheme not in ("", "data") or link.startswith("//"):
                yield f"{where}: loads {link} from the network"
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target not in files:
                yield f"{where}: {link} leads nowhere"
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{where}: {link} names no place on that page"


def main() -> int:
    """Print the faults of a site."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="folder with the built pages")
    found = sorted(set(faults(parser.parse_args().site.resolve())))
    print("\n".join(found) or "no fault found")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
