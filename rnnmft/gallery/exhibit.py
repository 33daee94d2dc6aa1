"""What a page of the gallery shows of one cell: computed part by part, each within its time.

Cells stand where `critical` puts them for the same inputs and horizon, unless there is no such
place or their entry says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rnnmft.analysis.mean_field import MeanField
from rnnmft.deadline import deadline
from rnnmft.errors import Status
from rnnmft.gallery.entries import Entry
from rnnmft.gallery.merits import Merits, of_memory, of_spectrum
from rnnmft.gallery.region import Region, region_around
from rnnmft.initialization.critical import critical
from rnnmft.initialization.initialization import Initialization
from rnnmft.language import Ensemble
from rnnmft.parameters import TYINGS
from rnnmft.report.memory import MANY_LAGS, Memory, memory_lags, solve_memory
from rnnmft.report.networks import Networks, run_networks
from rnnmft.report.singular_values import Spectra, solve_spectra
from rnnmft.report.summary import SummaryNumber, summary
from rnnmft.report.try_compute import try_compute
from rnnmft.theory.derivation import derive
from rnnmft.theory.steps import StepsRecord

__all__ = ["HORIZON", "Exhibit", "exhibit"]

T = TypeVar("T")
#: Steps of the design and of the Jacobian that cells are compared by: `critical`'s own default.
HORIZON = 10
# Units of the sampled theory: what an eighth of a report's takes, its errors thrice as large.
_PARTICLES = 1 << 13
# Steps before networks are looked at, and seconds for densities: a report's first page has as many.
_BURN_IN, _FOR_DENSITIES = 30, 3.0


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One cell's page.

    Attributes:
        entry: what is said of it.
        init: its critical answer, or None.
        ensemble: where it stands: there, or where the entry says.
        merits: the numbers that the index sorts by.
        region: the map around it, or None.
        numbers: of the theories that are not sampled, at a glance.
        memory, spectra: against networks, or None.
        derivations: the equations by tying.
        missing: what there is not, and why.
    """

    entry: Entry
    init: Initialization | None
    ensemble: Ensemble
    merits: Merits
    region: Region | None
    numbers: list[SummaryNumber]
    memory: Memory | None
    spectra: Spectra | None
    derivations: dict[str, StepsRecord]
    missing: list[str] = field(default_factory=list)

    @property
    def is_critical(self) -> bool:
        """Whether it stands at its critical answer."""
        return self.init is not None and not self.entry.own_place


def exhibit(entry: Entry, seconds: float = 120.0) -> Exhibit:
    """Compute everything; what fails, or takes longer than its time, leaves a sentence.

    Args:
        entry: the cell.
        seconds: of the processor, that each part may take.
    """
    missing: list[str] = []

    def part(what: str, compute: Callable[[], T]) -> T | None:
        def within() -> T:
            with deadline(seconds, time.process_time):
                return compute()

        return try_compute(what, within, missing)

    cell, inputs, laws = entry.cell, entry.inputs, dict(entry.parameters) or None
    init = part("The critical answer", lambda: critical(cell, inputs, parameters=laws))
    ensemble = entry.ensemble if init is None or entry.own_place else init.ensemble
    fields: dict[str, MeanField] = {}
    for tying in TYINGS:
        made = part(
            f"The {tying} theory",
            lambda tying=tying: MeanField(cell, ensemble, inputs, tying, particles=_PARTICLES),
        )
        if made is not None:
            fields[tying] = made
    quick = {t: f for t, f in fields.items() if not f.is_sampled}
    numbers, without = part("The numbers", lambda: summary(quick)) or ([], [])
    missing += without
    tied = fields.get("tied")
    region = memory = spectra = None
    if tied is not None:
        main = {"tied": tied}
        region = part("The map", lambda: region_around(tied, entry.gate))
        networks = part("The networks", lambda: _networks(tied, region))
        if networks is not None:
            memory = part("The memory", lambda: solve_memory(main, networks))
            spectra = part("The spectrum", lambda: solve_spectra(main, networks, _FOR_DENSITIES))
    derivations = {t: part(f"The {t} derivation", lambda t=t: derive(cell, t)) for t in TYINGS}
    merits = Merits.of(cell, of_memory(memory), of_spectrum(spectra, HORIZON), region)
    return Exhibit(
        entry,
        init,
        ensemble,
        merits,
        region,
        numbers,
        memory,
        spectra,
        {t: steps for t, steps in derivations.items() if steps is not None},
        list(dict.fromkeys(missing)),
    )


def _networks(field: MeanField, region: Region | None) -> Networks:
    """Tied ones, with as many lags as the memory asks for."""
    setting = (field.cell, field.ensemble, field.inputs)
    # Where the state had not settled when the map was made, memory is longer than any lags.
    is_slow = region is not None and region.growth.status is Status.MAX_STEPS
    lags = MANY_LAGS if is_slow else memory_lags(field)
    return run_networks(*setting, _BURN_IN, lags, 0, "cpu", (1, HORIZON), tyings=("tied",))
