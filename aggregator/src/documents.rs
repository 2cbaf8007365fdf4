//! Documents: YAML of dashboards and monitors, looked at before it is kept.
//!
//! The formats are Uptrace's, of all its versions. Only the outer shape is looked at, because the
//! inner one belongs to whoever draws and evaluates it: that there is a list where one is meant,
//! that everything has a name, that a bound is a number. A text is kept as written, comments and
//! order and all.

use crate::config::yaml::{Entry, Kind, Node, parse};
use crate::metadata::DocumentKind;

/// The longest text.
const LONGEST_BYTES: usize = 256 * 1024;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 200;

/// A document whose outer shape is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    kind: DocumentKind,
    name: String,
    yaml: String,
}

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadDocument {
    /// From 1.
    pub line: usize,
    /// What stands there, and what should.
    pub what: String,
}

impl Checked {
    /// Looks at a dashboard: a section with a `name`, and a `table` or a grid.
    pub fn dashboard(yaml: &str) -> Result<Self, BadDocument> {
        let root = read(yaml)?;
        let dashboard = Section::of(&root, "a dashboard")?;
        let name = dashboard.name()?;
        let mut shown = 0;
        for key in ["grid_rows", "grid_sections"] {
            for row in dashboard.sections(key)? {
                shown += 1;
                row.sections("items")?;
            }
        }
        for key in ["table_grid_items", "entries"] {
            shown += dashboard.sections(key)?.len();
        }
        shown += match dashboard.get("table").map(|entry| &entry.value) {
            Some(node) if matches!(node.kind, Kind::Map(_)) => 1,
            _ => dashboard.sections("table")?.len(),
        };
        if shown == 0 {
            return Err(dashboard.bad(
                "a dashboard shows something: give it a `table`, or `grid_rows` with `items`",
            ));
        }
        for key in ROOTS {
            for monitor in dashboard.sections(key)? {
                check_monitor(&monitor, key)?;
            }
        }
        Ok(Self {
            kind: DocumentKind::Dashboard,
            name: name.to_owned(),
            yaml: yaml.to_owned(),
        })
    }

    /// Looks at monitors: a list under `monitors`, `metric_monitors` or `error_monitors`. The
    /// document is called as the first of them.
    pub fn monitors(yaml: &str) -> Result<Self, BadDocument> {
        let root = read(yaml)?;
        let document = Section::of(&root, "a document of monitors")?;
        let mut first = None;
        for key in ROOTS {
            for monitor in document.sections(key)? {
                let name = check_monitor(&monitor, key)?;
                first.get_or_insert(name.to_owned());
            }
        }
        let name = first.ok_or_else(|| {
            document.bad("there is no monitor; list them under `monitors:`, each with a `name`")
        })?;
        Ok(Self {
            kind: DocumentKind::Monitors,
            name,
            yaml: yaml.to_owned(),
        })
    }

    /// What it makes.
    pub fn kind(&self) -> DocumentKind {
        self.kind
    }

    /// As the text says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As written.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }
}

/// Where monitors stand: first versions, later ones.
const ROOTS: [&str; 3] = ["monitors", "metric_monitors", "error_monitors"];

/// What is allowed of a value, in the words of several versions.
const BOUNDS: [&str; 4] = [
    "min_allowed_value",
    "max_allowed_value",
    "min_value",
    "max_value",
];

fn check_monitor<'n>(monitor: &Section<'n>, root: &str) -> Result<&'n str, BadDocument> {
    let name = monitor.name()?;
    let is_error = match monitor.get("type").map(|entry| (entry.line, entry.text())) {
        None => root == "error_monitors",
        Some((_, Some("metric"))) => false,
        Some((_, Some("error"))) => true,
        Some((line, _)) => return Err(bad(line, "`type` is `metric` or `error`")),
    };
    if is_error {
        return Ok(name);
    }
    monitor.texts("metrics", "`redis_up as $redis_up`")?;
    monitor.texts("query", "`$redis_up`")?;
    let mut bounds = monitor.get("detector").is_some();
    for key in BOUNDS {
        let Some(entry) = monitor.get(key) else {
            continue;
        };
        let number = entry.text().and_then(|text| text.parse::<f64>().ok());
        if !number.is_some_and(f64::is_finite) {
            return Err(bad(entry.line, &format!("`{key}` must be a number")));
        }
        bounds = true;
    }
    if !bounds {
        return Err(monitor.bad(&format!(
            "monitor {name:?} allows every value; give it `min_allowed_value` or `max_allowed_value`"
        )));
    }
    Ok(name)
}

fn read(yaml: &str) -> Result<Node, BadDocument> {
    if yaml.len() > LONGEST_BYTES {
        return Err(bad(1, "is longer than 256 KiB"));
    }
    parse(yaml).map_err(|(line, what)| BadDocument { line, what })
}

fn bad(line: usize, what: &str) -> BadDocument {
    BadDocument {
        line,
        what: what.to_owned(),
    }
}

impl Entry {
    fn text(&self) -> Option<&str> {
        match &self.value.kind {
            Kind::Scalar { text, .. } if !self.value.is_null() => Some(text),
            _ => None,
        }
    }
}

/// A map of keys, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Section<'n> {
    line: usize,
    entries: &'n [Entry],
}

impl<'n> Section<'n> {
    fn of(node: &'n Node, what: &str) -> Result<Self, BadDocument> {
        match &node.kind {
            Kind::Map(entries) => Ok(Self {
                line: node.line,
                entries,
            }),
            _ => Err(bad(
                node.line,
                &format!("{} stands where {what} should be", node.what()),
            )),
        }
    }

    fn bad(&self, what: &str) -> BadDocument {
        bad(self.line, what)
    }

    fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn name(&self) -> Result<&'n str, BadDocument> {
        let entry = self
            .get("name")
            .ok_or_else(|| self.bad("`name` is missing"))?;
        match entry.text().map(str::trim) {
            Some(name) if !name.is_empty() && name.len() <= LONGEST_NAME => Ok(name),
            _ => Err(bad(
                entry.line,
                "`name` is a text of at most 200 bytes, and not empty",
            )),
        }
    }

    /// The sections of a list; none where the key is not there.
    fn sections(&self, key: &str) -> Result<Vec<Self>, BadDocument> {
        let Some(entry) = self.get(key) else {
            return Ok(Vec::new());
        };
        match &entry.value.kind {
            Kind::List(list) => list
                .iter()
                .map(|node| Self::of(node, &format!("a section of `{key}`")))
                .collect(),
            _ if entry.value.is_null() => Ok(Vec::new()),
            _ => Err(bad(
                entry.line,
                &format!("`{key}` is a list; begin each of its sections with `-`"),
            )),
        }
    }

    /// Makes sure of a text or a list of texts.
    fn texts(&self, key: &str, example: &str) -> Result<(), BadDocument> {
        let wanted = || format!("`{key}` is a list of texts, for example {example}");
        let entry = self
            .get(key)
            .ok_or_else(|| self.bad(&format!("`{key}` is missing; {}", wanted())))?;
        let is_text = |node: &Node| matches!(node.kind, Kind::Scalar { .. }) && !node.is_null();
        let right = match &entry.value.kind {
            Kind::List(list) => !list.is_empty() && list.iter().all(is_text),
            _ => is_text(&entry.value),
        };
        if right {
            Ok(())
        } else {
            Err(bad(entry.line, &wanted()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &str = "monitors:\n  - name: Redis shard is down\n    metrics:\n      - redis_up as $redis_up\n    query:\n      - group by cluster # monitor each cluster,\n      - $redis_up\n    min_allowed_value: 1\n    for_duration: 5m\n";

    fn refused(checked: Result<Checked, BadDocument>) -> String {
        checked.unwrap_err().to_string()
    }

    #[test]
    fn monitors_are_kept_as_written_under_the_name_of_the_first() {
        let checked = Checked::monitors(REDIS).unwrap();
        assert_eq!(
            (checked.name(), checked.yaml()),
            ("Redis shard is down", REDIS)
        );
        let errors = "error_monitors:\n  - name: Notify on all errors\n";
        assert_eq!(
            Checked::monitors(errors).unwrap().name(),
            "Notify on all errors"
        );
        Checked::monitors("monitors: [{ name: All errors, type: error }]").unwrap();
    }

    #[test]
    fn a_monitor_that_can_never_fire_is_refused_with_what_to_write() {
        let without = REDIS.replace("    min_allowed_value: 1\n", "");
        assert!(refused(Checked::monitors(&without)).contains("`min_allowed_value`"));
        let word = REDIS.replace("value: 1", "value: one");
        assert_eq!(
            refused(Checked::monitors(&word)),
            "line 8: `min_allowed_value` must be a number"
        );
        let nothing = REDIS.replace("      - redis_up as $redis_up\n", "");
        assert!(refused(Checked::monitors(&nothing)).starts_with("line 3: `metrics` is a list"));
        assert!(refused(Checked::monitors("monitors: []")).contains("there is no monitor"));
        assert!(refused(Checked::monitors("a: [")).starts_with("line "));
        assert!(refused(Checked::monitors("- x")).contains("a list stands where"));
        let unnamed = REDIS.replace("name: Redis shard is down\n    ", "");
        assert!(refused(Checked::monitors(&unnamed)).contains("`name` is missing"));
    }

    #[test]
    fn dashboards_of_all_versions_are_taken() {
        for text in [
            "name: Redis\ntable:\n  - metrics: [redis_up as $up]\n    query: [$up]\n",
            "schema: v2\nname: Redis\ngrid_rows:\n  - title: Keys\n    items:\n      - title: Hits\n",
            "name: Redis\ntable: { metrics: [] }\nmetric_monitors: [{ name: x, metrics: a, query: b, max_value: 3 }]\n",
        ] {
            let checked = Checked::dashboard(text).unwrap();
            assert_eq!((checked.name(), checked.yaml()), ("Redis", text));
        }
    }

    #[test]
    fn a_dashboard_that_shows_nothing_is_refused() {
        assert!(refused(Checked::dashboard("name: Redis\n")).contains("`grid_rows`"));
        assert_eq!(
            refused(Checked::dashboard("name: Redis\ngrid_rows: 7\n")),
            "line 2: `grid_rows` is a list; begin each of its sections with `-`"
        );
        assert!(refused(Checked::dashboard("table: [{}]")).contains("`name` is missing"));
        let bundled = "name: Redis\ntable: {}\nmonitors: [{ name: x }]\n";
        assert!(refused(Checked::dashboard(bundled)).contains("`metrics` is missing"));
    }
}
