"""A person ends all mail by one click, is forgotten on request, and a mailbox that is gone is written to once."""

from __future__ import annotations

import urllib.request
from email.message import EmailMessage
from pathlib import Path

from pointsman.suppressions import SuppressionReason
from tests.e2e.system import System, hot_lead
from tests.witness import eventually


def mailed(system: System, lead: dict[str, object] | None = None) -> tuple[str, str, EmailMessage]:
    """A lead that has got its mail: workflow, address, mail."""
    workflow, address = system.insert(lead or hot_lead())
    (mail,) = eventually(lambda: system.mails_to(address), within_s=60, what="the mail")
    return workflow, address, mail


def ask(method: str, url: str) -> tuple[int, str]:
    data = b"List-Unsubscribe=One-Click" if method == "POST" else None
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
        return response.status, response.read().decode()


def gets_no_more(system: System, workflow: str, address: str) -> None:
    eventually(lambda: "email.suppressed" in system.witness.events(workflow), within_s=60, what="a suppressed mail")
    assert len(system.mails_to(address)) == 1


def another_draft(system: System, lead_id: str) -> str:
    """A mail that was drafted before the person had enough; its workflow."""
    text = {"subject": "Once more", "body": "Hello Dana,\n\nonce more.", "kind": "outreach"}
    return system.send("campaign.drafted", {"lead_id": lead_id, "campaign_id": "late", "step": 2, **text})


def test_one_click_on_the_link_in_the_mail_ends_all_mail(system: System) -> None:
    lead_id, address, mail = mailed(system)
    link = str(mail["List-Unsubscribe"]).strip("<>")
    status, page = ask("GET", link)
    assert status == 200
    assert "<button" in page
    assert system.database.suppressions.count_documents({"reason": SuppressionReason.UNSUBSCRIBED.value}) == 0
    assert ask("POST", link)[0] == 200
    gets_no_more(system, another_draft(system, lead_id), address)


def test_a_mailbox_that_returned_a_mail_for_good_is_not_written_to_again(system: System, tmp_path: Path) -> None:
    lead_id, address, mail = mailed(system)
    returned = (
        'Subject: Undelivered\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; x@y.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {mail['Message-ID']}\r\n\r\n--b--\r\n"
    )
    (tmp_path / "1.eml").write_text(returned, newline="")
    assert "hard_bounce  suppressed" in system.cli("mail", "bounces", "--folder", str(tmp_path)).stdout
    gets_no_more(system, another_draft(system, lead_id), address)


def test_an_erased_lead_is_gone_from_the_database_and_gets_no_more_mail(system: System) -> None:
    workflow, address, _ = mailed(system)
    eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's end")

    told = system.cli("leads", "erase", "--email", address, "--yes").stdout

    counts = ", ".join(f"1 in {name}" for name in ("leads", "people", "profiles", "scores", "campaigns", "effects"))
    assert told.splitlines() == [f"{workflow}  {counts}"]
    for name in system.database.list_collection_names():
        assert not [one for one in system.database[name].find() if address in str(one) or workflow in str(one)], name
    assert "lead.erased" in [seen.type for seen in system.witness.read("agent_audit") if seen.workflow == workflow]
    again, _ = system.insert({**hot_lead(), "email": address})
    gets_no_more(system, again, address)
