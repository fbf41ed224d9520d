"""Write docs/house.svg: the packages of plugins/ and which imports which, floor by floor, with the ground below.

usage: house.py [--check]

A package is a folder of plugins/module_utils or plugins/plugin_utils, what lies at the top of either (`shared`,
`plugin_utils`), or a kind of plugin. --check writes nothing and fails when the picture is stale.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = "docs/house.svg"
HOST, CONTROLLER = "module_utils", "plugin_utils"
# What lies at the top of a folder of packages
TOP = {HOST: "shared", CONTROLLER: CONTROLLER}
INSIDE = ("ansible_collections", "media_ops", "runbook", "plugins")

Arrow = tuple[str, str]


class House:
    """The Python files below plugins/ of a root, by their paths there without `.py`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "plugins"

    @cached_property
    def files(self) -> dict[tuple[str, ...], Path]:
        found = sorted(self.root.rglob("*.py"))
        return {path.relative_to(self.root).with_suffix("").parts: path for path in found}

    @cached_property
    def imports(self) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
        """For each file the files that it imports, at its top or inside a function."""
        return {name: {found for found in self.named(name, path) if found != name} for name, path in self.files.items()}

    def named(self, name: tuple[str, ...], path: Path) -> Iterator[tuple[str, ...]]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                parts = tuple((node.module or "").split(".")) if node.module else ()
                base = name[: -node.level] + parts if node.level else below_plugins(parts)
                if base is not None:
                    yield from self.found(base, [alias.name for alias in node.names])
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    base = below_plugins(tuple(alias.name.split(".")))
                    if base is not None:
                        yield from self.found(base, [])

    def found(self, base: tuple[str, ...], names: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """The files that `from base import names` reads: modules among the names, else the base itself."""
        for one in ((*base, name) for name in names):
            if one in self.files:
                yield one
        if base in self.files:
            yield base

    @cached_property
    def packages(self) -> list[str]:
        return sorted({package(name) for name in self.files} - {""})

    @cached_property
    def arrows(self) -> set[Arrow]:
        """Who imports whom, among packages."""
        pairs = {(package(name), package(other)) for name, others in self.imports.items() for other in others}
        return {(one, other) for one, other in pairs if one != other and one and other}

    @cached_property
    def floors(self) -> dict[str, int]:
        """How far above the ground each package is: one above the highest that it imports."""
        floors = dict.fromkeys(self.packages, 0)
        for _round in self.packages:
            for one, other in sorted(self.arrows):
                floors[one] = max(floors[one], floors[other] + 1)
        if max(floors.values(), default=0) >= len(self.packages):
            raise ValueError(f"packages import each other in a circle: {', '.join(circle(self.arrows))}")
        return floors

    def closure(self, start: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """The files that are imported, directly or not, and the first ones."""
        seen: set[tuple[str, ...]] = set()
        todo = list(start)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.imports[name]
        return seen


def below_plugins(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """An absolute name below this collection's plugins; none for another's."""
    return parts[len(INSIDE) :] if parts[: len(INSIDE)] == INSIDE else None


def package(name: tuple[str, ...]) -> str:
    """The package of a file; none of documentation fragments and of what hands no code on."""
    if name[0] == "doc_fragments" or len(name) < 2:
        return ""
    if name[0] in TOP:
        return name[1] if len(name) > 2 else TOP[name[0]]
    return name[0]


def circle(arrows: set[Arrow]) -> list[str]:
    """What lies on a circle, or between two; nothing where there is none."""
    left = set(arrows)
    while True:
        starts, ends = {one for one, _other in left}, {other for _one, other in left}
        inner = {(one, other) for one, other in left if one in ends and other in starts}
        if inner == left:
            return sorted(starts)
        left = inner


def side(house: House, name: str) -> str:
    """Where a package runs: `plugins` are the kinds of plugins, `host` and `controller` what is below them."""
    if (house.root / HOST / name).is_dir() or name == TOP[HOST]:
        return "host"
    return "controller" if (house.root / CONTROLLER / name).is_dir() or name == TOP[CONTROLLER] else "plugins"


# --- the picture

BOX, HIGH, STEP, LANE, GAP, EDGE = 104, 34, 92, 14, 18, 24
# Ground and roof are drawn across the picture, and not with an arrow for each that stands on or below them.
GROUND, ROOF = "shared", "modules"
FILL = {"host": "#dcebdd", "controller": "#dbe6f4", "plugins": "#f6e6c8"}
LEGEND = {
    "plugins": "kinds of plugins",
    "controller": "plugin_utils: runs on the controller",
    "host": "module_utils: runs on hosts",
}
SWEEPS = 24


class Spot:
    """A box, or a lane in which an arrow passes a floor."""

    def __init__(self, name: str, floor: int, half: int, *, is_lane: bool) -> None:
        self.name, self.floor, self.half, self.is_lane = name, floor, half, is_lane
        self.wide = LANE if is_lane else BOX
        self.x = 0.0
        self.above: list[Spot] = []
        self.below: list[Spot] = []


def needed(arrows: set[Arrow]) -> set[Arrow]:
    """The arrows without those that a longer way makes up for."""

    def reaches(one: str, other: str) -> bool:
        return (one, other) in arrows or any(reaches(mid, other) for start, mid in arrows if start == one)

    return {
        (one, other)
        for one, other in arrows
        if not any(start == one and mid != other and reaches(mid, other) for start, mid in arrows)
    }


class Drawing:
    """Where everything is drawn: the controller's half on the left, the hosts' on the right."""

    def __init__(self, house: House) -> None:
        self.house = house
        names = [name for name in house.packages if name not in (GROUND, ROOF)]
        self.top = max((house.floors[name] for name in house.packages), default=1)
        self.spots: list[Spot] = []
        boxes = {name: self.spot(name, self.floor(name), self.half(name)) for name in names}
        self.ways = [
            self.way(boxes[one], boxes[other])
            for one, other in sorted(needed(house.arrows))
            if one in boxes and other in boxes
        ]
        floors = sorted({spot.floor for spot in self.spots}, reverse=True)
        self.rows = [[spot for spot in self.spots if spot.floor == floor] for floor in floors]
        self.border = EDGE + max((self.extent(row, 0) for row in self.rows), default=0.0)
        self.width = self.border + max((self.extent(row, 1) for row in self.rows), default=0.0) + EDGE
        self.arrange()

    def floor(self, name: str) -> int:
        return self.top - 1 if side(self.house, name) == "plugins" else self.house.floors[name]

    def half(self, name: str) -> int:
        return int(side(self.house, name) == "host")

    def spot(self, name: str, floor: int, half: int, *, is_lane: bool = False) -> Spot:
        self.spots.append(Spot(name, floor, half, is_lane=is_lane))
        return self.spots[-1]

    def way(self, one: Spot, other: Spot) -> list[Spot]:
        """An arrow as the spots that it passes, from above to below."""
        lanes = [
            self.spot(f"{one.name} {other.name}", floor, one.half, is_lane=True)
            for floor in range(one.floor - 1, other.floor, -1)
        ]
        way = [one, *lanes, other]
        for upper, lower in pairwise(way):
            upper.below.append(lower)
            lower.above.append(upper)
        return way

    @staticmethod
    def extent(row: list[Spot], half: int) -> float:
        return float(sum(spot.wide + GAP for spot in row if spot.half == half))

    def arrange(self) -> None:
        """Put everything as near as can be above and below what it belongs to."""
        for row in self.rows:
            self.place(row, {spot.name: float(number) for number, spot in enumerate(row)})
        for sweep in range(SWEEPS):
            for row in self.rows if sweep % 2 else reversed(self.rows):
                wanted = {}
                for spot in row:
                    near = (spot.above if sweep % 2 else spot.below) if sweep < SWEEPS - 4 else spot.above + spot.below
                    wanted[spot.name] = sum(one.x for one in near) / len(near) if near else spot.x
                self.place(row, wanted)

    def place(self, row: list[Spot], wanted: dict[str, float]) -> None:
        """Put the spots of a floor where they are wanted, side by side."""
        row.sort(key=lambda spot: (spot.half, wanted[spot.name], spot.name))
        for half, start, end in ((0, EDGE, self.border), (1, self.border, self.width - EDGE)):
            mine = [spot for spot in row if spot.half == half]
            edge = float(start)
            for spot in mine:
                spot.x = max(edge + (spot.wide + GAP) / 2, min(wanted[spot.name], end))
                edge = spot.x + (spot.wide + GAP) / 2
            edge = float(end)
            for spot in reversed(mine):
                spot.x = min(spot.x, edge - (spot.wide + GAP) / 2)
                edge = spot.x - (spot.wide + GAP) / 2

    def y(self, floor: int) -> float:
        return EDGE + (self.top - floor) * STEP

    def svg(self) -> str:
        bottom = self.y(0)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {bottom + HIGH + 76:.0f}">',
            "<title>The packages of plugins/ and which imports which</title>",
            "<style>text{font:14px sans-serif;text-anchor:middle}.left{text-anchor:start}</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
            '<path d="M0 0L8 4L0 8z" fill="#555"/></marker>',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<path d="M{self.border:.0f} {EDGE / 2}V{bottom - 12:.0f}" stroke="#bbb" stroke-dasharray="4 5"/>',
        ]
        lines += [self.arrow(way) for way in self.ways]
        wide = self.width - 2 * EDGE
        roof = self.width - EDGE - self.border - GAP / 2
        lines.append(
            self.box(f"{ROOF}: each imports the file of its name", self.border + GAP / 2, self.y(self.top), roof, ROOF)
        )
        lines += [
            self.box(spot.name, spot.x - BOX / 2, self.y(spot.floor), BOX, spot.name)
            for spot in sorted(self.spots, key=lambda spot: spot.name)
            if not spot.is_lane
        ]
        lines.append(
            self.box(
                f"{GROUND}: the files at the top of module_utils, which all may import", EDGE, bottom, wide, GROUND
            )
        )
        lines += self.legend(bottom + HIGH + 20)
        return "\n".join([*lines, "</svg>"]) + "\n"

    def box(self, text: str, x: float, y: float, wide: float, name: str) -> str:
        fill = FILL[side(self.house, name)]
        middle = x + wide / 2
        return (
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{wide:.0f}" height="{HIGH}" rx="5" fill="{fill}" stroke="#555"/>'
            f'<text x="{middle:.0f}" y="{y + HIGH / 2 + 5:.0f}">{escape(text)}</text>'
        )

    def arrow(self, way: list[Spot]) -> str:
        first, last = way[0], way[-1]
        x, y = self.port(first, way[1], first.below), self.y(first.floor) + HIGH
        path = f"M{x:.0f} {y:.0f}"
        for spot in way[1:]:
            to = self.port(last, way[-2], last.above) if spot is last else spot.x
            above = self.y(spot.floor)
            bend = (above - y) / 2
            path += f"C{x:.0f} {y + bend:.0f} {to:.0f} {above - bend:.0f} {to:.0f} {above:.0f}"
            x, y = to, above
            if spot is not last:
                y += HIGH
                path += f"V{y:.0f}"
        return f'<path d="{path}" fill="none" stroke="#555" stroke-width="1.3" marker-end="url(#tip)"/>'

    @staticmethod
    def port(box: Spot, other: Spot, others: list[Spot]) -> float:
        """Where an arrow leaves or meets a box: side by side, in the order of what they lead to."""
        ordered = sorted(others, key=lambda spot: (spot.x, spot.name))
        return box.x + BOX * ((ordered.index(other) + 1) / (len(ordered) + 1) - 0.5) * 0.8

    def legend(self, y: float) -> list[str]:
        lines, x = [], float(EDGE)
        for name, text in LEGEND.items():
            lines.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="16" height="16" rx="3" fill="{FILL[name]}" stroke="#555"/>'
            )
            lines.append(f'<text x="{x + 24:.0f}" y="{y + 13:.0f}" class="left">{escape(text)}</text>')
            x += 60 + 7.2 * len(text)
        note = "An arrow leads to what is imported. It is left out where a longer way leads there, too."
        lines.append(f'<text x="{EDGE}" y="{y + 40:.0f}" class="left">{note}</text>')
        return lines


def main(argv: list[str]) -> int:
    """Write or check the picture; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    house = House(args.root)
    target = args.root / PICTURE
    try:
        text = Drawing(house).svg()
    except ValueError as error:
        print(f"error: {error}")
        return 1
    if not args.check:
        target.write_text(text, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        print(f"error: {PICTURE} is stale: run make docs")
        return 1
    print(f"house: {len(house.packages)} packages, {len(house.arrows)} arrows")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
