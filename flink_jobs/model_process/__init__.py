"""The process that asks the model for an operator, so that the two do not wait for one interpreter (docs/adr/0027)."""
