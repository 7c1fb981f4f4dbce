"""What a person sees of a demo: the leads' ways as they go on, then each with its reasons, then the mails."""

from __future__ import annotations

from collections.abc import Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from pointsman.journeys import Hop, Journey, Journeys

_ARROW: Final = " → "


class LiveWays:
    """The leads and where they are: a table on a terminal, a line per decision elsewhere.

    Args:
        names: who they are, by workflow id.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._console = Console()
        self._told: set[str] = set()
        self._live = Live(console=self._console, refresh_per_second=8) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, journeys: Journeys) -> None:
        """Show how far they are."""
        if self._live:
            self._live.update(self._table(journeys))
        else:
            self._tell(journeys)

    def _table(self, journeys: Journeys) -> Table:
        table = Table(box=box.SIMPLE_HEAD, title="Leads on their way", title_justify="left")
        for heading in ("lead", "who had it", "now"):
            table.add_column(heading)
        for workflow, name in self._names.items():
            journey = journeys.get(workflow) or Journey(workflow_id=workflow)
            agents = _ARROW.join(hop.agent for hop in journey.hops if hop.agent)
            table.add_row(escape(name), escape(agents), escape(journey.stage))
        return table

    def _tell(self, journeys: Journeys) -> None:
        for workflow, name in self._names.items():
            journey = journeys.get(workflow)
            for hop in journey.hops if journey else ():
                if hop.outcome is not None and hop.message_id not in self._told:
                    self._told.add(hop.message_id)
                    self._console.print(f"{name}: {_step(hop)}", markup=False, highlight=False, soft_wrap=True)


def print_ways(names: Mapping[str, str], journeys: Journeys) -> None:
    """Each lead's way, decision by decision, with the reason of each."""
    console = Console()
    console.print("\n[bold]What happened to each lead, and why[/bold]")
    for workflow, name in names.items():
        journey = journeys.get(workflow)
        console.print(f"\n[bold]{escape(name)}[/bold]")
        for hop in journey.hops if journey else ():
            console.print(f"  {_step(hop)}", markup=False, highlight=False, soft_wrap=True)
            console.print(f"      {_why(hop)}", markup=False, highlight=False, soft_wrap=True, style="dim")


def print_mails(folder: Path) -> None:
    """The mails, as the SMTP server received them."""
    console = Console()
    files = sorted(folder.glob("*.eml"))
    console.print(f"\n[bold]{len(files)} mails, as received[/bold]")
    for file in files:
        mail = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
        heads = "\n".join(f"{name + ':':<9}{mail[name]}" for name in ("From", "To", "Subject"))
        console.print(Panel(escape(f"{heads}\n\n{_body(mail)}"), box=box.ROUNDED, expand=False))


def _step(hop: Hop) -> str:
    end = hop.agent or (hop.outcome.value if hop.outcome else "at the router")
    return f"{hop.event_type}{_ARROW}{end}"


def _why(hop: Hop) -> str:
    how = {"model": f"{hop.model or 'model'} chose", "contract": "by contract"}.get(hop.how or "", hop.how or "")
    return f"{how.replace('_', ' ')}: {hop.reason}"


def _body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return str(part.get_content()).strip() if part else ""
