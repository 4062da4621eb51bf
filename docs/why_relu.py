"""Draws why_relu.svg, the README's picture, anew from the report of `make demo`, as chromium shows it:
`.venv/bin/python docs/why_relu.py demo/report.html`.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import sync_playwright

TITLES = ("Per-sample gradient norm before training", "Test accuracy, mean over networks")
WIDTH, HEIGHT = 520, 380
DRAW = """title => {
  const drawn = [...document.querySelectorAll(".js-plotly-plot")].find((place) => place.layout.title.text === title);
  return Plotly.toImage(drawn, { format: "svg", width: %d, height: %d });
}"""

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page()
    page.goto(Path(sys.argv[1]).resolve().as_uri())
    drawn = [unquote(page.evaluate(DRAW % (WIDTH, HEIGHT), title).partition(",")[2]) for title in TITLES]
    browser.close()
panels = [svg.replace("<svg", f'<svg x="{i * WIDTH}"', 1) for i, svg in enumerate(drawn)]
whole = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * WIDTH} {HEIGHT}">'
Path(__file__).with_suffix(".svg").write_text("\n".join([whole, *panels, "</svg>\n"]))
