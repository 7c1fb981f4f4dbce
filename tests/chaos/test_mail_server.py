"""The mail server refuses, hangs, and hangs up."""

from __future__ import annotations

from collections import Counter

from tests.chaos.lab import Lab

TEMPORARY = (["421"], ["450"], ["451"], ["drop before data"], ["450", "421", "451"])
FINAL = (["550"], ["552"], ["450", "550"])
LOST_ANSWER = (["drop after data"], ["hang after data"])
OF_EACH_KIND = 10


def test_every_kind_of_refusal_and_lost_answers(lab: Lab) -> None:
    experiment = lab.experiment("F27", "mail server: 421, 450, 451, 550, 552, hang and hang up before or after DATA")
    mail = lab.partners.mail
    before = sum(mail.done.values())
    kinds = [*TEMPORARY, *FINAL, *LOST_ANSWER, []] * OF_EACH_KIND
    experiment.dice.shuffle(kinds)
    planned: dict[str, list[str]] = {}
    while len(planned) < len(kinds):
        workflow, address = experiment.lead()
        if workflow in experiment.mailed:
            planned[workflow] = kinds[len(planned)]
            mail.plan[address] = list(planned[workflow])
    experiment.injected = sum(len(kind) for kind in kinds)
    experiment.finish()
    assert sum(mail.done.values()) - before == experiment.injected
    ends = {workflow: (len(mail.to(experiment.workflows[workflow])), _effect(lab, workflow)) for workflow in planned}
    for kind, expected in (
        *((kind, (1, "sent")) for kind in (*TEMPORARY, [])),
        *((kind, (0, "rejected")) for kind in FINAL),
        *((kind, (1, "unknown")) for kind in LOST_ANSWER),
    ):
        found = Counter(ends[workflow] for workflow, its in planned.items() if its == kind)
        assert found == Counter({expected: OF_EACH_KIND}), kind


def _effect(lab: Lab, workflow: str) -> str:
    effects = lab.system.effects(workflow)
    assert len(effects) == 1
    return effects[0]
