"""An offline stand-in for a model: deterministic, no language model, behind the real chat-completions API.

It answers from the request alone. It compares words and numbers of the user turn with what the system turn and the
schema say, and fills in what the schema asks for. It knows no agent and no event type.

`words` splits text, `facts` reads a user turn, `guidance` reads a system turn, `judge` grades, `choose` picks one of
several options, `compose` fills a schema, `letters` writes mails, `faults` misbehaves on demand, `server` speaks HTTP.
"""
