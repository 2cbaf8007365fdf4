//! [`Derived`]: what is counted while rows are built, in tables of its own.
//!
//! Everything here depends on the sources alone, in their order, and leaves sorted: the same bytes
//! every time, like the rows themselves. One block for each table and day, whatever the signals.

use std::collections::HashMap;

use super::Block;
use super::attributes::Pairs;
use super::columns::Seed;
use super::edges::Edges;
use super::groups::Groups;
use super::resources::Resources;
use super::vocabulary::Vocabulary;

/// Everything that is counted of one piece.
#[derive(Debug, Default)]
pub(super) struct Derived<'a> {
    pub(super) groups: Groups<'a>,
    pub(super) edges: Edges<'a>,
    pub(super) vocabulary: Vocabulary<'a>,
    environments: Environments,
}

impl<'a> Derived<'a> {
    /// Takes note of a resource before rows refer to it.
    pub(super) fn resource(&mut self, id: u64, pairs: &Pairs<'_>) {
        self.environments.note(id, pairs);
    }

    /// The environment that a resource belongs to, as a number for [`Groups`].
    #[inline]
    pub(super) fn environment(&mut self, resource_id: u64) -> u32 {
        self.environments.of(resource_id)
    }

    pub(super) fn blocks(self, resources: &Resources<'a>) -> Vec<Block> {
        let mut blocks = self.groups.blocks(&self.environments.names);
        blocks.extend(self.edges.blocks());
        blocks.extend(self.vocabulary.blocks(resources));
        blocks
    }
}

/// `deployment.environment` by resource.
#[derive(Debug)]
struct Environments {
    names: Vec<String>,
    by_resource: HashMap<u64, u32, Seed>,
    last: (u64, u32),
}

impl Default for Environments {
    fn default() -> Self {
        Self {
            names: vec![String::new()],
            by_resource: HashMap::default(),
            last: (0, 0),
        }
    }
}

impl Environments {
    fn note(&mut self, resource: u64, pairs: &Pairs<'_>) {
        if self.by_resource.contains_key(&resource) {
            return;
        }
        let value = |name| pairs.iter().find(|(key, _)| *key == name);
        let environment = value("deployment.environment.name")
            .or_else(|| value("deployment.environment"))
            .map_or("", |(_, value)| value.as_str());
        let number = match self.names.iter().position(|name| name == environment) {
            Some(known) => known,
            None => {
                self.names.push(environment.to_owned());
                self.names.len() - 1
            }
        };
        let number = u32::try_from(number).unwrap_or(0);
        self.by_resource.insert(resource, number);
    }

    #[inline]
    fn of(&mut self, resource: u64) -> u32 {
        if self.last.0 != resource {
            let number = self.by_resource.get(&resource).copied().unwrap_or(0);
            self.last = (resource, number);
        }
        self.last.1
    }
}
