//! YAML as a tree that knows on which line everything stands, and how it was written.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Aliases multiply: more nodes than any configuration has are an attack or an accident.
const MOST_NODES: usize = 100_000;
const MOST_DEPTH: usize = 64;

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Text as written, quotes and escapes resolved; `quoted` text is never null.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn null(line: usize) -> Self {
        Self {
            line,
            kind: Kind::Scalar {
                text: String::new(),
                quoted: false,
            },
        }
    }

    /// `key:`, `key: ~`, `key: null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar {
                text,
                quoted: false,
            } => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// For problems: what stands there.
    pub(crate) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { .. } => "a value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a section",
        }
    }
}

/// The first document of `text`; null when there is none.
pub(crate) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => return Ok(Node::null(1)),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => {
                let root = builder.node(event, span, 0)?;
                builder.nothing_behind()?;
                return Ok(root);
            }
        }
    }
}

struct Builder<'t, P: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> {
    parser: P,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t, P: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Builder<'t, P> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'t>, Span), (usize, String)> {
        loop {
            match self.parser.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                Some(Err(why)) => return Err((why.marker().line(), why.info())),
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'t>,
        span: Span,
        depth: usize,
    ) -> Result<Node, (usize, String)> {
        let line = span.start.line();
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > MOST_DEPTH {
            return Err((
                line,
                "nests too deep or repeats itself too often".to_owned(),
            ));
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = !matches!(style, ScalarStyle::Plain);
                let text = text.into_owned();
                (Kind::Scalar { text, quoted }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => list.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Kind::List(list), anchor)
            }
            Event::MappingStart(_, anchor, _) => (Kind::Map(self.entries(depth)?), anchor),
            Event::Alias(id) => {
                let mut node = self
                    .anchors
                    .get(&id)
                    .cloned()
                    .ok_or((line, "an alias of something that is not there".to_owned()))?;
                self.nodes += count(&node);
                node.line = line;
                return Ok(node);
            }
            _ => return Err((line, "a value was expected here".to_owned())),
        };
        let node = Node { line, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, (usize, String)> {
        let mut entries = Vec::<Entry>::new();
        loop {
            let (event, span) = self.next()?;
            let line = span.start.line();
            let key = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err((line, "a key must be a word".to_owned())),
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let what = format!("the key {key:?} stands on line {} already", first.line);
                return Err((line, what));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
    }

    fn nothing_behind(&mut self) -> Result<(), (usize, String)> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, span) => {
                    let what = "a second document begins here; only one is read".to_owned();
                    return Err((span.start.line(), what));
                }
            }
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(list) => list.iter().map(count).sum(),
        Kind::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_key_knows_its_line() {
        let root = parse("# words\na: 1\nb:\n  - c: x\n    d: 'y'\n").unwrap();
        let Kind::Map(entries) = root.kind else {
            panic!("a map")
        };
        assert_eq!(entries[1].line, 3);
        let Kind::List(list) = &entries[1].value.kind else {
            panic!("a list")
        };
        let Kind::Map(inner) = &list[0].kind else {
            panic!("a map")
        };
        assert_eq!((inner[0].line, inner[1].line), (4, 5));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let list = [before.as_str(); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
        }
        assert!(parse(&text).is_err());
    }

    #[test]
    fn a_broken_file_names_its_line() {
        assert_eq!(parse("a: 1\nb: [1,\nc: 2\n").unwrap_err().0, 2);
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap_err().0, 3);
    }
}
