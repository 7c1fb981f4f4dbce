"""CLINC150 (Larson et al., 2019, arXiv:1909.02027) as data sets for `bench/local_model.py`, from `data_small.json`.

    python bench/clinc150.py data_small.json FOLDER
    python bench/local_model.py FOLDER/test.jsonl --train FOLDER/train.jsonl

The ten domains of the paper are the agents, fifteen intents each; what is out of scope is for nobody. `train.jsonl`
holds the section `val`, 300 messages of each domain; `test.jsonl` holds `test` and `oos_test`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.evaluation.dataset import Example, write_dataset

EVENT_TYPE: Final = "utterance.received"
FILES: Final[Mapping[str, Sequence[str]]] = {"train.jsonl": ("val",), "test.jsonl": ("test", "oos_test")}
"""The sections of the published file that each data set is made of."""
_NOBODY: Final = "oos"
_INTENTS: Final[Mapping[str, str]] = {
    "banking": "account_blocked balance bill_balance bill_due freeze_account interest_rate min_payment "
    "order_checks pay_bill pin_change report_fraud routing spending_history transactions "
    "transfer",
    "credit_cards": "application_status apr card_declined credit_limit credit_limit_change credit_score "
    "damaged_card expiration_date improve_credit_score international_fees new_card "
    "redeem_rewards replacement_card_duration report_lost_card rewards_balance",
    "kitchen_and_dining": "accept_reservations calories cancel_reservation confirm_reservation cook_time food_last "
    "how_busy ingredient_substitution ingredients_list meal_suggestion nutrition_info recipe "
    "restaurant_reservation restaurant_reviews restaurant_suggestion",
    "home": "calendar calendar_update next_song order order_status play_music reminder reminder_update "
    "shopping_list shopping_list_update smart_home todo_list todo_list_update update_playlist "
    "what_song",
    "auto_and_commute": "current_location directions distance gas gas_type jump_start last_maintenance mpg "
    "oil_change_how oil_change_when schedule_maintenance tire_change tire_pressure traffic uber",
    "travel": "book_flight book_hotel car_rental carry_on exchange_rate flight_status international_visa "
    "lost_luggage plug_type timezone translate travel_alert travel_notification "
    "travel_suggestion vaccines",
    "utility": "alarm calculator date definition find_phone flip_coin make_call measurement_conversion "
    "roll_dice share_location spelling text time timer weather",
    "work": "direct_deposit income insurance insurance_change meeting_schedule next_holiday payday "
    "pto_balance pto_request pto_request_status pto_used rollover_401k schedule_meeting taxes "
    "w2",
    "small_talk": "are_you_a_bot do_you_have_pets fun_fact goodbye greeting how_old_are_you meaning_of_life "
    "tell_joke thank_you what_are_your_hobbies what_can_i_ask_you what_is_your_name "
    "where_are_you_from who_do_you_work_for who_made_you",
    "meta": "cancel change_accent change_ai_name change_language change_speed change_user_name "
    "change_volume maybe no repeat reset_settings sync_device user_name whisper_mode yes",
}
DOMAINS: Final[Mapping[str, str]] = {intent: name for name, held in _INTENTS.items() for intent in held.split()}
"""The domain of each intent."""

Sections = Mapping[str, Sequence[Sequence[str]]]


def main(arguments: Sequence[str]) -> int:
    """Write both data sets; 1 when they cannot be made, 2 when the arguments are wrong."""
    if len(arguments) != 2:
        sys.stderr.write("clinc150: name data_small.json and a folder for the data sets\n")
        return 2
    published, folder = map(Path, arguments)
    try:
        sections = read(published)
        made = {folder / name: list(examples(sections, held)) for name, held in FILES.items()}
        for path, held in made.items():
            sys.stdout.write(f"{path}: {write_dataset(path, held)} messages\n")
    except PointsmanError as error:
        sys.stderr.write(f"clinc150: {error}\n")
        return 1
    return 0


def read(published: Path) -> Sections:
    """The sections of the published file: pairs of text and intent, by name.

    Raises:
        ConfigurationError: the file cannot be read, or is another one.
    """
    try:
        found = json.loads(published.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{published} cannot be read as JSON ({type(error).__name__})", _TAKE) from None
    wanted = [section for held in FILES.values() for section in held]
    missing = [section for section in wanted if not isinstance(found, dict) or section not in found]
    if missing:
        raise ConfigurationError(f"{published} has no section {missing[0]}", _TAKE)
    return {section: found[section] for section in wanted}


def examples(sections: Sections, held: Sequence[str]) -> Iterator[Example]:
    """The messages of the sections `held`, in their order.

    Raises:
        ConfigurationError: an intent is none of the paper's.
    """
    for section in held:
        for number, (text, intent) in enumerate(sections[section], 1):
            if intent != _NOBODY and intent not in DOMAINS:
                raise ConfigurationError(f"{section}, item {number}: its intent is not one of CLINC150", _TAKE)
            yield Example(
                id=f"{section} {number}",
                event_type=EVENT_TYPE,
                payload={"text": text},
                answer=DOMAINS.get(intent),
                source=f"CLINC150:{section}",
                category=intent,
            )


_TAKE: Final = "take data_small.json of CLINC150, as its authors published it"

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
