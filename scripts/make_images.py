"""Draw the project's own pictures, `fixtures/images/*.png`, so that a suite without a network has labelled input.

Everything is drawn with comparisons on a fixed 4 × 4 grid of samples in each pixel and blended in integers, so that
the pixels do not depend on Pillow's rasterizer or on NumPy's release. The committed files are what counts (their sha256
stand in the files of `fixtures/heads`); this script says where they come from.

    python scripts/make_images.py [FOLDER]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Point = tuple[float, float]
Colour = tuple[int, int, int]
Mask = NDArray[np.bool_]
Grid = NDArray[np.float64]

SAMPLES = 4  # a pixel has SAMPLES × SAMPLES samples
FOLDER = Path(__file__).parents[1] / "fixtures" / "images"


class Canvas:
    """A picture of `width` × `height` pixels, uint8 RGB; coordinates are in pixels from the upper left corner."""

    def __init__(self, width: int, height: int, top: Colour, bottom: Colour) -> None:
        """Fill with a vertical gradient from `top` to `bottom`."""
        self.width, self.height = width, height
        rows = np.arange(height)[:, None, None]
        steps = np.array(top) * (height - 1 - rows) + np.array(bottom) * rows
        self.pixels = np.broadcast_to(steps // (height - 1), (height, width, 3)).astype(np.int64)

    def paint(
        self, box: Sequence[float], inside: Callable[[Grid, Grid], Mask], colour: Colour, alpha: int = 16
    ) -> None:
        """Blend `colour` at `alpha` sixteenths where `inside(x, y)` holds; nothing outside `box` (x0, y0, x1, y1)."""
        x0, y0 = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
        x1, y1 = min(math.ceil(box[2]), self.width), min(math.ceil(box[3]), self.height)
        if x0 >= x1 or y0 >= y1:
            return
        x = x0 + (np.arange((x1 - x0) * SAMPLES) + 0.5)[None, :] / SAMPLES
        y = y0 + (np.arange((y1 - y0) * SAMPLES) + 0.5)[:, None] / SAMPLES
        hits = np.broadcast_to(inside(x, y), (y.size, x.size)).reshape(y1 - y0, SAMPLES, x1 - x0, SAMPLES)
        weight = hits.sum(axis=(1, 3), dtype=np.int64)[:, :, None] * alpha
        whole = SAMPLES * SAMPLES * 16
        part = self.pixels[y0:y1, x0:x1]
        self.pixels[y0:y1, x0:x1] = (part * (whole - weight) + np.array(colour) * weight + whole // 2) // whole

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, colour: Colour, alpha: int = 16) -> None:
        """Fill an upright ellipse."""
        box = (cx - rx, cy - ry, cx + rx, cy + ry)
        self.paint(box, lambda x, y: ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1, colour, alpha)

    def leaf(self, start: Point, end: Point, width: float, colour: Colour, alpha: int = 16) -> None:
        """Fill an ellipse whose long axis runs from `start` to `end`, `width` across."""
        (ax, ay), (bx, by) = start, end
        half = math.hypot(bx - ax, by - ay) / 2
        cx, cy, ux, uy = (ax + bx) / 2, (ay + by) / 2, (bx - ax) / 2 / half, (by - ay) / 2 / half
        reach = max(half, width / 2)

        def inside(x: Grid, y: Grid) -> Mask:
            along, across = (x - cx) * ux + (y - cy) * uy, (y - cy) * ux - (x - cx) * uy
            return (along / half) ** 2 + (across / (width / 2)) ** 2 <= 1

        self.paint((cx - reach, cy - reach, cx + reach, cy + reach), inside, colour, alpha)

    def polygon(self, points: Sequence[Point], colour: Colour, alpha: int = 16) -> None:
        """Fill a polygon by the even-odd rule."""

        def inside(x: Grid, y: Grid) -> Mask:
            odd = np.zeros((y.size, x.size), bool)
            for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
                if ay != by:
                    crossing = ax + (y - ay) * ((bx - ax) / (by - ay))
                    odd ^= ((ay <= y) != (by <= y)) & (x < crossing)
            return odd

        xs, ys = [p[0] for p in points], [p[1] for p in points]
        self.paint((min(xs), min(ys), max(xs), max(ys)), inside, colour, alpha)

    def line(self, points: Sequence[Point], width: float, colour: Colour, alpha: int = 16) -> None:
        """Draw straight pieces `width` across with round ends."""
        half = width / 2
        for (ax, ay), (bx, by) in pairwise(points):
            dx, dy = bx - ax, by - ay

            def inside(x: Grid, y: Grid, ax: float = ax, ay: float = ay, dx: float = dx, dy: float = dy) -> Mask:
                t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
                near: Mask = (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2 <= half * half
                return near

            box = (min(ax, bx) - half, min(ay, by) - half, max(ax, bx) + half, max(ay, by) + half)
            self.paint(box, inside, colour, alpha)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, alpha: int = 16) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, alpha)

    def glow(self, cx: float, cy: float, rx: float, ry: float, colour: Colour, rings: int = 12, alpha: int = 1) -> None:
        """Blend concentric ellipses, strongest in the middle."""
        for ring in range(rings, 0, -1):
            self.ellipse(cx, cy, rx * ring / rings, ry * ring / rings, colour, alpha)

    def image(self) -> Image.Image:
        """Return the picture as Pillow's RGB image."""
        return Image.fromarray(self.pixels.astype(np.uint8))


def ring(cx: float, cy: float, r: float, count: int, turn: float = 0.0) -> list[Point]:
    """Return `count` points on a circle, `turn` in full turns, clockwise from the top, rounded to 1/1024 pixel."""
    angles = [2 * math.pi * (turn + i / count) for i in range(count)]
    return [(round((cx + r * math.sin(a)) * 1024) / 1024, round((cy - r * math.cos(a)) * 1024) / 1024) for a in angles]


def scattered(count: int, width: float, height: float, seed: int) -> Iterable[tuple[float, float, int]]:
    """Yield `count` steady pseudo-random points, each with a number from 0 to 255 (a linear congruential generator)."""
    value = seed
    for _ in range(count):
        numbers = []
        for _ in range(3):
            value = (value * 1103515245 + 12345) % 2**31
            numbers.append(value >> 16)
        yield numbers[0] / 2**15 * width, numbers[1] / 2**15 * height, numbers[2] % 256


def wolf_sketch() -> Canvas:
    """The head of a grey wolf in falling snow, before dark firs."""
    c = Canvas(360, 360, (92, 104, 124), (182, 190, 204))
    for x, top in ((20, 60), (70, 110), (115, 80), (250, 95), (300, 50), (345, 105)):
        for step in range(4):
            y = top + step * 46
            c.polygon(
                [(x, y - 40), (x + 26 + step * 7, y + 40), (x - 26 - step * 7, y + 40)],
                (58 + step * 6, 72 + step * 6, 84 + step * 6),
            )
    c.polygon([(0, 270), (120, 250), (240, 262), (360, 246), (360, 360), (0, 360)], (232, 237, 245))
    c.polygon([(84, 360), (92, 290), (120, 240), (240, 240), (268, 290), (276, 360)], (112, 112, 116))
    for x in range(96, 270, 12):
        c.polygon([(x, 360), (x + 6, 276 + (x * 7) % 40), (x + 12, 360)], (150, 148, 146))
    for side in (-1, 1):

        def at(x: float, y: float, side: int = side) -> Point:
            return 180 + side * x, y

        c.polygon([at(36, 118), at(96, 20), at(112, 150)], (74, 74, 80))
        c.polygon([at(54, 116), at(92, 50), at(100, 138)], (172, 146, 136))
        c.polygon(
            [
                at(0, 92),
                at(52, 98),
                at(104, 140),
                at(132, 196),
                at(112, 200),
                at(118, 226),
                at(92, 222),
                at(92, 250),
                at(60, 244),
                at(36, 290),
                at(0, 304),
            ],
            (120, 120, 126),
        )
        c.polygon(
            [
                at(96, 160),
                at(132, 196),
                at(112, 200),
                at(118, 226),
                at(92, 222),
                at(92, 250),
                at(60, 244),
                at(36, 288),
                at(0, 298),
                at(0, 240),
                at(40, 214),
                at(60, 190),
            ],
            (222, 218, 210),
        )
        c.polygon([at(0, 92), at(30, 96), at(22, 140), at(14, 200), at(0, 210)], (84, 84, 92))
        c.polygon([at(24, 160), at(62, 148), at(72, 160), at(46, 178)], (222, 218, 210))
        c.leaf(at(28, 172), at(62, 158), 17, (34, 30, 32))
        c.leaf(at(32, 171), at(58, 160), 13, (226, 168, 52))
        c.ellipse(*at(44, 165.5), 5.5, 6, (18, 16, 18))
        c.ellipse(*at(41, 163), 1.7, 1.7, (250, 250, 250))
        c.line([at(30, 140), at(66, 136)], 5, (64, 64, 70))
        for k in range(5):
            c.line([at(70 + k * 9, 176 + k * 9), at(84 + k * 9, 196 + k * 8)], 2.4, (150, 148, 148))
    c.polygon([(158, 180), (202, 180), (218, 244), (204, 282), (156, 282), (142, 244)], (206, 200, 192))
    c.polygon([(170, 150), (190, 150), (200, 236), (160, 236)], (132, 126, 126))
    c.ellipse(180, 240, 23, 16, (28, 26, 30))
    c.ellipse(174, 234, 8, 4, (92, 90, 98))
    c.line([(180, 254), (180, 268), (160, 278), (146, 272)], 4, (36, 32, 34))
    c.line([(180, 268), (200, 278), (214, 272)], 4, (36, 32, 34))
    c.leaf((180, 274), (180, 300), 22, (196, 92, 100))
    for flake_x, flake_y, size in scattered(90, 360, 360, 269):
        c.ellipse(flake_x, flake_y, 1 + size / 120, 1 + size / 120, (250, 252, 255), 13)
    return c


def balloon() -> Canvas:
    """A striped hot-air balloon over hills."""
    c = Canvas(300, 400, (70, 148, 224), (206, 232, 248))
    for cx, cy, s in ((60, 90, 1.0), (250, 180, 0.8), (50, 270, 0.7)):
        for dx, dy, r in ((-26, 6, 18), (0, 0, 24), (26, 5, 19)):
            c.ellipse(cx + dx * s, cy + dy * s, r * s * 1.3, r * s * 0.8, (248, 250, 253))
    c.ellipse(70, 420, 190, 80, (92, 158, 84))
    c.ellipse(260, 424, 170, 66, (66, 132, 74))
    c.polygon([(78, 190), (222, 190), (172, 288), (128, 288)], (214, 44, 52))
    c.ellipse(150, 145, 92, 100, (214, 44, 52))
    for half, colour in ((64, (250, 200, 52)), (38, (240, 120, 40)), (14, (250, 236, 180))):
        c.ellipse(150, 145, half, 100, colour)
        c.polygon([(150 - half, 150), (150 + half, 150), (150 + half * 0.34, 288), (150 - half * 0.34, 288)], colour)
    c.glow(118, 104, 46, 54, (255, 255, 255), 10)
    for x in (130, 150, 170):
        c.line([(x, 288), (150 + (x - 150) * 0.8, 326)], 2, (84, 62, 44))
    c.box(131, 324, 169, 354, (140, 92, 48))
    for y in (331, 339, 347):
        c.line([(132, y), (168, y)], 2, (108, 68, 34))
    c.box(128, 320, 172, 327, (94, 58, 30))
    return c


def lighthouse() -> Canvas:
    """A red and white lighthouse on a rock at dusk."""
    c = Canvas(280, 420, (38, 36, 92), (246, 152, 104))
    c.glow(210, 300, 110, 80, (255, 214, 130), 12)
    c.box(0, 318, 280, 420, (34, 66, 112))
    for x, y, n in scattered(60, 280, 96, 437):
        c.line([(x, 322 + y), (x + 8 + n / 10, 322 + y)], 1.6, (96, 134, 176))
    c.polygon([(136, 80), (0, 30), (0, 104)], (255, 240, 170), 7)
    c.polygon([(144, 80), (280, 34), (280, 108)], (255, 240, 170), 7)
    c.polygon([(40, 420), (64, 366), (104, 344), (190, 340), (224, 372), (262, 420)], (62, 54, 58))
    c.polygon([(104, 344), (190, 340), (170, 372), (120, 380)], (88, 78, 80))
    for i in range(7):
        y0, y1 = 104 + i * 34.5, 104 + (i + 1) * 34.5
        w0, w1 = 24 + i * 3, 24 + (i + 1) * 3
        c.polygon(
            [(140 - w0, y0), (140 + w0, y0), (140 + w1, y1), (140 - w1, y1)],
            (206, 46, 46) if i % 2 == 0 else (244, 240, 232),
        )
    c.polygon([(146, 104), (164, 104), (185, 346), (156, 346)], (20, 16, 40), 4)
    c.box(108, 96, 172, 106, (44, 42, 50))
    c.box(122, 64, 158, 96, (255, 236, 150))
    for x in (122, 134, 146, 158):
        c.line([(x, 64), (x, 96)], 2.5, (44, 42, 50))
    c.polygon([(114, 64), (166, 64), (140, 36)], (170, 36, 40))
    c.line([(140, 36), (140, 22)], 3, (44, 42, 50))
    for y in (160, 230, 296):
        c.box(134, y, 146, y + 18, (48, 46, 66))
    return c


def wall_clock() -> Canvas:
    """A round clock on a green wall, ten past ten."""
    c = Canvas(320, 300, (108, 146, 128), (82, 120, 106))
    for x in range(0, 320, 40):
        c.box(x, 0, x + 20, 300, (96, 136, 118))
    c.ellipse(168, 160, 124, 124, (30, 50, 44), 8)
    c.ellipse(160, 150, 124, 124, (96, 56, 28))
    c.ellipse(160, 150, 116, 116, (150, 96, 52))
    c.ellipse(160, 150, 104, 104, (250, 247, 236))
    for i, (outer, inner) in enumerate(zip(ring(160, 150, 97, 60), ring(160, 150, 90, 60), strict=True)):
        if i % 5:
            c.line([outer, inner], 1.6, (70, 66, 64))
    for i, (outer, inner) in enumerate(zip(ring(160, 150, 96, 12), ring(160, 150, 78, 12), strict=True)):
        c.line([outer, inner], 8 if i % 3 == 0 else 4.5, (30, 28, 30))
    hour, minute, second = (
        ring(160, 150, 54, 1, 10.17 / 12)[0],
        ring(160, 150, 82, 1, 1 / 6)[0],
        ring(160, 150, 86, 1, 0.58)[0],
    )
    c.line([(160, 150), hour], 9, (28, 26, 30))
    c.line([(160, 150), minute], 6, (28, 26, 30))
    c.line([(160, 150), second], 2.4, (204, 38, 34))
    c.ellipse(160, 150, 8, 8, (204, 38, 34))
    return c


def traffic_light() -> Canvas:
    """A traffic light that shows red, in a street at evening."""
    c = Canvas(260, 380, (120, 142, 176), (226, 196, 172))
    for x, w, top, shade in ((0, 60, 150, 96), (52, 46, 210, 116), (176, 50, 180, 108), (218, 44, 120, 90)):
        c.box(x, top, x + w, 380, (shade, shade - 6, shade + 8))
        for wy in range(top + 14, 350, 26):
            for wx in range(x + 8, x + w - 10, 16):
                c.box(wx, wy, wx + 8, wy + 13, (250, 220, 130) if (wx * 7 + wy) % 3 else (60, 62, 76))
    c.box(0, 352, 260, 380, (72, 72, 78))
    c.box(122, 270, 138, 380, (52, 54, 58))
    c.box(82, 30, 178, 284, (26, 30, 30))
    c.box(88, 36, 172, 278, (46, 54, 50))
    for y, colour, lit in ((78, (255, 48, 36), True), (157, (110, 88, 20), False), (236, (18, 84, 48), False)):
        c.ellipse(130, y, 36, 36, (14, 16, 16))
        c.ellipse(130, y, 31, 31, colour)
        c.glow(122, y - 9, 16, 14, (255, 230, 200), 8, 2 if lit else 1)
        c.polygon(
            [(90, y - 28), (130, y - 48), (170, y - 28), (162, y - 22), (130, y - 38), (98, y - 22)], (12, 14, 14)
        )
    c.glow(130, 78, 90, 80, (255, 70, 50), 10)
    return c


def mushroom() -> Canvas:
    """A red toadstool with white spots in the grass."""
    c = Canvas(340, 320, (42, 74, 52), (96, 126, 62))
    for x, y, n in scattered(26, 340, 150, 947):
        c.glow(x, y, 12 + n / 12, 12 + n / 12, (150, 190, 110), 4)
    c.polygon([(140, 160), (200, 160), (214, 292), (126, 292)], (238, 230, 208))
    c.polygon([(178, 160), (200, 160), (214, 292), (184, 292)], (206, 194, 168))
    c.polygon([(132, 184), (208, 184), (220, 206), (196, 200), (170, 208), (146, 200), (120, 206)], (226, 216, 190))
    c.paint(
        (40, 30, 300, 180),
        lambda x, y: (((x - 170) / 128) ** 2 + ((y - 168) / 132) ** 2 <= 1) & (y < 168),
        (206, 30, 34),
    )
    c.ellipse(170, 168, 128, 24, (168, 20, 28))
    c.ellipse(170, 172, 112, 16, (232, 216, 186))
    for x in range(66, 280, 9):
        c.line([(x, 172), (170 + (x - 170) * 0.7, 186)], 1.2, (196, 178, 146))
    for x, y, rx, ry in (
        (170, 72, 24, 17),
        (110, 104, 19, 16),
        (228, 102, 20, 16),
        (78, 146, 11, 10),
        (150, 128, 16, 12),
        (204, 140, 15, 10),
        (262, 144, 11, 10),
        (130, 58, 9, 7),
        (214, 64, 9, 7),
    ):
        c.ellipse(x, y, rx, ry, (250, 246, 236))
    c.glow(132, 94, 44, 32, (255, 255, 255), 6)
    for x, y, n in scattered(150, 340, 30, 77):
        c.polygon([(x - 4, 322), (x + (n - 128) / 9, 262 + y), (x + 4, 322)], (58 + n // 4, 120 + n // 5, 44))
    return c


def umbrella() -> Canvas:
    """An open umbrella in the rain."""
    c = Canvas(320, 320, (86, 98, 116), (150, 160, 172))
    for x, y, n in scattered(120, 330, 320, 879):
        c.line([(x, y), (x - 5, y + 12 + n / 24)], 1.4, (196, 208, 222))
    c.line([(160, 40), (160, 268)], 6, (70, 48, 34))
    c.line([(160, 268), (163, 282), (174, 290), (187, 286), (193, 272)], 8, (70, 48, 34))
    panels = (
        (34, 84, (38, 70, 168)),
        (84, 134, (238, 196, 44)),
        (134, 186, (38, 70, 168)),
        (186, 236, (238, 196, 44)),
        (236, 286, (38, 70, 168)),
    )
    for left, right, colour in panels:

        def inside(x: Grid, y: Grid, left: float = left, right: float = right) -> Mask:
            rise = np.clip((172 - y) / 122, 0, 1)
            spread = np.clip(1 - rise**2 * rise, 0, 1)
            middle, half = (left + right) / 2, (right - left) / 2
            scallop = ((x - middle) / half) ** 2 + ((y - 172) / 16) ** 2 > 1
            return (
                (x >= 160 + (left - 160) * spread)
                & (x < 160 + (right - 160) * spread)
                & (y >= 50)
                & (y < 172)
                & scallop
            )

        c.paint((20, 40, 300, 180), inside, colour)
    c.line([(160, 34), (160, 52)], 5, (70, 48, 34))
    c.box(0, 300, 320, 320, (98, 104, 112))
    for x, rx in ((60, 40), (180, 60), (280, 34)):
        c.ellipse(x, 309, rx, 5, (150, 166, 186))
    return c


def basketball() -> Canvas:
    """A basketball on a wooden floor."""
    c = Canvas(300, 300, (56, 62, 84), (92, 98, 118))
    c.box(0, 190, 300, 300, (202, 150, 92))
    for i, y in enumerate((190, 206, 228, 256, 288)):
        c.line([(0, y), (300, y)], 2, (150, 102, 56))
        for x in range(-20 + i * 37 % 60, 300, 90):
            c.line([(x, y), (x - 6, y + 16 + i * 5)], 1.6, (150, 102, 56))
    c.ellipse(158, 262, 96, 18, (72, 44, 24), 10)
    c.ellipse(150, 154, 108, 108, (118, 52, 14))
    c.ellipse(149, 152, 105, 105, (226, 112, 36))
    c.glow(120, 114, 54, 50, (255, 208, 150), 8)

    def seams(x: Grid, y: Grid) -> Mask:
        u, v = (x - 150) * 0.94 + (y - 154) * 0.342, (y - 154) * 0.94 - (x - 150) * 0.342
        ball = u * u + v * v <= 106 * 106
        curves = [np.abs(np.sqrt((u - s * 132) ** 2 + v * v) - 86) <= 2.4 for s in (-1, 1)]
        drawn: Mask = ball & ((np.abs(u) <= 2.4) | (np.abs(v) <= 2.4) | curves[0] | curves[1])
        return drawn

    c.paint((40, 40, 262, 266), seams, (44, 24, 14))
    return c


def ladybug() -> Canvas:
    """A ladybird on a leaf."""
    c = Canvas(360, 260, (188, 222, 236), (222, 238, 214))
    c.leaf((-30, 210), (400, 90), 190, (70, 152, 60))
    c.leaf((-30, 214), (400, 96), 120, (92, 174, 74))
    c.line([(-10, 206), (370, 98)], 4, (46, 116, 44))
    for x in range(30, 360, 46):
        y = 203 - x * 0.284
        c.line([(x, y), (x + 40, y - 62)], 2, (56, 128, 50))
        c.line([(x, y), (x + 56, y + 42)], 2, (56, 128, 50))
    for dx in (-48, 0, 46):
        c.line([(176 + dx, 96), (170 + dx * 1.5, 62), (158 + dx * 1.7, 56)], 6, (24, 22, 24))
        c.line([(180 + dx, 176), (182 + dx * 1.5, 212), (174 + dx * 1.7, 222)], 6, (24, 22, 24))
    for dy in (-1, 1):
        c.line([(268, 132 + dy * 14), (296, 130 + dy * 34), (306, 130 + dy * 36)], 4, (24, 22, 24))
    c.ellipse(254, 134, 33, 36, (26, 24, 28))
    c.ellipse(268, 118, 7, 6, (250, 250, 244))
    c.ellipse(268, 150, 7, 6, (250, 250, 244))
    c.ellipse(172, 135, 84, 66, (150, 14, 18))
    c.ellipse(171, 133, 82, 63, (216, 32, 30))
    c.line([(90, 134), (254, 134)], 4, (30, 20, 22))
    for x, y, r in (
        (206, 100, 14),
        (206, 168, 14),
        (158, 92, 13),
        (158, 176, 13),
        (122, 112, 11),
        (122, 156, 11),
        (232, 134, 14),
    ):
        c.ellipse(x, y, r, r * 0.95, (26, 20, 22))
    c.glow(170, 104, 60, 26, (255, 255, 255), 6)
    return c


def pizza() -> Canvas:
    """A pizza with salami, olives and basil on a checked cloth, one slice cut."""
    c = Canvas(320, 320, (240, 240, 240), (240, 240, 240))
    for start in range(0, 320, 40):
        c.box(start, 0, start + 20, 320, (214, 60, 60), 8)
        c.box(0, start, 320, start + 20, (214, 60, 60), 8)
    c.ellipse(166, 168, 142, 142, (90, 40, 40), 6)
    c.ellipse(160, 160, 142, 142, (168, 104, 46))
    c.ellipse(160, 160, 138, 138, (214, 150, 76))
    c.ellipse(160, 160, 121, 121, (200, 66, 34))
    c.ellipse(160, 160, 116, 116, (250, 208, 98))
    for x, y, n in scattered(46, 230, 230, 963):
        if (x - 115) ** 2 + (y - 115) ** 2 < 105 * 105:
            c.ellipse(45 + x, 45 + y, 6 + n / 24, 4 + n / 32, (254, 228, 150))
    for x, y in (*ring(160, 160, 84, 7, 0.03), *ring(160, 160, 34, 3, 0.1)):
        c.ellipse(x, y, 20, 20, (150, 30, 26))
        c.ellipse(x, y, 17, 17, (196, 54, 42))
        c.ellipse(x - 5, y - 4, 4, 3, (230, 120, 96))
        c.ellipse(x + 6, y + 5, 3, 3, (230, 120, 96))
    for x, y in ring(160, 160, 60, 6, 0.11):
        c.ellipse(x, y, 8, 8, (36, 38, 28))
        c.ellipse(x, y, 3.4, 3.4, (250, 208, 98))
    for (x, y), (x2, y2) in zip(ring(160, 160, 104, 5, 0.06), ring(160, 160, 80, 5, 0.09), strict=True):
        c.leaf((x, y), (x2, y2), 13, (50, 128, 44))
    for edge in ring(160, 160, 142, 2, 0.075):
        c.line([(160, 160), edge], 3, (130, 66, 30))
    c.line([(160, 160), ring(160, 160, 142, 1, 0.2)[0]], 3, (130, 66, 30))
    return c


def daisy() -> Canvas:
    """A daisy with white petals in a meadow."""
    c = Canvas(300, 340, (150, 204, 240), (112, 176, 88))
    for x, y, n in scattered(90, 300, 90, 985):
        c.polygon([(x - 5, 342), (x + (n - 128) / 8, 236 + y), (x + 5, 342)], (60 + n // 5, 140 + n // 6, 52))
    c.line([(150, 150), (156, 230), (148, 340)], 9, (64, 128, 48))
    c.leaf((152, 290), (232, 232), 34, (74, 148, 56))
    c.leaf((150, 316), (70, 262), 32, (66, 136, 50))
    for turn, reach, colour in ((0.0, 112, (216, 220, 232)), (0.5 / 16, 106, (250, 250, 252))):
        for (x0, y0), (x1, y1) in zip(ring(150, 140, 20, 16, turn), ring(150, 140, reach, 16, turn), strict=True):
            c.leaf((x0, y0), (x1, y1), 31, (196, 200, 216))
            c.leaf((x0, y0), (x1, y1), 27, colour)
    c.ellipse(150, 140, 37, 37, (206, 142, 20))
    c.ellipse(150, 139, 34, 34, (250, 200, 40))
    for radius, count in ((26, 18), (17, 12), (8, 6)):
        for x, y in ring(150, 139, radius, count, radius / 97):
            c.ellipse(x, y, 3, 3, (222, 154, 22))
    return c


def volcano() -> Canvas:
    """A volcano that throws out lava at night."""
    c = Canvas(420, 280, (22, 18, 48), (122, 46, 52))
    for x, y, n in scattered(70, 420, 150, 980):
        c.ellipse(x, y, 0.6 + n / 260, 0.6 + n / 260, (230, 226, 240))
    for x, y, r in ((232, 60, 34), (262, 38, 40), (306, 30, 44), (350, 40, 40), (208, 84, 24)):
        c.ellipse(x, y, r, r * 0.8, (70, 60, 74))
        c.ellipse(x - 4, y - 6, r * 0.7, r * 0.5, (96, 84, 96))
    c.glow(210, 96, 110, 90, (255, 110, 30), 12)
    for dx in (-70, -44, -20, 0, 22, 48, 74):
        top = 30 + dx * dx / 90
        c.line(
            [(210 + dx * 0.2, 112), (210 + dx * 0.62, top + 14), (210 + dx, top + 34 + dx * dx / 120)],
            5,
            (255, 160, 40),
        )
        c.ellipse(210 + dx, top + 36 + dx * dx / 120, 5, 5, (255, 226, 110))
    c.polygon(
        [(0, 280), (60, 236), (130, 176), (176, 108), (246, 108), (290, 176), (360, 232), (420, 280)], (58, 44, 48)
    )
    c.polygon([(210, 112), (246, 108), (290, 176), (360, 232), (420, 280), (260, 280)], (42, 32, 38))
    c.polygon(
        [
            (176, 108),
            (246, 108),
            (236, 122),
            (226, 114),
            (222, 170),
            (240, 214),
            (230, 280),
            (200, 280),
            (206, 216),
            (190, 176),
            (198, 120),
            (186, 124),
        ],
        (226, 62, 20),
    )
    c.polygon(
        [
            (192, 109),
            (230, 109),
            (216, 128),
            (212, 172),
            (224, 216),
            (216, 280),
            (210, 280),
            (212, 216),
            (200, 172),
            (206, 126),
        ],
        (255, 190, 60),
    )
    c.polygon([(0, 280), (0, 262), (70, 250), (150, 268), (280, 256), (420, 264), (420, 280)], (20, 18, 26))
    return c


def candle() -> Canvas:
    """A burning candle on a dish in the dark."""
    c = Canvas(240, 360, (28, 20, 24), (60, 38, 32))
    c.glow(120, 96, 120, 120, (255, 160, 60), 14)
    c.box(0, 308, 240, 360, (88, 54, 34))
    c.box(0, 308, 240, 312, (120, 76, 48))
    c.ellipse(120, 326, 92, 20, (46, 26, 18))
    c.ellipse(120, 318, 88, 18, (196, 160, 70))
    c.ellipse(120, 314, 74, 12, (150, 116, 44))
    c.box(86, 160, 154, 312, (240, 226, 196))
    c.ellipse(120, 312, 34, 7, (240, 226, 196))
    c.box(132, 160, 154, 314, (206, 180, 142))
    c.box(92, 166, 102, 308, (252, 244, 224))
    c.ellipse(120, 160, 34, 9, (252, 236, 190))
    c.ellipse(120, 161, 24, 5, (240, 200, 120))
    for x, y, w in ((94, 214, 10), (110, 194, 9), (146, 232, 11)):
        c.line([(x, 164), (x, y)], w, (250, 240, 214))
    c.line([(120, 160), (121, 136)], 4, (40, 28, 24))
    c.polygon(
        [(120, 36), (136, 76), (144, 108), (136, 136), (120, 146), (104, 136), (96, 108), (106, 76)], (255, 140, 30)
    )
    c.leaf((120, 58), (120, 146), 38, (255, 196, 60))
    c.leaf((120, 92), (120, 146), 24, (255, 246, 190))
    c.leaf((120, 126), (120, 150), 16, (90, 120, 220), 9)
    return c


def soccer_ball() -> Canvas:
    """A white ball with black pentagons on a lawn before a net."""
    c = Canvas(380, 340, (96, 150, 204), (190, 218, 236))
    for x in range(-20, 400, 22):
        c.line([(x, 0), (x + 12, 210)], 2, (240, 244, 248), 9)
    for y in range(8, 210, 20):
        c.line([(0, y), (380, y + 6)], 2, (240, 244, 248), 9)
    c.box(0, 206, 380, 340, (58, 132, 54))
    for stripe in range(0, 380, 76):
        c.polygon([(stripe, 206), (stripe + 38, 206), (stripe + 20, 340), (stripe - 40, 340)], (70, 148, 62))
    for x, y, size in scattered(260, 380, 128, 11):
        c.line([(x, 212 + y), (x + 2, 204 + y)], 1.5, (40 + size // 8, 110 + size // 5, 40))
    c.ellipse(196, 284, 104, 18, (24, 62, 24), 9)
    c.ellipse(190, 178, 106, 106, (120, 124, 132))
    c.ellipse(190, 178, 103, 103, (244, 245, 248))
    c.ellipse(206, 200, 80, 78, (222, 225, 232), 8)
    middle = ring(190, 172, 34, 5)
    outer = ring(190, 174, 96, 5)
    c.polygon(middle, (26, 28, 34))
    for index, (x, y) in enumerate(middle):
        far = outer[index]
        c.line([(x, y), (x + (far[0] - x) * 0.46, y + (far[1] - y) * 0.46)], 4, (60, 62, 70))
    for index, (x, y) in enumerate(outer):
        c.polygon(_dark_patch(x, y, index), (26, 28, 34))
        following = outer[(index + 1) % 5]
        seam = ring(190, 176, 74, 5, 0.1)[index]
        c.line([(x, y), seam, following], 4, (60, 62, 70))
        c.line([seam, ring(190, 178, 102, 5, 0.1)[index]], 4, (60, 62, 70))
    c.glow(152, 122, 46, 36, (255, 255, 255), 10, 2)
    return c


def _dark_patch(x: float, y: float, index: int) -> list[Point]:
    """Return a pentagon at the rim of the ball, foreshortened towards it."""
    outwards = ring(0, 0, 1, 5)[index]
    across = (-outwards[1], outwards[0])
    corners = ((-22, 0), (-13, 20), (13, 20), (22, 0), (0, -14))
    return [(x + across[0] * a - outwards[0] * b * 0.6, y + across[1] * a - outwards[1] * b * 0.6) for a, b in corners]


PICTURES: dict[str, Callable[[], Canvas]] = {
    draw.__name__: draw
    for draw in (
        wolf_sketch,
        balloon,
        lighthouse,
        wall_clock,
        traffic_light,
        mushroom,
        umbrella,
        basketball,
        ladybug,
        pizza,
        daisy,
        volcano,
        candle,
        soccer_ball,
    )
}


def main(folder: Path = FOLDER) -> None:
    """Write every picture as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        draw().image().save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
