// Writes the values of chosen attributes in capital letters.

import { Table, plugin } from 'petrel-plugin'

export const processor = plugin({
  name: '{{name}}',
  version: '0.1.0',

  configure({ keys }, plan) {
    if (!Array.isArray(keys) || keys.length === 0) {
      throw new Error('config.keys must be a list; name an attribute')
    }
    const said = plan.attributes(Table.RECORD, keys.join('|'), { write: true })
    return {
      process(batch, edits) {
        edits.mapText(batch, said, (text) => text.toUpperCase())
      },
    }
  },
})
