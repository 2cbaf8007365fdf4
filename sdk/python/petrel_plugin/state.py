"""What a plugin keeps across restarts: a small map of its own, best effort and no database.

Only in `process`. Keys and values together may have 1 MiB, a key 1 KiB; what was written longest ago makes room for
what comes. Writes count when the batch was accepted, so a batch that is sent again meets what it met the first time.
The host writes them down every few seconds and when it stops: what came after the last time does not survive a crash.
Every call crosses over to the host, so ask for many keys at once.
"""

from itertools import accumulate

from wit_world.imports import state, types


def get_many(keys):
    """The values of these keys (str or bytes) in their order: bytes, or None."""
    keys = list(keys)
    return list(state.get_many(_blob(keys))) if keys else []


def get(key):
    """The value of one key."""
    return get_many([key])[0]


def put_many(values, ttl_s=0):
    """Puts values under keys: a dictionary of str or bytes. They are over after `ttl_s` seconds; 0 is for ever."""
    if values:
        state.put_many(_blob(values.keys()), _blob(values.values()), ttl_s)


def put(key, value, ttl_s=0):
    """Puts one value under a key."""
    put_many({key: value}, ttl_s)


def delete_many(keys):
    """Removes what is under these keys."""
    keys = list(keys)
    if keys:
        state.delete_many(_blob(keys))


def _blob(parts):
    blobs = [part.encode() if isinstance(part, str) else bytes(part) for part in parts]
    return types.Blob(list(accumulate(map(len, blobs))), b"".join(blobs))
