"""Writes the values of chosen attributes in capital letters."""

from petrel_plugin import Table, plugin


@plugin(name="{{name}}", version="0.1.0")
def configure(config, plan):
    keys = config.get("keys")
    if not isinstance(keys, list) or not keys:
        raise ValueError("config.keys must be a list; name an attribute")
    said = plan.attributes(Table.RECORD, "|".join(keys), write=True)

    def process(batch, edits):
        edits.map_text(batch, said, str.upper)

    return process
