"""The offline stand-in fills schemas from the facts of the user turn: always valid, and readable."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.contracts import Contract
from pointsman.models.offline.compose import compose
from pointsman.models.offline.facts import UserTurn

FACTS = [
    {"number": 1, "fact": "Job title: Head of Operations", "source": "form"},
    {"number": 2, "fact": "Company: Northwind Wholesale", "source": "form"},
    {"number": 3, "fact": "Mail domain: northwind.example", "source": "form"},
    {
        "number": 4,
        "fact": "Wrote: Hi, we lose track of stock between our three depots. Could we see a demo next week?",
        "source": "form",
    },
    {
        "number": 5,
        "fact": "Site description: Northwind supplies 1,200 restaurants from three depots.",
        "source": "website",
    },
]
MAIL_SYSTEM = """You write one short personal e-mail to a sales lead.
subject: at most 60 characters, about the lead's own need.
body: plain text of 80 to 140 words. Greet by first name. End with one question about a time to talk.
facts_used: the numbers of the facts that the body rests on."""
MAIL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "subject": {"type": "string", "description": "Subject line of the e-mail."},
        "body": {"type": "string", "description": "Body of the e-mail: plain text with greeting and signature."},
        "facts_used": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 5}},
    },
    "required": ["subject", "body", "facts_used"],
    "additionalProperties": False,
}


def turn(**values: Any) -> UserTurn:
    return UserTurn(json.dumps(values, ensure_ascii=False))


def mail(**more: Any) -> dict[str, Any]:
    lead = {"first_name": "Dana", "company": "Northwind Wholesale"}
    offer = {"company": "Tidewater", "product": "live stock tracking", "points": ["one live view of stock"]}
    composed: dict[str, Any] = compose(
        MAIL_SCHEMA, MAIL_SYSTEM, turn(sender="Alex Kim", offer=offer, lead=lead, facts=FACTS, **more)
    )
    return composed


def filled(description: str = "", system: str = "", name: str = "x", /, *, about: Any = None, **schema: Any) -> Any:
    wanted = {"type": "object", "properties": {name: {**schema, "description": description}}, "required": [name]}
    return compose(wanted, system, turn(facts=FACTS if about is None else about))[name]


def test_a_mail_greets_cites_facts_asks_and_is_signed() -> None:
    body = mail()["body"]
    assert body.startswith("Hello Dana,\n\n")
    assert "we lose track of stock" in body.lower()
    assert "live stock tracking" in body
    assert "?" in body
    assert body.endswith("Best regards,\nAlex Kim")


def test_a_mail_holds_no_address_no_host_no_markup_and_no_placeholder() -> None:
    hostile = [
        {"number": 1, "fact": "Wrote: see <b>http://evil.example/x</b> or mail [a](b) to x@evil.example {{name}}"}
    ]
    lead = {"first_name": "Dana<script>", "company": "Northwind"}
    made = compose(MAIL_SCHEMA, MAIL_SYSTEM, turn(sender="Alex Kim", lead=lead, facts=hostile))
    for text in (mail()["body"], mail()["subject"], made["body"], made["subject"]):
        assert not re.search(r"[<>{}\[\]]|://|@|\.example", text)


def test_a_mail_keeps_to_the_words_that_are_asked_for() -> None:
    assert 60 <= len(mail()["body"].split()) <= 140


def test_a_subject_is_about_the_wish_and_short() -> None:
    subject = mail()["subject"]
    assert len(subject) <= 60
    assert "stock" in subject.lower()
    assert "\n" not in subject


def test_the_facts_that_a_mail_rests_on_are_named() -> None:
    assert mail()["facts_used"] == [4, 5]


def test_further_mails_of_a_series_cite_further_facts() -> None:
    first, second = mail(email={"number": 1, "of": 2}), mail(email={"number": 2, "of": 2})
    assert first["facts_used"] != second["facts_used"]


def test_a_mail_without_any_fact_is_still_a_mail() -> None:
    made = compose(MAIL_SCHEMA, MAIL_SYSTEM, turn())
    assert made["body"].startswith("Hello,")
    assert made["subject"]


def test_a_summary_says_who_and_what() -> None:
    summary = filled("Two or three sentences: who, what company, what they want.", "", "summary", type="string")
    assert "Head of Operations at Northwind Wholesale" in summary
    assert "{" not in summary


def test_what_no_fact_tells_is_said_to_be_so() -> None:
    system = 'interest: what the lead wants; "not stated" if no fact says it.'
    assert filled("", system, "interest", type="string", about=[{"fact": "Job title: Buyer"}]) == "not stated"


def test_a_fact_of_the_same_name_is_taken_over() -> None:
    assert filled("", "", "company", type="string") == "Northwind Wholesale"


def test_ids_objects_and_truth_values_of_the_same_name_are_handed_on() -> None:
    given = {"ticket_id": "65a0c0ffee65a0c0ffee0001", "customer": {"name": "Kim"}, "is_paid": False}
    schema = closed({"ticket_id": {"type": "string"}, "customer": {"type": "object"}, "is_paid": {"type": "boolean"}})
    assert compose(schema, "", turn(event_type="ticket.opened", payload=given)) == given


def test_an_enum_is_chosen_by_what_the_facts_speak_of() -> None:
    sectors = ["software", "wholesale", "unknown"]
    assert filled("The company's industry.", "", "industry", type="string", enum=sectors) == "wholesale"
    nothing = [{"fact": "Job title: Buyer"}]
    assert filled("The industry.", "", "industry", type="string", enum=sectors, about=nothing) == "unknown"


@pytest.mark.parametrize(
    ("note", "action"),
    [
        ("please stop writing to me", "stop"),
        ("unsubscribe", "stop"),
        ("not now, ask me again in spring", "pause"),
        ("she is on holiday until March", "pause"),
        ("asked for a demo", "continue"),
        ("thanks, interesting read", "continue"),
    ],
)
def test_clauses_of_the_system_turn_tell_plain_options_apart(note: str, action: str) -> None:
    system = (
        'action: "stop" when they want no more e-mails, unsubscribe or complain; "pause" when they want to be left '
        'alone for now, asked again later, or are away; "continue" in every other case.'
    )
    schema = {
        "type": "object",
        "properties": {"action": {"enum": ["stop", "pause", "continue"]}, "reason": {"type": "string"}},
    }
    made = compose(schema, system, turn(note=note))
    assert made["action"] == action
    assert made["reason"].endswith(".")


def test_eager_words_grade_higher_than_idle_ones_and_students_lowest() -> None:
    def intent(text: str) -> int:
        about = [{"fact": f"Wrote: {text}"}]
        return int(filled("How soon they want it.", "", "intent", type="integer", minimum=0, maximum=100, about=about))

    eager = intent("We need an offer and a demo this month, the budget is approved.")
    idle = intent("Just curious, perhaps later, only here for the newsletter.")
    student = intent("I am a student and write a thesis.")
    assert eager > 70 > 40 > idle > 0
    assert student < 40


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("We would like a demo of stock tracking this month, the budget is approved.", "engage"),
        ("Interesting session on late deliveries. We are only looking around, perhaps next year.", "nurture"),
        ("Curious how others handle it, no hurry on our side.", "nurture"),
        ("I am writing my bachelor thesis and need material for my homework.", "disqualify"),
        ("Please stop writing to me.", "disqualify"),
    ],
)
def test_a_next_step_follows_what_the_facts_lean_to(text: str, step: str) -> None:
    system = (
        'next_step: "engage" when they want to talk soon; "nurture" when they fit but have no need yet;\n'
        '"disqualify" for students, job seekers, competitors, sellers and people who fit in no way.'
    )
    options = ["engage", "nurture", "disqualify"]
    assert filled("", system, "next_step", type="string", enum=options, about=[{"fact": f"Wrote: {text}"}]) == step


def test_one_of_several_replies_is_chosen_by_its_constant() -> None:
    def reply(kind: str) -> dict[str, Any]:
        properties = {"event_type": {"const": kind}, "payload": {"type": "object", "properties": {}}}
        return {"type": "object", "properties": properties, "required": list(properties)}

    schema = {"anyOf": [reply("ticket.escalated"), reply("ticket.closed")]}
    system = (
        '"ticket.escalated" when the customer is angry or it is urgent; "ticket.closed" when the customer is happy.'
    )
    assert compose(schema, system, turn(text="I am really angry, this is urgent"))["event_type"] == "ticket.escalated"
    assert compose(schema, system, turn(text="all good now, I am happy"))["event_type"] == "ticket.closed"


def test_the_same_request_gets_the_same_answer() -> None:
    assert mail() == mail()


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def bounded_schemas() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["subject", "body", "reason", "summary", "score", "note", "fit", "items", "email", "x"])
    length = st.integers(0, 60)
    texts = st.tuples(length, length).map(lambda two: {"type": "string", "minLength": min(two), "maxLength": max(two)})
    formats = st.sampled_from(["email", "date-time", "date", "uri", "uuid"]).map(
        lambda f: {"type": "string", "format": f}
    )
    bounds = st.tuples(st.integers(-50, 50), st.integers(0, 100))
    numbers = st.tuples(st.sampled_from(["integer", "number"]), bounds).map(
        lambda pair: {"type": pair[0], "minimum": pair[1][0], "maximum": pair[1][0] + pair[1][1]}
    )
    enums = st.lists(st.one_of(st.sampled_from(["yes", "no", "none"]), st.integers()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    )
    others: st.SearchStrategy[Any] = st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"const": {"a": 1}}, {}, {"type": ["null", "integer"]}]
    )
    leaf: st.SearchStrategy[dict[str, Any]] = texts | formats | numbers | enums | others

    def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        objects = st.dictionaries(names, inner, max_size=4).map(closed)
        arrays = st.tuples(inner, st.integers(0, 3), st.integers(0, 4)).map(
            lambda three: {"type": "array", "items": three[0], "minItems": three[1], "maxItems": three[1] + three[2]}
        )
        unions = st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches})
        return objects | arrays | unions

    return st.recursive(leaf, nested, max_leaves=12)


@given(bounded_schemas(), st.sampled_from(["", "score: 0 to 100, how well.", MAIL_SYSTEM]), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_keeps_its_schema(schema: dict[str, Any], system: str, data: st.DataObject) -> None:
    user = data.draw(st.sampled_from([json.dumps({"facts": FACTS}), "", "plain text", "[1, 2]", '{"score": 1e300}']))
    composed = compose(
        {"type": "object", "properties": {"answer": schema}, "required": ["answer"]}, system, UserTurn(user)
    )
    assert (
        Contract({"type": "object", "properties": {"answer": schema}, "required": ["answer"]}).violation(composed)
        is None
    )


@given(st.text(st.characters(codec=None), max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
).map(json.dumps))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_no_user_turn_makes_it_raise_or_break_the_schema(user: str) -> None:
    assert Contract(MAIL_SCHEMA).violation(compose(MAIL_SCHEMA, MAIL_SYSTEM, UserTurn(user))) is None


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
HEADS = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {"type": "object", "minProperties": 2},
        {"type": "object", "required": ["free"]},
        closed({"a": {"allOf": [{"type": "string"}, {"maxLength": 4}]}}),
        closed({"v": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}}),
        closed({"u": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 7}}),
        closed({"n": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5, "maximum": 2}}),
        closed({"p": HEADS}),
    ],
)
def test_rarer_keywords_are_kept_too(schema: dict[str, Any]) -> None:
    composed = compose(schema, "", turn(facts=FACTS))
    assert Contract(schema).violation(composed) is None
