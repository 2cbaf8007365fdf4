//! The `resources` table: what rows refer to by hash instead of carrying it each.

use std::collections::{BTreeMap, HashMap};

use petrel_wire::otlp::view::Resource;

use super::Block;
use super::attributes::Described;
use super::columns::{Day, Dictionary, Map, Plain, Seconds, Seed, table};
use super::time::Moment;

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "resources" {
        project_id: Plain<u32>,
        resource_id: Plain<u64>,
        day: Plain<Day>,
        service: Dictionary<'a>,
        schema_url: Dictionary<'a>,
        attributes: Map<'a>,
        accepted: Plain<Seconds>,
    }
}

/// A described resource, by its place in [`Resources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(usize);

/// All resources of one cut, each described once.
#[derive(Debug, Default)]
pub(super) struct Resources<'a> {
    /// By the bytes that were sent: senders repeat them.
    known: HashMap<(&'a [u8], &'a str), Handle, Seed>,
    described: Vec<Described<'a>>,
    seen: BTreeMap<(u16, u32, u64), (Handle, Moment)>,
    last: Option<(u16, u32, Handle, Moment)>,
}

impl<'a> Resources<'a> {
    pub(super) fn describe(&mut self, resource: &Resource<'a>, schema_url: &'a str) -> Handle {
        let described = &mut self.described;
        *self
            .known
            .entry((resource.bytes(), schema_url))
            .or_insert_with(|| {
                described.push(Described::of(resource, schema_url));
                Handle(described.len() - 1)
            })
    }

    pub(super) fn get(&self, handle: Handle) -> &Described<'a> {
        &self.described[handle.0]
    }

    /// The attributes of a resource that was described.
    pub(super) fn pairs(&self, id: u64) -> impl Iterator<Item = (&'a str, &str)> {
        let described = self.described.iter().find(|described| described.id == id);
        let pairs = described.into_iter().flat_map(|described| &described.pairs);
        pairs.map(|(key, value)| (*key, value.as_str()))
    }

    /// A row of this day refers to it.
    pub(super) fn refer(&mut self, handle: Handle, project: u32, day: u16, accepted: Moment) {
        let row = Some((day, project, handle, accepted));
        if self.last == row {
            return;
        }
        self.last = row;
        let id = self.described[handle.0].id;
        let seen = self
            .seen
            .entry((day, project, id))
            .or_insert((handle, accepted));
        seen.1 = seen.1.max(accepted);
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let rows: Vec<_> = self.seen.iter().collect();
        for rows in rows.chunk_by(|a, b| a.0.0 == b.0.0) {
            let mut columns = Columns::default();
            let mut of_day = 0;
            for &(&(day, project, id), &(handle, accepted)) in rows {
                let described = self.get(handle);
                of_day = day;
                columns.rows += 1;
                columns.project_id.push(project);
                columns.resource_id.push(id);
                columns.day.push(Day(day));
                columns.service.push(described.service);
                columns.schema_url.push(described.schema_url);
                for (key, value) in &described.pairs {
                    columns.attributes.put(key, value);
                }
                columns.attributes.end_row();
                columns.accepted.push(accepted.seconds());
            }
            blocks.push(columns.finish(of_day));
        }
        blocks
    }
}
