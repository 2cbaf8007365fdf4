//! Writes the values of chosen attributes in capital letters.

use petrel_plugin::prelude::*;

/// What is ready for batches, once configured.
pub struct {{Name}} {
    said: Slot,
}

/// What an operator writes under `config:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Attribute keys: exact, or with `*` at either end.
    keys: Vec<String>,
}

impl Processor for {{Name}} {
    type Config = Config;

    fn about() -> About {
        about!()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if config.keys.is_empty() {
            return Err(Error::config("config.keys is empty; name an attribute"));
        }
        let keys = config.keys.join("|");
        Ok(Self {
            said: plan.select(Selector::attributes(Table::RECORD, &keys).write()),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        edits.map_text(batch, self.said, |text| Some(text.to_uppercase()));
        Ok(())
    }
}

petrel_plugin::export!({{Name}});
