"""Course covers drawn from the course itself: an SVG of 800 × 450, no file, no network, no clock.

The palette follows the category, the pattern and its numbers follow a hash of the key, so one
course keeps one cover for ever and neighbours on a page differ.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 800
HEIGHT = 450
MARGIN = 56
TEXT_WIDTH = 500  # the pattern owns the right side
MAX_LINES = 3
SIZES = (58, 52, 48, 44, 38)  # px, tried from the largest
FONT = (
    "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei','Helvetica Neue',sans-serif"
)
# Closing marks may not open a line (the usual rule of Chinese typesetting).
NO_LINE_START = frozenset("，。、；：？！）》」』”’…—,.;:?!)]}%")
NO_LINE_END = frozenset("（《「『“‘([{")


@dataclass(frozen=True)
class Palette:
    """A gradient from `deep` to `light`, with an `accent` that stands out on both."""

    deep: str
    light: str
    accent: str


PALETTES = {
    "职场效率": Palette("#12306b", "#3f7fe0", "#ffd166"),
    "编程与数据": Palette("#0b2b33", "#12857f", "#8ef6c6"),
    "商业与产品": Palette("#5a1a2b", "#d8563f", "#ffd9a0"),
    "理财与投资": Palette("#0f3d2c", "#2f9463", "#f6d977"),
    "心理与亲子": Palette("#6a2b63", "#e0708f", "#ffe3c4"),
    "写作与表达": Palette("#2a2352", "#7a63d4", "#ffc9dd"),
    "历史与人文": Palette("#4a2413", "#bb7636", "#fbe6b8"),
    "健康与生活": Palette("#1e4b2b", "#7cb342", "#fff3b0"),
}
OTHER_PALETTES = (
    Palette("#1c2541", "#5b7db1", "#ffd6a5"),
    Palette("#33223b", "#8a5a83", "#f7c59f"),
    Palette("#16343c", "#3d8b99", "#f4e285"),
    Palette("#3b1f2b", "#a34a5b", "#ffe0b5"),
    Palette("#22313f", "#5d7f8c", "#f2b880"),
    Palette("#2d2a4a", "#5f6fb0", "#b8f2e6"),
)


class Dice:
    """Numbers drawn from the digest of a name, always in the same order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def real(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        self._count += 1
        digest = hashlib.sha256(f"{self._name}:{self._count}".encode()).digest()
        return low + (high - low) * int.from_bytes(digest[:6], "big") / 2**48

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.real(0, high - low + 1))


def cover_svg(*, title: str, category: str, creator: str, key: str) -> str:
    """The cover as SVG text: well-formed XML, texts escaped, the same bytes for the same input.

    A category without a palette of its own gets one by its name. A long title wraps to at most
    three lines and ends with an ellipsis.
    """
    dice = Dice(key)
    palette = palette_for(category)
    pattern = PATTERNS[dice.whole(0, len(PATTERNS) - 1)]
    size, lines = title_layout(printable(title))
    leading = round(size * 1.32)
    first = round(HEIGHT / 2 - leading * (len(lines) - 1) / 2 + size * 0.36)
    spans = "".join(
        f'<text x="{MARGIN}" y="{first + leading * row}" font-size="{size}" font-weight="700"'
        f' fill="#fff">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(printable(title))}</title>"
        f"{backdrop(palette, dice)}"
        f'<g fill="none" stroke="none">{pattern(dice, palette)}</g>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#shade)"/>'
        f'<g font-family="{FONT}">{label(printable(category), palette)}{spans}'
        f"{signature(printable(creator), palette)}</g></svg>"
    )


def printable(text: str) -> str:
    """The text with every run of spaces and control characters as one space (XML 1.0 allows
    hardly any control character)."""
    kept = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(kept.split())


def palette_for(category: str) -> Palette:
    """The category's palette, else one of the others chosen by its name."""
    known = PALETTES.get(category)
    return known or OTHER_PALETTES[Dice(category).whole(0, len(OTHER_PALETTES) - 1)]


def backdrop(palette: Palette, dice: Dice) -> str:
    """Gradient, a soft glow behind the pattern, and the shade that keeps the title readable."""
    turn = dice.real(0.0, 0.35)
    glow_x, glow_y = dice.real(0.72, 0.95), dice.real(0.1, 0.6)
    return (
        f'<defs><linearGradient id="ground" x1="0" y1="{turn:.2f}" x2="1" y2="{1 - turn:.2f}">'
        f'<stop offset="0" stop-color="{palette.deep}"/>'
        f'<stop offset="1" stop-color="{palette.light}"/></linearGradient>'
        f'<radialGradient id="glow" cx="{glow_x:.2f}" cy="{glow_y:.2f}" r=".6">'
        f'<stop offset="0" stop-color="{palette.accent}" stop-opacity=".38"/>'
        f'<stop offset="1" stop-color="{palette.accent}" stop-opacity="0"/></radialGradient>'
        f'<linearGradient id="shade"><stop offset=".2" stop-color="{palette.deep}"'
        f' stop-opacity=".72"/><stop offset=".75" stop-color="{palette.deep}"'
        f' stop-opacity="0"/></linearGradient></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#ground)"/>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#glow)"/>'
    )


def label(category: str, palette: Palette) -> str:
    """The category at the top left, behind a short bar in the accent colour."""
    return (
        f'<rect x="{MARGIN}" y="54" width="6" height="26" rx="3" fill="{palette.accent}"/>'
        f'<text x="{MARGIN + 20}" y="75" font-size="23" fill="#fff" fill-opacity=".92"'
        f' letter-spacing="2">{escape(category[:12])}</text>'
    )


def signature(creator: str, palette: Palette) -> str:
    """The creator's name at the bottom left."""
    if not creator:
        return ""
    return (
        f'<circle cx="{MARGIN + 7}" cy="{HEIGHT - 61}" r="7" fill="{palette.accent}"/>'
        f'<text x="{MARGIN + 26}" y="{HEIGHT - 53}" font-size="23" fill="#fff"'
        f' fill-opacity=".92">{escape(creator[:20])}</text>'
    )


def title_layout(title: str) -> tuple[int, list[str]]:
    """Font size in px and the lines: the largest size at which the title fits.

    A title with a colon or comma of its own is parted there if both parts then fit a line.
    """
    for size in SIZES:
        if halves := parted(title, TEXT_WIDTH / size):
            return size, halves
    for size in SIZES:
        lines = wrapped(title, TEXT_WIDTH / size)
        if len(lines) <= (2 if size > 48 else MAX_LINES):
            return size, lines
    kept = lines[:MAX_LINES]
    return size, [*kept[:-1], "".join(pieces(kept[-1])[:-1]).rstrip() + "…"]


def parted(title: str, ems: float) -> list[str]:
    """The title in two lines at its first colon or comma, else nothing."""
    for mark in "：，:,":
        head, found, tail = title.partition(mark)
        if found and tail.strip() and max(width_of(head), width_of(tail)) <= ems:
            return [head + mark, tail.strip()]
    return []


def wrapped(title: str, ems: float) -> list[str]:
    """Lines at most `ems` wide, of even length where that needs no further line."""
    total = width_of(title)
    rows = max(1, math.ceil(total / ems))
    even = filled(title, min(ems, total / rows + 1))
    return even if len(even) <= rows else filled(title, ems)


def filled(title: str, ems: float) -> list[str]:
    """Greedy lines; Latin words stay whole and no line opens with a closing mark."""
    lines = [""]
    for piece in pieces(title):
        if lines[-1] and width_of(lines[-1] + piece.rstrip()) > ems:
            lines[-1] = lines[-1].rstrip()
            lines.append(piece.lstrip())
        else:
            lines[-1] += piece
    return [line for line in (line.strip() for line in lines) if line]


def pieces(title: str) -> list[str]:
    """What may not be torn apart: a Latin word, or one sign with the marks that cling to it."""
    found: list[str] = []
    for char in title:
        glued = bool(found) and (
            char in NO_LINE_START
            or found[-1][-1] in NO_LINE_END
            or (is_narrow(char) and is_narrow(found[-1][-1]) and len(found[-1]) < 20)
        )
        if glued:
            found[-1] += char
        else:
            found.append(char)
    return found


def is_narrow(char: str) -> bool:
    """Letters and digits of half width; a space is none, so that words part there."""
    return char.isascii() and not char.isspace()


def width_of(text: str) -> float:
    """Width in ems: full-width signs 1, the rest about 0.58."""
    return sum(0.58 if ord(char) < 0x2000 else 1.0 for char in text)


Pattern = Callable[[Dice, Palette], str]


def rings(dice: Dice, palette: Palette) -> str:
    """Concentric arcs from a centre near the right edge, one of them in the accent colour."""
    x, y = dice.real(640, 740), dice.real(140, 320)
    bright = dice.whole(1, 4)
    step = dice.real(34, 44)
    drawn = []
    for row in range(8):
        colour, strength = (palette.accent, 0.95) if row == bright else ("#fff", 0.3 - row * 0.026)
        thick = 9 if row == bright else 14
        around = 2 * math.pi * (40 + row * step)
        gap = around * dice.real(0.1, 0.5)
        drawn.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{40 + row * step:.0f}" stroke="{colour}"'
            f' stroke-opacity="{strength:.2f}" stroke-width="{thick}" stroke-linecap="round"'
            f' stroke-dasharray="{around - gap:.0f} {gap:.0f}"'
            f' transform="rotate({dice.whole(0, 359)} {x:.0f} {y:.0f})"/>'
        )
    return "".join(drawn)


def tiles(dice: Dice, palette: Palette) -> str:
    """A grid of quarter circles, triangles and dots that grows denser to the right."""
    side = 75
    drawn = []
    for column in range(5):
        for row in range(6):
            if dice.real(0, 1) > 0.3 + column * 0.15:
                continue
            x, y = 425 + column * side, row * side
            accent = dice.real(0, 1) < 0.16
            fill = f'fill="{palette.accent}" fill-opacity=".9"'
            if not accent:
                fill = f'fill="#fff" fill-opacity="{dice.real(0.07, 0.26):.2f}"'
            turn = f'transform="rotate({90 * dice.whole(0, 3)} {x + side / 2} {y + side / 2})"'
            shape = (
                f"M{x} {y}h{side}a{side} {side} 0 0 1 -{side} {side}z",
                f"M{x} {y}h{side}L{x} {y + side}z",
                f"M{x + 14} {y + side / 2}a23.5 23.5 0 1 0 47 0a23.5 23.5 0 1 0 -47 0z",
            )[dice.whole(0, 2)]
            drawn.append(f'<path d="{shape}" {fill} {turn}/>')
    return "".join(drawn)


def waves(dice: Dice, palette: Palette) -> str:
    """Layered hills along the bottom with a disc above them."""
    drawn = [
        f'<circle cx="{dice.real(610, 710):.0f}" cy="{dice.real(95, 165):.0f}"'
        f' r="{dice.real(42, 66):.0f}" fill="{palette.accent}" fill-opacity=".92"/>'
    ]
    for layer in range(4):
        base = 250 + layer * 50
        swing, shift, length = dice.real(30, 62), dice.real(0, 6), dice.real(170, 290)
        points = [
            (x, base + swing * math.sin(x / length * 2 + shift) - (x - 400) * 0.09)
            for x in range(0, WIDTH + 1, 40)
        ]
        path = " ".join(f"L{x} {y:.0f}" for x, y in points)
        drawn.append(
            f'<path d="M0 {HEIGHT} {path} L{WIDTH} {HEIGHT}z" fill="#fff"'
            f' fill-opacity="{0.07 + layer * 0.05:.2f}"/>'
        )
    return "".join(drawn)


def bars(dice: Dice, palette: Palette) -> str:
    """Rounded slanted bars of different lengths, two of them in the accent colour."""
    drawn = []
    bright = {dice.whole(1, 4), dice.whole(5, 8)}
    for number in range(10):
        x = 462 + number * 42
        top, tall = dice.real(-40, 210), dice.real(110, 320)
        fill = f'fill="#fff" fill-opacity="{dice.real(0.08, 0.26):.2f}"'
        if number in bright:
            fill = f'fill="{palette.accent}" fill-opacity=".9"'
        drawn.append(f'<rect x="{x}" y="{top:.0f}" width="26" height="{tall:.0f}" rx="13" {fill}/>')
    return f'<g transform="rotate(24 620 225)">{"".join(drawn)}</g>'


def network(dice: Dice, palette: Palette) -> str:
    """Points joined to their nearest neighbours."""
    points = [
        (455 + column * 78 + dice.real(-24, 24), 50 + row * 88 + dice.real(-30, 30))
        for column in range(5)
        for row in range(5)
    ]
    lines: list[str] = []
    for here, (x, y) in enumerate(points):
        near = sorted(range(len(points)), key=lambda other: math.dist((x, y), points[other]))
        lines += [
            f'<path d="M{x:.0f} {y:.0f}L{points[other][0]:.0f} {points[other][1]:.0f}"'
            f' stroke="#fff" stroke-opacity=".26" stroke-width="2"/>'
            for other in near[1:4]
            if other > here or dice.real(0, 1) < 0.3
        ]
    dots = []
    for x, y in points:
        accent = dice.real(0, 1) < 0.25
        fill = f'fill="{palette.accent}"' if accent else 'fill="#fff" fill-opacity=".75"'
        radius = dice.real(9, 15) if accent else dice.real(4, 8)
        dots.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.0f}" {fill}/>')
    return "".join(lines + dots)


def leaves(dice: Dice, palette: Palette) -> str:
    """Large overlapping petals around one centre."""
    x, y = dice.real(630, 700), dice.real(190, 260)
    count = dice.whole(6, 9)
    start, long = dice.real(0, 90), dice.real(190, 240)
    drawn = []
    for number in range(count):
        angle = start + number * 360 / count
        fill = f'fill="#fff" fill-opacity="{dice.real(0.1, 0.22):.2f}"'
        if number == count // 2:
            fill = f'fill="{palette.accent}" fill-opacity=".85"'
        wide = dice.real(52, 78)
        drawn.append(
            f'<path d="M0 0C{wide:.0f} -{long * 0.3:.0f} {wide:.0f} -{long * 0.75:.0f}'
            f" 0 -{long:.0f}"
            f'C-{wide:.0f} -{long * 0.75:.0f} -{wide:.0f} -{long * 0.3:.0f} 0 0z" {fill}'
            f' transform="translate({x:.0f} {y:.0f}) rotate({angle:.0f})"/>'
        )
    return "".join(drawn)


PATTERNS: tuple[Pattern, ...] = (rings, tiles, waves, bars, network, leaves)
