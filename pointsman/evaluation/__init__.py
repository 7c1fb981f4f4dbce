"""How well messages are routed: labelled messages, runs over them, figures and reports."""
