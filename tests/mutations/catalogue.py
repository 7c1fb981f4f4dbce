"""What may be switched off, where, and the test that must notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One promise's mechanism, switched off in a copy of the tree.

    Attributes:
        mechanism: what is switched off.
        file: where, from the root.
        old: text that stands there exactly once.
        new: what stands there instead.
        test: the test that must fail, from the root, as pytest names it.
        red_for: how the line of the test begins that must fail, so that it fails for the right reason.
        faults: faults whose measured rows rest on the mechanism.
    """

    mechanism: str
    file: str
    old: str
    new: str
    test: str
    red_for: str
    faults: tuple[str, ...]

    @property
    def needs_stack(self) -> bool:
        """Whether its test runs on real parts."""
        return self.test.startswith(("tests/e2e", "tests/chaos"))


MUTATIONS: Final = (
    Mutation(
        mechanism="dedupe",
        file="sql/fresh_messages.sql",
        old="PARTITION BY ce_source, id_or_place, ce_attempt ORDER BY",
        new="PARTITION BY ce_source, id_or_place, ce_attempt, place ORDER BY",
        test="tests/e2e/test_garbage.py::test_a_repeated_message_is_decided_once",
        red_for="assert len(system.outcomes(workflow)) == 1",
        faults=("F36",),
    ),
    Mutation(
        mechanism="ledger",
        file="pointsman/runtime/ledger.py",
        old="return await self._meet(document)\n        return _effect(document)\n\n    async def finish",
        new="return await self._start(document)\n        return _effect(document)\n\n    async def finish",
        test="tests/unit/test_runtime_ledger.py::test_a_crash_while_sending_is_unknown_and_never_sent_again",
        red_for="assert (effect.may_send, effect.state)",
        faults=("F27", "F28"),
    ),
    Mutation(
        mechanism="transactions of agents",
        file="pointsman/runtime/consuming.py",
        old="self._inbox.commit(records, [_to_commit(partition) for partition in moved])",
        new="self._inbox.commit(records, [])\n"
        "            self._inbox.commit([], [_to_commit(partition) for partition in moved])",
        test="tests/unit/test_runtime_consuming.py::test_answers_and_position_are_in_the_same_transaction",
        red_for="assert inbox.commits ==",
        faults=("F10", "F12", "F41"),
    ),
    Mutation(
        mechanism="transactions of the router",
        file="flink_jobs/sql_files.py",
        old='EXACTLY_ONCE: "exactly-once"',
        new='EXACTLY_ONCE: "at-least-once"',
        test="tests/chaos/test_processes.py::test_taskmanager_killed_with_model_calls_in_flight",
        red_for="assert duplicated == []",
        faults=("F1", "F2", "F5"),
    ),
    Mutation(
        mechanism="claims",
        file="pointsman/runtime/claims.py",
        old="raise ClaimedElsewhereError(record.topic)",
        new="return",
        test="tests/unit/test_runtime_claims.py"
        "::test_the_first_copy_is_acted_on_and_no_other_neither_here_nor_by_another_agent",
        red_for="assert await first.gets(8) == []",
        faults=(),
    ),
    Mutation(
        mechanism="fencing of agents",
        file="pointsman/kafka/inbox.py",
        old='self._who = f"pointsman.{agent}.{instance}"',
        new='self._who = f"pointsman.{agent}.{instance}.{id(self)}"',
        test="tests/chaos/test_freezes.py::test_a_frozen_agent_wakes_up_when_another_has_its_name_and_its_work",
        red_for="eventually(partial(_is_fenced",
        faults=("F11",),
    ),
    Mutation(
        mechanism="fencing in the ledger",
        file="pointsman/runtime/ledger.py",
        old='criteria = {"state": expected.value, "token": effect.token}',
        new='criteria = {"state": expected.value}',
        test="tests/unit/test_runtime_ledger.py::test_who_lost_the_right_to_finish_changes_nothing",
        red_for="assert (await first.finish(mine",
        faults=("F11", "F28"),
    ),
    Mutation(
        mechanism="order at the router",
        file="flink_jobs/operators/shard.py",
        old='return record.headers.get("ce_workflowid") or record.key or place_of(record).encode()',
        new="return place_of(record).encode()",
        test="tests/unit/test_router_durable_call.py"
        "::test_a_decided_message_waits_behind_an_undecided_one_of_its_workflow",
        red_for='assert flink.message(message("w", 2',
        faults=("F14", "F15"),
    ),
    Mutation(
        mechanism="order at agents",
        file="pointsman/runtime/lanes.py",
        old="lane = self._waiting.get(key)",
        new='lane = self._waiting.get(key := f"{key}{len(self._waiting)}")',
        test="tests/unit/test_runtime_lanes.py"
        "::test_work_of_one_workflow_waits_for_its_predecessor_and_other_workflows_do_not",
        red_for='assert shop.began == ["a1", "b1"]',
        faults=("F14", "F15"),
    ),
    Mutation(
        mechanism="limit of steps",
        file="pointsman/routing/limits.py",
        old="if counters.step > limits.steps:",
        new="if counters.step > 1_000_000:",
        test="tests/unit/test_routing_router.py::test_more_steps_than_allowed_abstain",
        red_for="assert decide(allowed, message(), step=5)",
        faults=("F22",),
    ),
    Mutation(
        mechanism="limit of visits",
        file="pointsman/routing/limits.py",
        old="and counters.visits > visits:",
        new="and counters.visits > 1_000_000:",
        test="tests/unit/test_routing_router.py::test_an_agent_that_says_the_same_too_often_abstains",
        red_for="assert (parked.outcome, parked.reason_code)",
        faults=("F22",),
    ),
    Mutation(
        mechanism="limit of answers",
        file="pointsman/runtime/handling.py",
        old="most = active.definition.limits.max_replies",
        new="most = 1_000_000",
        test="tests/unit/test_runtime_handling.py::test_more_answers_than_allowed_are_cut_off_with_one_dead_letter",
        red_for="assert [reply.topic for reply in replies]",
        faults=("F23",),
    ),
    Mutation(
        mechanism="waiting for a schema",
        file="flink_jobs/operators/route.py",
        old="                    shard.put_back(waiting)",
        new="                    shard.heads()",
        test="tests/unit/test_router_values.py::test_a_message_waits_in_state_for_its_schema_and_others_pass",
        red_for='assert flink.tick() == ["agents.only.inbox", "agents.only.inbox"]',
        faults=(),
    ),
)
