//! The plugins of a chain that take one signal, and the one walk that serves them all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use petrel_wire::Signal;

use crate::columns::Seen;
use crate::layout::{self, Level, Read};
use crate::plan::Plan;
use crate::registry::{ALL_SLOTS, TABLES, Table, field};

/// Keys whose readers are remembered from batch to batch, in each table; senders who make up keys
/// pay for it themselves.
const KNOWN_KEYS: usize = 4_096;
const KNOWN_KEY_BYTES: usize = 128;

/// What plugins together want to see of a signal.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) signal: Signal,
    /// By place in the chain; nothing where a plugin does not take the signal.
    plans: Vec<Option<Arc<Plan>>>,
    pub(crate) walk: Walk,
    /// How many built-in fields are read.
    pub(crate) fields: usize,
    known: RwLock<[KnownKeys; TABLES]>,
    /// Bytes of a batch for each distinct string in it, in the newest; 0 before the first.
    bytes_per_string: AtomicUsize,
}

/// By key, who wants to see it.
type KnownKeys = HashMap<Box<[u8]>, Arc<Wanted>>;

/// Who sees a column, and what has to be read for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) seen: Vec<Seen>,
    /// Bits of the kinds whose values somebody reads.
    kinds: u32,
    /// Whether values of other kinds must at least be known to be there.
    every: bool,
}

impl Wanted {
    fn add(&mut self, plan: usize, slot: usize, kinds: u32, every: bool) {
        let index = |at: usize| u16::try_from(at).unwrap_or(ALL_SLOTS);
        self.seen.push((index(plan), index(slot)));
        self.kinds |= kinds;
        self.every |= every;
    }

    /// Bits of the kinds whose values somebody reads.
    pub(crate) fn values(&self) -> u32 {
        self.kinds
    }

    #[inline]
    pub(crate) fn value(&self, of: u8) -> bool {
        self.kinds & (1 << of) != 0
    }

    #[inline]
    pub(crate) fn presence(&self) -> bool {
        self.every
    }

    /// Whether nobody reads a value.
    #[inline]
    pub(crate) fn only_presence(&self) -> bool {
        self.kinds == 0
    }
}

/// What to do at each field of a level's messages.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) level: &'static Level,
    /// By field number of the message, and of the message inside it where there is one.
    pub(crate) outer: [Action; SLOTS],
    pub(crate) inner: [Action; SLOTS],
    pub(crate) fields: Vec<FieldRead>,
    pub(crate) children: Vec<Walk>,
}

/// A built-in field that somebody selected.
#[derive(Debug)]
pub(crate) struct FieldRead {
    /// In the registry, and in the message.
    pub(crate) field: u16,
    pub(crate) number: u32,
    pub(crate) read: Read,
    pub(crate) wanted: Wanted,
    /// Its column's place among those of fields.
    pub(crate) index: usize,
}

/// One more than the largest field number in OTLP.
const SLOTS: usize = 17;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    #[default]
    Skip,
    Attribute,
    Field,
    Inner,
    /// The index of the walk, and the field of the message between or 0.
    Child(u8, u8),
}

impl Walk {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
    pub(crate) fn action(actions: &[Action; SLOTS], number: u32) -> Action {
        actions.get(number as usize).copied().unwrap_or_default()
    }
}

impl Readers {
    /// Nothing if no plugin takes the signal.
    pub(crate) fn new(signal: Signal, chain: &[Arc<Plan>]) -> Option<Self> {
        let taken = |plan: &Arc<Plan>| plan.takes(signal).then(|| Arc::clone(plan));
        let plans: Vec<_> = chain.iter().map(taken).collect();
        let mut fields = HashMap::new();
        let root = layout::root(signal);
        let walk = plans
            .iter()
            .any(Option::is_some)
            .then(|| Walk::new(root, &plans, &mut fields))?;
        Some(Self {
            signal,
            plans,
            walk,
            fields: fields.len(),
            known: RwLock::default(),
            bytes_per_string: AtomicUsize::new(0),
        })
    }

    /// How many distinct strings a batch of so many bytes may have, if it is like the one before.
    pub(crate) fn strings(&self, bytes: usize) -> usize {
        let each = self.bytes_per_string.load(Relaxed);
        bytes.checked_div(each).unwrap_or(bytes / 256)
    }

    /// Remembers how many distinct strings a batch had.
    pub(crate) fn met(&self, strings: usize, bytes: usize) {
        // Few are no rule.
        if let Some(each) = bytes.checked_div(strings).filter(|_| strings >= 64) {
            self.bytes_per_string.store(each.max(1), Relaxed);
        }
    }

    /// Whether one plugin alone sees what is read.
    pub(crate) fn is_one(&self) -> bool {
        self.plans.iter().flatten().count() == 1
    }

    /// Who sees a column that a plugin makes.
    pub(crate) fn seen(&self, table: Table, number: u16, key: &[u8]) -> Vec<Seen> {
        if number == field::ATTRIBUTES {
            return self.key(table, key).seen.clone();
        }
        fn search(walk: &Walk, table: Table, field: u16) -> Option<Vec<Seen>> {
            let is_it = |read: &&FieldRead| walk.level.table == table && read.field == field;
            let here = walk
                .fields
                .iter()
                .find(is_it)
                .map(|read| read.wanted.seen.clone());
            here.or_else(|| {
                walk.children
                    .iter()
                    .find_map(|walk| search(walk, table, field))
            })
        }
        search(&self.walk, table, number).unwrap_or_default()
    }

    /// Who sees this attribute.
    pub(crate) fn key(&self, table: Table, key: &[u8]) -> Arc<Wanted> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(wanted) = known[table.index()].get(key) {
            return Arc::clone(wanted);
        }
        drop(known);
        let mut wanted = Wanted::default();
        for (plan, index) in self.plans.iter().zip(0..) {
            let selectors = plan
                .iter()
                .flat_map(|plan| plan.selectors.iter().enumerate());
            for (slot, selector) in selectors {
                let rule = selector.rule.as_ref().filter(|_| selector.table == table);
                if rule.is_some_and(|rule| rule.covers(key)) {
                    wanted.add(
                        index,
                        slot,
                        selector.kinds,
                        selector.kinds == 0 || selector.creates(),
                    );
                }
            }
        }
        let wanted = Arc::new(wanted);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = &mut known[table.index()];
        if known.len() < KNOWN_KEYS && key.len() <= KNOWN_KEY_BYTES {
            known.insert(key.into(), Arc::clone(&wanted));
        }
        wanted
    }
}

impl Walk {
    fn new(
        level: &'static Level,
        plans: &[Option<Arc<Plan>>],
        indexes: &mut HashMap<(Table, u16), usize>,
    ) -> Self {
        let mut own = [Action::Skip; SLOTS];
        let mut fields: Vec<FieldRead> = Vec::new();
        let selectors = plans.iter().enumerate().flat_map(|(index, plan)| {
            let selectors = plan
                .iter()
                .flat_map(|plan| plan.selectors.iter().enumerate());
            selectors.map(move |(slot, selector)| (index, slot, selector))
        });
        for (plan, slot, selector) in selectors.filter(|(_, _, one)| one.table == level.table) {
            if selector.rule.is_some() {
                own[level.attributes as usize] = Action::Attribute;
                continue;
            }
            for at in level.fields.iter().filter(|at| at.field == selector.field) {
                own[at.number as usize] = Action::Field;
                let known = fields.iter().position(|one| one.field == at.field);
                let known = known.unwrap_or_else(|| {
                    let next = indexes.len();
                    fields.push(FieldRead {
                        field: at.field,
                        number: at.number,
                        read: at.read,
                        wanted: Wanted::default(),
                        index: *indexes.entry((level.table, at.field)).or_insert(next),
                    });
                    fields.len() - 1
                });
                let every = selector.kinds == 0 || selector.creates();
                fields[known].wanted.add(plan, slot, selector.kinds, every);
            }
        }
        let (mut outer, mut inner) = ([Action::Skip; SLOTS], [Action::Skip; SLOTS]);
        if level.inner == 0 {
            outer = own;
        } else {
            inner = own;
            outer[level.inner as usize] = Action::Inner;
        }
        let mut children = Vec::new();
        let heard = |table| plans.iter().flatten().any(|plan| plan.hears_of(table));
        for child in level
            .children
            .iter()
            .filter(|child| heard(child.level.table))
        {
            let index = u8::try_from(children.len()).unwrap_or(u8::MAX);
            let through = u8::try_from(child.through).unwrap_or(u8::MAX);
            outer[child.number as usize] = Action::Child(index, through);
            children.push(Self::new(child.level, plans, indexes));
        }
        Self {
            level,
            outer,
            inner,
            fields,
            children,
        }
    }
}
