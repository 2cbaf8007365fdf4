//! [`Section`]: one level of the file, read key by key. What was never asked for is a typo; every
//! complaint goes on one list with its line.

use std::cell::RefCell;
use std::fmt;

use petrel_plugin_host::written::Keys;
use serde_json::Value;

use super::values::json;
use super::yaml::{Entry, Kind, Node};

/// Something that keeps the file from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As the user named it.
    pub file: String,
    /// From 1; 0 when it is not about a line.
    pub line: usize,
    /// The full key: `receivers.otlp.http.endpoint`.
    pub key: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Everything found so far.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn of(file: String) -> Self {
        Self {
            file,
            list: RefCell::default(),
        }
    }

    pub(super) fn add(&self, line: usize, key: impl Into<String>, what: impl Into<String>) {
        self.list.borrow_mut().push(Problem {
            file: self.file.clone(),
            line,
            key: key.into(),
            what: what.into(),
        });
    }

    /// In the order of the file.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|problem| problem.line);
        list
    }
}

/// A map of the file, on its way to being understood.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    line: usize,
    entries: &'a [Entry],
    asked: RefCell<Vec<&'static str>>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// The whole file, or one of its maps; a null is an empty one.
    pub(super) fn of(node: &'a Node, path: String, problems: &'a Problems) -> Option<Self> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                let what = format!("expected a section with keys, found {}", node.what());
                problems.add(node.line, path, what);
                return None;
            }
        };
        Some(Self {
            path,
            line: node.line,
            entries,
            asked: RefCell::default(),
            problems,
        })
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("{text:?} is none of {}", words.join(", "))
            })
        })
    }

    /// A value through `parse`, whose error is the problem's text.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.get(key)?;
        let Kind::Scalar { text, .. } = &entry.value.kind else {
            let what = format!("expected a value, found {}", entry.value.what());
            self.problem_at(entry, what);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.problem_at(entry, what);
                None
            }
        }
    }

    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let entry = self.get(key)?;
        Section::of(&entry.value, self.key(key), self.problems)
    }

    /// A list of sections.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(entry) = self.get(key) else {
            return Vec::new();
        };
        let Kind::List(list) = &entry.value.kind else {
            let what = format!("expected a list, found {}", entry.value.what());
            self.problem_at(entry, what);
            return Vec::new();
        };
        let path = |index| format!("{}[{index}]", self.key(key));
        list.iter()
            .enumerate()
            .filter_map(|(index, node)| Section::of(node, path(index), self.problems))
            .collect()
    }

    /// Whatever stands there.
    pub(super) fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.get(key).map(|entry| &entry.value)
    }

    /// Free keys with values, each with its line.
    pub(super) fn pairs(&self, key: &'static str) -> Vec<(usize, &'a str, &'a str)> {
        let Some(section) = self.section(key) else {
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in section.entries {
            match &entry.value.kind {
                Kind::Scalar { text, .. } => {
                    pairs.push((entry.line, entry.key.as_str(), text.as_str()));
                }
                _ => section.problem_at(entry, "expected a value".to_owned()),
            }
        }
        pairs
    }

    /// Says what is wrong with a key that stands here, or with the section if it does not.
    pub(super) fn problem(&self, key: &'static str, what: impl Into<String>) {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let line = entry.map_or(self.line, |entry| entry.line);
        self.problems.add(line, self.key(key), what);
    }

    /// Says what is wrong with a free key below a key.
    pub(super) fn problem_in(&self, key: &str, name: &str, line: usize, what: &str) {
        self.problems
            .add(line, format!("{}.{name}", self.key(key)), what);
    }

    /// Complains about what nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self.entries {
            if !asked.contains(&entry.key.as_str()) {
                self.problem_at(entry, unknown(&entry.key, &asked));
            }
        }
    }

    fn get(&self, key: &'static str) -> Option<&'a Entry> {
        self.asked.borrow_mut().push(key);
        self.entries
            .iter()
            .find(|entry| entry.key == key && !entry.value.is_null())
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn problem_at(&self, entry: &Entry, what: String) {
        self.problems.add(entry.line, self.key(&entry.key), what);
    }
}

impl Keys for Section<'_> {
    fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        Section::parsed(self, key, parse)
    }

    fn below(&self, key: &'static str) -> Option<Self> {
        self.section(key)
    }

    fn list(&self, key: &'static str) -> Vec<Self> {
        self.sections(key)
    }

    fn json(&self, key: &'static str) -> Option<Value> {
        self.node(key).map(json)
    }

    fn complain(&self, key: &'static str, what: String) {
        self.problem(key, what);
    }

    fn done(self) {
        self.finish();
    }
}

/// What to say about a key that nobody knows.
fn unknown(key: &str, valid: &[&str]) -> String {
    let nearest = valid
        .iter()
        .map(|valid| (strsim::damerau_levenshtein(key, valid), *valid))
        .min();
    match nearest {
        Some((distance, nearest)) if distance <= 1 + key.len() / 3 => {
            format!("unknown key; did you mean {nearest:?}?")
        }
        Some(_) => {
            let mut valid = valid.to_vec();
            valid.sort_unstable();
            valid.dedup();
            format!("unknown key; known here: {}", valid.join(", "))
        }
        None => "unknown key; none is expected here".to_owned(),
    }
}
