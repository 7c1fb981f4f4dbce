"""Messages as Avro, with a schema registry.

`shapes` and `schema` make Avro schemas of contracts, `values` and `framing` read and write with them, `registry` asks a
registry, `codec` does all of it for records, `subjects` checks and registers what a catalog needs.
"""
