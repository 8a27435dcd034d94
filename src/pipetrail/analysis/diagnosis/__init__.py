"""Why a run failed or waits: signals are collected, ranked and worded. Pure: the same case, the same verdict."""

from pipetrail.analysis.diagnosis.diagnosing import diagnose
from pipetrail.analysis.diagnosis.gathering import gathered
from pipetrail.analysis.diagnosis.verdict import Aside, Attempt, Case, Confidence, Elsewhere, Step, Verdict

__all__ = ["Aside", "Attempt", "Case", "Confidence", "Elsewhere", "Step", "Verdict", "diagnose", "gathered"]
