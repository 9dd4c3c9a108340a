"""Ciw: queueing networks by description.

Owns its contender only. Ciw has no client that gives up while the server goes on, so it takes part
in the single server only.
"""

from __future__ import annotations

from importlib.metadata import version

from howdah.bench.simulator import SINGLE_SERVER_RATE, Counts, Load, Simulator


class Ciw(Simulator):
    """A network of one node."""

    name = "ciw"
    what = "queueing networks by description; no work that goes on after a timeout"
    loads = frozenset({Load.SINGLE_SERVER})
    package = "ciw"

    def version(self) -> str:
        return version("ciw")

    def run(self, load: Load, seconds: float, seed: int) -> Counts:  # noqa: ARG002 - knows one
        import ciw

        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(rate=SINGLE_SERVER_RATE)],
            service_distributions=[ciw.dists.Exponential(rate=1.0)],
            number_of_servers=[1],
        )
        ciw.seed(seed)
        simulation = ciw.Simulation(network)
        simulation.simulate_until_max_time(seconds)
        served = simulation.nodes[-1].number_of_completed_individuals
        requests = simulation.nodes[0].number_of_individuals
        return Counts(requests=requests, retries=0, served=served, answered=served)


SIMULATORS = (Ciw(),)
