"""Key shredding: every workflow's values are encrypted with a key of its own, and to erase it is to delete that key.

`sealing` encrypts and decrypts one value, `wrapping` keeps data keys under the settings' keys, `keys` has them in the
document store, `cache` remembers them for a while, `values` does all of it for records, Avro included.
"""
