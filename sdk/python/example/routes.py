from petrel_plugin.state import get_many, put_many

DAY_S = 24 * 60 * 60


def unseen(batch, name):
    """The names in this batch that no span had for a day, as codes."""
    keys = {code: batch.text(code)[:200] for code in batch.codes(name)}
    before = get_many(keys.values())
    put_many({key: b"seen" for key in keys.values()}, DAY_S)
    return {code for code, value in zip(keys, before) if value is None}
