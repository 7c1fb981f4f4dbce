"""The options of a stack as a user's environment and a running stack have them."""

from __future__ import annotations

from dataclasses import replace

from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.settings import outside_settings


def options_from_settings() -> StackOptions:
    """What the environment says, with the choices of the stack that runs in its data folder, if one does.

    Raises:
        ConfigurationError: a setting has a value that does not fit.
    """
    outside = outside_settings()
    folder = outside.definitions_dir.resolve()
    options = StackOptions(
        data_dir=outside.data_dir.resolve(),
        java_home=outside.java_home,
        definitions_dir=folder if folder.is_dir() else None,
        limits_file=outside.workflow_limits.resolve(),
    )
    key = outside.openai_api_key.get_secret_value() if outside.openai_api_key else ""
    return replace(
        options.as_running(Layout(data_dir=options.data_dir).options_file),
        own_model=bool(key or outside.openai_base_url),
        own_mail="smtp_host" in outside.model_fields_set,
    )
