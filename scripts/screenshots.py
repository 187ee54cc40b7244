"""Make the pictures of the report in `docs/images` from the committed records: its beginning, and some of its plots.

    python scripts/screenshots.py

needs Playwright and a chromium of the system: pip install "vitgate[browser]" and, on Debian, apt-get install chromium.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from vitgate.files.errors import MachineError, status_of
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record
from vitgate.report.page.html import render

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SIZE = {"width": 1180, "height": 1180}
COLOURS = 256  # which suffice for such a page; a palette makes the file a third as large


def main() -> None:
    """Write the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise MachineError("chromium is not installed", do="apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        records = [read_record(path) for path in (fixtures_folder() / "records").glob("*.json")]
        page.write_text(render(records), encoding="utf-8")
        found = _seen(chromium, page)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS).save(FOLDER / name, optimize=True)


def _seen(chromium: str, page: Path) -> dict[str, bytes]:
    """Return the pictures by file name, as PNG."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(page.as_uri())
        beginning, plots = tab.screenshot(), tab.locator(".plots").nth(1).screenshot()  # the second are of the versions
        browser.close()
    return {"report.png": beginning, "report-versions.png": plots}


if __name__ == "__main__":
    sys.exit(status_of(main))
