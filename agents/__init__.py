"""What each agent decides; one module each, run by `python -m agents NAME`."""
