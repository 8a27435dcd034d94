"""Which run everything belongs to. Pure: the same objects and events give the same answer, without I/O or a clock."""

from pipetrail.analysis.explaining import Explanation
from pipetrail.analysis.linking import Linker
from pipetrail.analysis.resolvers import BUILT_IN, resolvers
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.steps import Step
from pipetrail.analysis.world import Thing, World

__all__ = ["BUILT_IN", "Explanation", "Linker", "Run", "Step", "Thing", "World", "resolvers", "runs"]
