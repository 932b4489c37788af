"""Takes the pictures of the page: the demo with its built-in portraits, in Debian's Chromium.

python docs/scripts/page_pictures.py docs/images
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import av
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ferstream.capture.demo_clip import DemoClip, installed_portraits

FPS = 10
CLIP_S = 24
HISTORY_MS = 40_000
ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture.

    Attributes:
        name: Name of the file, without its ending.
        view: View of the page.
        prepare: Brings the view into the state of the picture.
        width: Width of the window in CSS pixels.
        height: Height of the window; the picture is as long as the page.
        scheme: Theme.
        pixels: Whether the demo shows pictures.
    """

    name: str
    view: str
    prepare: Callable[[Page], None]
    width: int = 1280
    height: int = 760
    scheme: Literal["light", "dark"] = "light"
    pixels: bool = True


def main() -> None:
    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        clip = write_clip(Path(name) / "portraits.mp4")
        shots = shots_of(clip)
        for pixels in (True, False):
            with demo(pixels=pixels) as url:
                take(url, [shot for shot in shots if shot.pixels is pixels], out)


def shots_of(clip: Path) -> list[Shot]:
    """Return all pictures; ``clip`` is the recording that is sent."""

    def live(page: Page) -> None:
        page.wait_for_function("() => document.querySelectorAll('.face:not(.left)').length > 1")
        page.wait_for_timeout(9000)  # until the strips show something
        # One portrait alone, then both: now the second one comes in, and a moment later both stand still.
        for faces in ("1 face:", "2 faces:"):
            page.wait_for_function("text => document.querySelector('.picture').getAttribute('aria-label').includes(text)", arg=faces)
        page.wait_for_timeout(700)

    def status(page: Page) -> None:
        page.wait_for_timeout(HISTORY_MS)

    def stills(page: Page) -> None:
        page.set_input_files("input[type=file]", list(installed_portraits()))
        page.wait_for_function("() => document.querySelectorAll('.result .face .label.happy, .result .face .label.neutral').length >= 2")

    def recording(page: Page) -> None:
        page.set_input_files("input[type=file]", [clip])
        page.wait_for_function("() => document.querySelector('.player video')?.videoWidth > 0", timeout=120_000)
        page.locator(".timeline").focus()
        for _ in range(16):
            page.keyboard.press("ArrowRight")
        page.wait_for_timeout(1500)

    return [
        Shot(name="page-live", view="live", prepare=live),
        Shot(name="page-live-phone", view="live", prepare=live, width=360, height=740, scheme="dark"),
        Shot(name="page-status", view="status", prepare=status, scheme="dark"),
        Shot(name="page-stills", view="stills", prepare=stills, width=800),
        Shot(name="page-recording", view="recording", prepare=recording),
        Shot(name="page-figures", view="live", prepare=live, scheme="dark", pixels=False),
    ]


def take(url: str, shots: list[Shot], out: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        for shot in shots:
            page = browser.new_context(viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme).new_page()
            page.goto(f"{url}#{shot.view}")
            shot.prepare(page)
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            picture = Image.open(BytesIO(page.screenshot(full_page=True)))
            picture.save(out / f"{shot.name}.webp", quality=82, method=6)
            page.context.close()
        browser.close()


@contextmanager
def demo(*, pixels: bool) -> Iterator[str]:
    """Run the demo; yields the address of its page."""
    command = [sys.executable, "-u", "-m", "ferstream", "demo", "--port", "0", "--pixels" if pixels else "--no-pixels"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(found.group() for line in process.stdout if (found := re.search(r"http://[\d.:]+/", line)))
        finally:
            process.terminate()
            process.stdout.read()


def write_clip(path: Path) -> Path:
    """Write the built-in clip as a recording."""
    clip = DemoClip(portraits=tuple(installed_portraits()), detection_size=(960, 540))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for number in range(CLIP_S * FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clip.draw(number / FPS)[1], format="bgr24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
