//! Adds attributes: the same to all, or from a table by the value of another. The table stands in the
//! configuration, or in a file that the operator mounts.
//!
//! What is there already stays, unless the configuration says `replace: true`. Existing values are
//! not read, except of the keys that tables are looked up by.

use std::collections::BTreeMap;

use petrel_plugin::prelude::*;
use petrel_plugin::{Code, lookup};

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Config {
    /// Attributes for every resource.
    resource: BTreeMap<String, Scalar>,
    /// Attributes for every span, log record and data point.
    record: BTreeMap<String, Scalar>,
    lookups: Vec<Lookup>,
    /// Whether attributes that are there get the new value.
    replace: bool,
}

/// Attributes by the value of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    on: On,
    /// The attribute that is looked up.
    key: String,
    /// By its value, the attributes to add.
    #[serde(default)]
    table: BTreeMap<String, BTreeMap<String, Scalar>>,
    /// The name of a mounted table.
    lookup: Option<String>,
    /// Of a mounted table: columns, and the attributes that they become.
    #[serde(default)]
    columns: BTreeMap<String, String>,
    /// For values that the table does not have.
    #[serde(default)]
    otherwise: BTreeMap<String, Scalar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Resource,
    Record,
}

/// What an attribute may be set to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "an attribute's value is a text, a number, true or false"
)]
enum Scalar {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

impl<'a> From<&'a Scalar> for New<'a> {
    fn from(value: &'a Scalar) -> Self {
        match value {
            Scalar::Bool(truth) => Self::Bool(*truth),
            Scalar::Int(number) => Self::Int(*number),
            Scalar::Double(number) => Self::Double(*number),
            Scalar::Text(text) => Self::Text(text),
        }
    }
}

const SCHEMA: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$defs": {
    "attributes": { "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } }
  },
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "resource": { "$ref": "#/$defs/attributes", "description": "Attributes for every resource." },
    "record": { "$ref": "#/$defs/attributes", "description": "Attributes for every span, log record and data point." },
    "lookups": {
      "type": "array",
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["on", "key"],
        "oneOf": [{ "required": ["table"] }, { "required": ["lookup", "columns"] }],
        "properties": {
          "on": { "enum": ["resource", "record"] },
          "key": { "type": "string", "description": "The attribute that is looked up." },
          "table": { "type": "object", "additionalProperties": { "$ref": "#/$defs/attributes" } },
          "lookup": { "type": "string", "description": "The name of a table that `lookups` of the processor mounts." },
          "columns": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Columns of that table, and the attributes that they become." },
          "otherwise": { "$ref": "#/$defs/attributes", "description": "For values that the table does not have." }
        }
      }
    },
    "replace": { "type": "boolean", "default": false, "description": "Whether attributes that are there get the new value." }
  }
}"##;

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct Enrich {
    all: Vec<(Table, Attribute)>,
    lookups: Vec<Prepared>,
    replace: bool,
}

#[derive(Debug)]
struct Attribute {
    slot: Slot,
    value: Scalar,
}

#[derive(Debug)]
struct Prepared {
    table: Table,
    key: Slot,
    by: By,
    otherwise: Vec<Attribute>,
}

/// Where a table stands.
#[derive(Debug)]
enum By {
    /// In the configuration.
    Value(BTreeMap<String, Vec<Attribute>>),
    /// With the host, which has the attributes of each slot in a column.
    Column(Vec<(lookup::Column, Slot)>),
}

impl Processor for Enrich {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA)
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        let mut slots = Slots {
            plan,
            by_key: BTreeMap::new(),
            replace: config.replace,
        };
        let mut all = Vec::new();
        for (table, attributes) in [
            (Table::RESOURCE, config.resource),
            (Table::RECORD, config.record),
        ] {
            let attributes = slots.attributes(table, attributes)?;
            all.extend(attributes.into_iter().map(|attribute| (table, attribute)));
        }
        let mut lookups = Vec::new();
        for lookup in config.lookups {
            lookups.push(slots.lookup(lookup)?);
        }
        if all.is_empty() && lookups.is_empty() {
            return Err(Error::config(
                "config adds nothing: name attributes under resource or record, or lookups",
            ));
        }
        Ok(Self {
            all,
            lookups,
            replace: config.replace,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        for (table, attribute) in &self.all {
            for row in 0..batch.rows(*table) {
                self.add(batch, edits, row, attribute);
            }
        }
        for lookup in &self.lookups {
            match &lookup.by {
                By::Value(by_value) => self.add_by_value(batch, edits, lookup, by_value),
                By::Column(columns) => self.add_by_column(batch, edits, lookup, columns),
            }
        }
        Ok(())
    }
}

impl Enrich {
    fn add_by_value(
        &self,
        batch: &Batch<'_>,
        edits: &mut Edits,
        lookup: &Prepared,
        by_value: &BTreeMap<String, Vec<Attribute>>,
    ) {
        for row in 0..batch.rows(lookup.table) {
            let value = batch.get(lookup.key, row);
            let value = value.and_then(|cell| cell.value.text()).map(Text::to_str);
            let found = value.and_then(|value| by_value.get(value.as_ref()));
            for attribute in found.unwrap_or(&lookup.otherwise) {
                self.add(batch, edits, row, attribute);
            }
        }
    }

    /// What the table has is added as it is: the host appended it to the batch's strings.
    fn add_by_column(
        &self,
        batch: &Batch<'_>,
        edits: &mut Edits,
        lookup: &Prepared,
        columns: &[(lookup::Column, Slot)],
    ) {
        let rows = 0..batch.rows(lookup.table);
        let code = |row| {
            let value = batch.get(lookup.key, row)?.value.text();
            value.map(|text| text.code)
        };
        let codes: Vec<Code> = rows
            .clone()
            .map(|row| code(row).unwrap_or(Code::NONE))
            .collect();
        let mut has_none = vec![true; codes.len()];
        for (column, slot) in columns {
            for ((row, found), none) in rows.clone().zip(column.join(&codes)).zip(&mut has_none) {
                if found == Code::NONE {
                    continue;
                }
                *none = false;
                if self.replace || batch.get(*slot, row).is_none() {
                    edits.put(batch, *slot, row, found);
                }
            }
        }
        for (row, _) in rows.zip(has_none).filter(|(_, none)| *none) {
            for attribute in &lookup.otherwise {
                self.add(batch, edits, row, attribute);
            }
        }
    }

    fn add(&self, batch: &Batch<'_>, edits: &mut Edits, row: u32, attribute: &Attribute) {
        if self.replace || batch.get(attribute.slot, row).is_none() {
            edits.put(batch, attribute.slot, row, &attribute.value);
        }
    }
}

/// A selector for each attribute, once.
struct Slots<'p> {
    plan: &'p mut Plan,
    by_key: BTreeMap<(Table, String), Slot>,
    replace: bool,
}

impl Slots<'_> {
    fn attributes(
        &mut self,
        table: Table,
        attributes: BTreeMap<String, Scalar>,
    ) -> Result<Vec<Attribute>> {
        let attributes = attributes.into_iter();
        attributes
            .map(|(key, value)| {
                let slot = self.written(table, key)?;
                Ok(Attribute { slot, value })
            })
            .collect()
    }

    fn written(&mut self, table: Table, key: String) -> Result<Slot> {
        check(&key)?;
        if let Some(slot) = self.by_key.get(&(table, key.clone())) {
            return Ok(*slot);
        }
        let selector = Selector::attributes(table, &key).unseen().create();
        let slot = self.plan.select(if self.replace {
            selector.write()
        } else {
            selector
        });
        self.by_key.insert((table, key), slot);
        Ok(slot)
    }

    fn lookup(&mut self, lookup: Lookup) -> Result<Prepared> {
        check(&lookup.key)?;
        let table = match lookup.on {
            On::Resource => Table::RESOURCE,
            On::Record => Table::RECORD,
        };
        let by = match &lookup.lookup {
            None if lookup.table.is_empty() || !lookup.columns.is_empty() => {
                return Err(Error::config(format!(
                    "config: the lookup of {:?} needs `table`, or `lookup` and `columns`",
                    lookup.key
                )));
            }
            None => {
                let mut by_value = BTreeMap::new();
                for (value, attributes) in lookup.table {
                    by_value.insert(value, self.attributes(table, attributes)?);
                }
                By::Value(by_value)
            }
            Some(name) if lookup.columns.is_empty() || !lookup.table.is_empty() => {
                return Err(Error::config(format!(
                    "config: with `lookup: {name}` go `columns`, such as {{ city: site.city }}, and \
                     no `table`"
                )));
            }
            Some(name) => self.mounted(table, name, lookup.columns)?,
        };
        Ok(Prepared {
            table,
            key: self.plan.select(Selector::attributes(table, &lookup.key)),
            by,
            otherwise: self.attributes(table, lookup.otherwise)?,
        })
    }
}

impl Slots<'_> {
    fn mounted(
        &mut self,
        table: Table,
        name: &str,
        columns: BTreeMap<String, String>,
    ) -> Result<By> {
        let Some(mounted) = lookup::Mounted::open(name) else {
            return Err(Error::config(format!(
                "config: no table {name:?} is mounted; write `lookups: {{ {name}: FILE.csv }}` \
                 beside `config:`"
            )));
        };
        let columns = columns.into_iter().map(|(column, attribute)| {
            let slot = self.written(table, attribute)?;
            Ok((mounted.column(&column), slot))
        });
        Ok(By::Column(columns.collect::<Result<_>>()?))
    }
}

fn check(key: &str) -> Result<()> {
    if key.is_empty() || key.contains(['*', '|']) {
        return Err(Error::config(format!(
            "config: {key:?} is not one attribute's key, such as \"service.name\""
        )));
    }
    Ok(())
}

petrel_plugin::export!(Enrich);
