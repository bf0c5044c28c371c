"""A Jupyter notebook becomes units: cells read by their kind, what they put out bounded, pictures left out.

Byte ranges are of the JSON as it is stored, so a chunk's text holds its brackets and escapes; `words` is what its
cells say. Chunks of which nobody reads a word, the inside of a picture, have none.
"""

from bisect import bisect_right
from itertools import accumulate, pairwise

from services.chunker.chunking.code import read_code
from services.chunker.chunking.markdown import cell_units
from services.chunker.chunking.model import BLOCK, H1, HARD, Section, Unit
from services.chunker.chunking.notebook_json import SIGNS, Cell, Notebook, Part, Run, line_start, said
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.splitting import prose_units, starts_exact
from services.chunker.chunking.tokens import counter


class NotebookPage:
    def __init__(self, text: str, notebook: Notebook) -> None:
        self.text, self.notebook = text, notebook
        self._outline = Outline()
        parts = [part for cell in notebook.cells for part in cell.parts]
        self._pictures = {part.runs[0].place for part in parts if part.kind == "picture"}
        heard = [part for part in parts if part.kind != "picture"]
        opened = [("\n" if not i else "", run) for part in heard for i, run in enumerate(part.runs)]
        self._runs = sorted(opened, key=lambda one: one[1].start)
        self._starts = [run.start for _, run in self._runs]

    def units(self, budget: int) -> list[Unit]:
        places = [Unit(0, 0, BLOCK, Section())]
        for cell in self.notebook.cells:
            for place in self._cell_places(cell, budget):
                if place.start > places[-1].start:
                    places.append(place)
        end = Unit(len(self.text), 0, BLOCK, Section())
        return [unit for place, following in pairwise([*places, end]) for unit in self._cut(place, following, budget)]

    def words(self, start: int, end: int) -> str:
        """What people read of this part of the JSON; an escape belongs to the part in which it begins."""
        heard: list[str] = []
        for i in range(max(bisect_right(self._starts, start) - 1, 0), bisect_right(self._starts, end - 1)):
            part, run = self._runs[i]
            heard += (part, run.said if start <= run.start and run.end <= end else self._said_within(run, start, end))
        return "".join(heard).strip()

    def _said_within(self, run: Run, start: int, end: int) -> str:
        if len(run.said) == run.end - run.start:
            return run.said[max(start - run.start, 0) : end - run.start]
        signs = [found.start() for found in SIGNS.finditer(self.text, run.start, run.end)]
        within = [at for at in [*signs, run.end] if start <= at < end]
        if not within:
            return ""
        stop = next((at for at in [*signs, run.end] if at >= end), run.end)
        return said(self.text[within[0] : stop])

    def _cell_places(self, cell: Cell, budget: int) -> list[Unit]:
        """Where the cell can be cut, first of all before it."""
        begins = line_start(self.text, cell.start)
        places: list[Unit] = []
        for part in cell.parts:
            for unit in self._part_places(part, budget):
                section = Section(unit.section.path, cell.anchor)
                places.append(Unit(unit.start, 0, min(unit.rank, H1), section, True, unit.header))
        opening = places[0] if places else Unit(begins, 0, BLOCK, Section(self._outline.current.path, cell.anchor))
        opening.start, opening.rank = begins, max(opening.rank, BLOCK)
        return [opening, *places[1:]]

    def _part_places(self, part: Part, budget: int) -> list[Unit]:
        body = "".join(run.said for run in part.runs)
        offsets = [0, *accumulate(len(run.said) for run in part.runs)]
        units = self._read(part.kind, body, budget)
        for unit in units:
            i = bisect_right(offsets, unit.start, 0, len(part.runs)) - 1
            unit.start = self._place(part.runs[i], unit.start - offsets[i])
        return units

    def _place(self, run: Run, within: int) -> int:
        if not within:
            return run.place
        if len(run.said) == run.end - run.start:
            return run.start + within
        signs = [found.start() for found in SIGNS.finditer(self.text, run.start, run.end)]
        return signs[within] if within < len(signs) else run.end

    def _read(self, kind: str, body: str, budget: int) -> list[Unit]:
        if kind == "markdown":
            return cell_units(body, budget, self._outline)
        path = self._outline.current.path
        if kind != "code":
            return [Unit(0, 0, BLOCK, Section(path))]
        units = read_code(body, self.notebook.language, budget).units
        for unit in units:
            unit.section = Section((*path, *unit.section.path))
        return units

    def _cut(self, place: Unit, following: Unit, budget: int) -> list[Unit]:
        """One unit, if there is room for its JSON; what there is no room for goes by words, a picture in chunks of its
        own: it may look another way each time its cell is run."""
        start, end = place.start, following.start
        exact = (not start or self.text[start - 1] == "\n") and starts_exact(self.text, start)
        tokens = counter()(self.text[start:end])
        if tokens <= budget - 4 * (not exact):
            return [Unit(start, tokens, place.rank, place.section, exact, place.header)]
        units = prose_units(self.text, start, end, place.section, budget)
        if start in self._pictures:
            place.rank = following.rank = HARD
        units[0].rank = place.rank
        for unit in units:
            unit.header = place.header
        return units
