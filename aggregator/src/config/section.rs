//! [`Section`]: one level of the file, read key by key. What was never asked for, and is not known
//! to Uptrace either, is a typo; every complaint goes on one list with its line.

use std::cell::RefCell;
use std::fmt;

use petrel_plugin_host::written::{Keys, plain};
use serde_json::Value;

use super::{
    known,
    yaml::{Entry, Kind, Node},
};

/// Something that keeps the file from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The full key: `projects[0].token`.
    pub key: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// A key that is accepted, and something about it that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// From 1.
    pub line: usize,
    /// The full key.
    pub key: String,
    /// What to know.
    pub what: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.key, self.what)
    }
}

/// Everything found so far.
#[derive(Debug)]
pub(super) struct Findings {
    file: String,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
}

impl Findings {
    pub(super) fn new(file: &str) -> RefCell<Self> {
        RefCell::new(Self {
            file: file.to_owned(),
            problems: Vec::new(),
            notices: Vec::new(),
        })
    }

    pub(super) fn problem(&mut self, line: usize, key: String, what: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            key,
            what: what.into(),
        });
    }
}

/// A map of the file, on its way to being understood.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    line: usize,
    entries: &'a [Entry],
    asked: RefCell<Vec<&'static str>>,
    findings: &'a RefCell<Findings>,
}

impl<'a> Section<'a> {
    /// The whole file, or one of its maps; a null is an empty one.
    pub(super) fn of(
        node: &'a Node,
        path: String,
        findings: &'a RefCell<Findings>,
    ) -> Option<Self> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                let what = format!("expected a section with keys, found {}", node.what());
                findings.borrow_mut().problem(node.line, path, what);
                return None;
            }
        };
        Some(Self {
            path,
            line: node.line,
            entries,
            asked: RefCell::default(),
            findings,
        })
    }

    /// Whether the key is there and not null.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        self.parsed(key, |text| match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
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
            self.problem_at(
                entry,
                format!("expected a value, found {}", entry.value.what()),
            );
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
        Section::of(&entry.value, self.key(key), self.findings)
    }

    /// Whether the key holds a section (and not a value).
    pub(super) fn is_section(&self, key: &'static str) -> bool {
        self.get(key)
            .is_some_and(|entry| matches!(entry.value.kind, Kind::Map(_)))
    }

    /// A list of sections.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        self.items(key)
            .iter()
            .enumerate()
            .filter_map(|(index, node)| {
                Section::of(node, format!("{}[{index}]", self.key(key)), self.findings)
            })
            .collect()
    }

    /// A list of values.
    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, node) in self.items(key).iter().enumerate() {
            match &node.kind {
                Kind::Scalar { text, .. } => texts.push(text.clone()),
                _ => self.findings.borrow_mut().problem(
                    node.line,
                    format!("{}[{index}]", self.key(key)),
                    format!("expected a value, found {}", node.what()),
                ),
            }
        }
        texts
    }

    /// A map of free keys to values.
    pub(super) fn pairs(&self, key: &'static str) -> Vec<(String, String)> {
        let Some(section) = self.section(key) else {
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in section.entries {
            match &entry.value.kind {
                Kind::Scalar { text, .. } => pairs.push((entry.key.clone(), text.clone())),
                _ => section.problem_at(entry, "expected a value".to_owned()),
            }
        }
        pairs
    }

    /// Says what is wrong with a key that stands here, or with the section if it does not.
    pub(super) fn problem(&self, key: &'static str, what: impl Into<String>) {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let line = entry.map_or(self.line, |entry| entry.line);
        self.findings
            .borrow_mut()
            .problem(line, self.key(key), what);
    }

    /// Says what should be known about a key that stands here.
    pub(super) fn notice(&self, key: &'static str, what: impl Into<String>) {
        if let Some(entry) = self.get(key) {
            self.findings.borrow_mut().notices.push(Notice {
                line: entry.line,
                key: self.key(key),
                what: what.into(),
            });
        }
    }

    /// Goes through what nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self.entries {
            if asked.contains(&entry.key.as_str()) {
                continue;
            }
            if known::is_known(&self.path, &entry.key) {
                self.findings.borrow_mut().notices.push(Notice {
                    line: entry.line,
                    key: self.key(&entry.key),
                    what: "accepted, no effect yet".to_owned(),
                });
                self.check_known(&self.key(&entry.key), &entry.value);
            } else {
                let mut valid = known::below(&self.path);
                valid.extend(asked.iter().copied());
                self.problem_at(entry, known::unknown(&entry.key, &valid));
            }
        }
    }

    /// Nothing reads what is below; its keys must be Uptrace's all the same.
    fn check_known(&self, path: &str, node: &Node) {
        match &node.kind {
            Kind::Scalar { .. } => {}
            Kind::List(list) => {
                for (index, node) in list.iter().enumerate() {
                    self.check_known(&format!("{path}[{index}]"), node);
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    let key = format!("{path}.{}", entry.key);
                    if known::is_known(path, &entry.key) {
                        self.check_known(&key, &entry.value);
                    } else {
                        let what = known::unknown(&entry.key, &known::below(path));
                        self.findings.borrow_mut().problem(entry.line, key, what);
                    }
                }
            }
        }
    }

    fn items(&self, key: &'static str) -> &'a [Node] {
        let Some(entry) = self.get(key) else {
            return &[];
        };
        if let Kind::List(list) = &entry.value.kind {
            return list;
        }
        let what = format!("expected a list, found {}", entry.value.what());
        self.problem_at(entry, what);
        &[]
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
        self.findings
            .borrow_mut()
            .problem(entry.line, self.key(&entry.key), what);
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
        self.get(key).map(|entry| json(&entry.value))
    }

    fn complain(&self, key: &'static str, what: String) {
        self.problem(key, what);
    }

    fn done(self) {
        self.finish();
    }
}

/// For what a processor is handed.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::List(list) => list.iter().map(json).collect(),
        Kind::Map(entries) => {
            let pair = |entry: &Entry| (entry.key.clone(), json(&entry.value));
            Value::Object(entries.iter().map(pair).collect())
        }
        Kind::Scalar { text, quoted: true } => Value::String(text.clone()),
        Kind::Scalar { text, .. } => plain(text),
    }
}
