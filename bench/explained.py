"""What processor time does not show of a benchmark: where messages wait, and what a target asks of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CHECKPOINT: Final = """\
At each checkpoint every operator with state writes what is new and stands still meanwhile, one after the other: 3 to
8 ms each at 100 messages per second, 20 ms from the first to the last with one a second, and 30 to 60 on a slower
machine (`/jobs/…/checkpoints` of Flink). A message that meets it waits for it: two to six of a hundred."""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "P1": f"""\
*Held* is bounded by the slowest of a hundred messages, not by processor time. {_CHECKPOINT} What is left of
those 50 ms is for everything else; until the JVM has compiled what runs often, which takes tens of thousands of
messages, its two compilers take the cores from the messages at the same time.

What a burst comes to is bounded by processor time: about 1.1 ms per message with a model and 0.4 without, where the
plain loop with the same client takes 0.5. The difference is what the loop does not do: look whether a message is new,
count its workflow's steps, keep the call in state until it is answered, hold the answer against the contract, write the
decision, in a transaction. 3,000/s on two cores leave 0.67 ms per message, which is little more than the plain loop
takes. The pass-through, which decides nothing, copies 20,000 messages a second, and holds 4,000 of them within 50 ms.

ML_PREDICT has about five calls under way at a time, or eighty to a hundred where it is tuned: at 1 s it holds five a
second. AsyncDataStream holds no rate: its median message takes 200 ms over the model's own time where it is tuned, and
600 as it comes.""",
        "P2": f"""\
At 100/s nothing queues: the median is made of waits. Five exchanges between operators each wake another thread, the
question and the answer cross to the model's process and back, and the operator looks for the answer when it may be
there. The 99th percentile is the checkpoint's.

{_CHECKPOINT}

500/s are a third of what a burst comes to on the same machine (P1), so nothing queues for long: the median is lower
than at 100/s. Who was held up at a checkpoint has five times as many others before it.""",
        "P3": """\
A message waits for earlier ones of its own workflow only; those of other workflows pass it.""",
        "P4": """\
A journey is six times P2's way, and as often through an agent's consumer and producer. Behind the exactly-once
router each hop but the last waits for a checkpoint as well, since agents see what is committed: the first for half a
second in the mean, the others for nearly a whole one, because these agents answer at once, when the checkpoint that
let them see the message has just gone by. Who needs short journeys checkpoints more often or takes fast delivery.""",
        "P5": """\
`committed` is half of the interval, in the mean, and then the hop (8 ms), the checkpoint and the broker's commit: at
100 messages per second a checkpoint takes 13 ms where there are five per second and 20 where there is one, most of it
for writing what each operator with state has new, and 7 to 10 ms more pass until agents see what it let go. The
pass-through, which does nothing but write in transactions, takes 4 ms for all of it. faust's answers are in no
transaction, which is why they are seen at once, and nothing holds back what is written a second time after a kill.
What agents do twice after a crash is not measured here but tested under kill: no effect, in both modes
(`tests/chaos`, `tests/e2e/test_crash.py`, `tests/e2e/test_fast_delivery.py`).""",
        "P6": """\
Two of them do 1.5 times the work of one, and each message costs them 8 % more, since half of the messages cross from
one to the other. They use 1.7 of their two cores: the guard and the sink run once in a job (ADR 3), so the TaskManager
that has them comes to its end first. Which of the two idles was not looked at.""",
        "P7": """\
Of the labelled messages a contract names few candidates among five agents, so their prompt is shorter than any
shortlist; from fifty agents on it is the shortlist's eight and grows no more. The right agent is on it each time
(*reachable*); what is lost from 5 to 500 is the stand-in's, which chooses by words and finds them at more
candidates.""",
        "P8": """\
The steps follow each other in one job. At the first of them the JVM has seen few messages and still compiles, so its
99th percentile is the highest; what state adds to later ones is less than that.""",
        "P9": """\
Of the silence after a kill two seconds are the model, which is asked again about everything that was under way; half a
checkpoint follows until the answers may be seen. Before that the death is noticed and tasks are deployed (0.75 s each),
state is read, and what Python imports of the project is imported (ADR 25); then the two cores work off what has come
meanwhile while the JVM that took over compiles. After the broker's kill everybody waits for Kafka, and about as long.
While there is no model, 30 s and the model's own time are the least that can be, and who waits shorter gave messages to
nobody: the ones astray. `make chaos` does all of it to the whole system (`docs/guarantees.md`).""",
        "P10": """\
The labelled messages were written to leave a choice, so contracts alone decide few of them; a lead's way is what the
example does all day. *Billed*: who always asks has the same prompt of more than 1,024 tokens each time, which is where
servers begin to give their discount of nine tenths; the router's is shorter and gets none. Fewer calls and tokens are
sent, and not fewer billed.""",
        "P11": """\
aiohttp by itself takes more than the target. On top of it the router's client holds each answer against its schema and
counts what it used. With 2,000 in flight at 200 ms nobody can have more than 10,000 answers a second; without a wait
the mock serves twelve times what the quickest system of P1 comes to in a burst.""",
        "P12": """\
Astray are the messages for which no answer is of use: they are with a person, as they should be. The router's client
heeds `Retry-After` with all its calls, where the rivals' own makes only the refused one wait: with every tenth call
refused for a second, its median message waits for most of one.""",
        "P13": """\
The TaskManager waits for most of it: two thirds are Flink's own client, which starts a JVM and Python and plans the SQL
of the job; 2 to 3 s pass from there until all tasks run.""",
        "P14": """\
500/s are about nine tenths of what a burst comes to, and each kill leaves more than ten seconds of messages behind:
what is left over does not work that off within five minutes.""",
    }
)
"""By benchmark, as Markdown; stands under its table."""
