"""Plans: an agent splits its work into tasks; the job sends them out, joins their results, mends what failed. Pure."""

from pointsman.plans.checking import checked_plan
from pointsman.plans.model import PLAN_SOURCE, ProposedPlan
from pointsman.plans.progress import Done, Event, Failed, Retried, Send, Step, advanced, started
from pointsman.plans.state import PlanState, PlanStatus, TaskStatus
from pointsman.plans.view import PlanView, TaskView

__all__ = [
    "PLAN_SOURCE",
    "Done",
    "Event",
    "Failed",
    "PlanState",
    "PlanStatus",
    "PlanView",
    "ProposedPlan",
    "Retried",
    "Send",
    "Step",
    "TaskStatus",
    "TaskView",
    "advanced",
    "checked_plan",
    "started",
]
