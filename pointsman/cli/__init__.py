"""The `pointsman` command: one module per noun."""
