"""AppWrapper: what is wrapped carries the name of the wrapper."""

from collections.abc import Mapping

from pipetrail.analysis.placing import TRAINING, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing


class AppWrapper:
    """AppWrappers."""

    system = "appwrapper"
    tier = TRAINING
    kinds: frozenset[tuple[str, str]] = frozenset({("workload.codeflare.dev", "AppWrapper")})
    keys: frozenset[str] = frozenset()
    ties: Mapping[str, Tie] = {"workload.codeflare.dev/appwrapper": Tie("workload.codeflare.dev", "AppWrapper")}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The object itself, where it is one of the kinds."""
        return rooted(self.system, thing) if (thing.group, thing.kind) in self.kinds else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """Nothing: these have no parts of their own."""
        return None
