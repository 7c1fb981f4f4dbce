"""Makes the question to the model about one message: who is shown to it, the stable prefix, the data."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pointsman.catalog import Catalog
from pointsman.envelope import Envelope
from pointsman.models.port import ChatRequest
from pointsman.routing.candidates import fitting
from pointsman.routing.confidence import doubt_of
from pointsman.routing.decision import Candidate
from pointsman.routing.prompt import PromptPrefix, prefix_for, user_turn
from pointsman.routing.question import ModelQuestion
from pointsman.routing.shortlist import Shortlist
from pointsman.usage import Budget

if TYPE_CHECKING:
    from pointsman.routing.router import RoutingOptions

_MAX_PREFIXES: Final = 1024


class Asking:
    """Makes questions by one catalog.

    Args:
        catalog: the definitions in force.
        options: how to route.
    """

    def __init__(self, catalog: Catalog, options: RoutingOptions) -> None:
        self._catalog = catalog
        self._options = options
        self._doubt = doubt_of(options.confidence, options.second_model, options.samples)
        self._shortlist: Shortlist | None = None
        self._prefixes: OrderedDict[tuple[str, ...], PromptPrefix] = OrderedDict()

    def about(self, message: Envelope, candidates: tuple[Candidate, ...], budget: Budget, note: str) -> ModelQuestion:
        """The question about `message`.

        Args:
            message: the message.
            candidates: every agent that lists its type; those that fit are shown, or the nearest of them.
            budget: what models may still use for the workflow.
            note: what the decision's reason must add, if anything.
        """
        fit = tuple(each.agent for each in fitting(candidates))
        shown = self._nearest(fit, message)
        prefix = self._prefix(shown)
        user = user_turn(message, self._options.max_user_chars)
        request = ChatRequest(
            system=prefix.system,
            user=user,
            schema=prefix.schema,
            schema_name="routing_decision",
            model=self._options.model,
            max_output_tokens=self._options.max_output_tokens,
            timeout_s=self._options.timeout_s,
            priority=message.priority,
            doubt=self._doubt,
        )
        return ModelQuestion(
            request=request,
            message_id=message.id,
            candidates=candidates,
            shown=shown if len(shown) < len(fit) else None,
            prompt_hash=prefix.hash_with(user),
            catalog=self._catalog.version,
            catalog_sequence=self._catalog.sequence,
            budget=budget,
            note=note,
        )

    def _nearest(self, fit: tuple[str, ...], message: Envelope) -> tuple[str, ...]:
        most = self._options.max_shown
        if not most or len(fit) <= most:
            return fit
        if self._shortlist is None:
            self._shortlist = Shortlist(self._catalog.definitions)
        return self._shortlist.nearest(fit, message.payload, most)

    def _prefix(self, names: tuple[str, ...]) -> PromptPrefix:
        # Bounded: a shortlist may be another one for each message.
        if names not in self._prefixes:
            self._prefixes[names] = prefix_for(
                [self._catalog.definitions[name] for name in names], self._options.instructions
            )
            if len(self._prefixes) > _MAX_PREFIXES:
                self._prefixes.popitem(last=False)
        return self._prefixes[names]
