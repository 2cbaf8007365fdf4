//! What the door must know about a statement before the engine sees it.
//!
//! The engine's library runs several statements given in one text, and reads and writes files that
//! a statement names (`INTO OUTFILE`, `FROM INFILE`), whatever `readonly` says: it was made for
//! people at their own command line. ClickHouse's server does none of that over HTTP, so neither
//! does the door.

/// Why a statement is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    #[error("several statements in one request are not allowed")]
    Several,
    #[error("INTO OUTFILE and FROM INFILE are not allowed here")]
    Files,
    #[error("only SELECT, SHOW, DESCRIBE, EXPLAIN and EXISTS are allowed here")]
    Write,
    #[error("the setting readonly cannot be changed here")]
    Unlock,
}

/// What may begin a statement that only reads.
const READS: [&str; 7] = [
    "select", "with", "show", "describe", "desc", "explain", "exists",
];

/// Checks one statement.
pub(super) fn check(sql: &str, readonly: bool) -> Result<(), Forbidden> {
    let mut ended = false;
    let mut first = true;
    for token in (Tokens { rest: sql }) {
        if ended {
            return Err(Forbidden::Several);
        }
        match token {
            Token::Word(word) => {
                let word = word.to_ascii_lowercase();
                if word == "outfile" || word == "infile" {
                    return Err(Forbidden::Files);
                }
                if readonly && word == "readonly" {
                    return Err(Forbidden::Unlock);
                }
                if readonly && first && !READS.contains(&word.as_str()) {
                    return Err(Forbidden::Write);
                }
                first = false;
            }
            Token::Mark(';') => ended = true,
            // Parentheses may stand around a SELECT.
            Token::Mark('(') => {}
            Token::Mark(_) | Token::Quoted if readonly && first => return Err(Forbidden::Write),
            Token::Mark(_) | Token::Quoted => {}
        }
    }
    Ok(())
}

/// Whether rows follow: `INSERT INTO ... FORMAT <name>`, as far as the format's name.
pub(super) fn insert_head(sql: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = Tokens { rest: sql }
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        })
        .collect();
    let [first, .., format, name] = words.as_slice() else {
        return None;
    };
    if !first.eq_ignore_ascii_case("insert") || !format.eq_ignore_ascii_case("format") {
        return None;
    }
    let trimmed = sql.trim_end();
    let head = trimmed.strip_suffix(name)?.trim_end();
    Some((&head[..head.len() - format.len()], name))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Mark(char),
    Quoted,
}

/// ClickHouse's lexer, as far as it matters: words, marks, what is quoted; comments are nothing.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            let rest = self.rest;
            let first = rest.chars().next()?;
            if rest.starts_with("--") || rest.starts_with("#!") || rest.starts_with("# ") {
                self.rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            if let Some(comment) = rest.strip_prefix("/*") {
                self.rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
                continue;
            }
            return Some(self.token(first));
        }
    }
}

impl<'a> Tokens<'a> {
    fn token(&mut self, first: char) -> Token<'a> {
        let rest = self.rest;
        if matches!(first, '\'' | '"' | '`') {
            self.rest = after_quote(rest, first);
            return Token::Quoted;
        }
        if let Some(body) = heredoc(rest) {
            self.rest = body;
            return Token::Quoted;
        }
        if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            self.rest = &rest[end..];
            return Token::Word(&rest[..end]);
        }
        self.rest = &rest[first.len_utf8()..];
        Token::Mark(first)
    }
}

/// What follows a quoted text; a quote is doubled or escaped inside.
fn after_quote(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            chars.next();
        } else if char == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return &text[at + 1..];
            }
        }
    }
    ""
}

/// What follows `$tag$ ... $tag$`.
fn heredoc(text: &str) -> Option<&str> {
    let tag_end = text.strip_prefix('$')?.find('$')? + 2;
    let tag = &text[..tag_end];
    let inner = &tag[1..tag_end - 1];
    if !inner.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let body = &text[tag_end..];
    body.find(tag).map(|end| &body[end + tag.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_allowed_however_it_is_written() {
        for sql in [
            "SELECT 1",
            " /* a ; b */ select 'x; DROP TABLE y', \"a;b\", `readonly` -- ; drop\n;",
            "(SELECT 1) UNION ALL (SELECT 2)",
            "WITH 1 AS x SELECT x",
            "SELECT $a$ ; INTO OUTFILE $a$",
            "SELECT 'it''s; \\'; ', 1",
            "DESCRIBE spans",
        ] {
            assert_eq!(check(sql, true), Ok(()), "{sql}");
        }
    }

    #[test]
    fn a_second_statement_is_never_run() {
        for sql in [
            "SELECT 1; SELECT 2",
            "SELECT 1;\n-- x\nDROP TABLE y",
            "SELECT ';' ; x",
        ] {
            assert_eq!(check(sql, false), Err(Forbidden::Several), "{sql}");
        }
    }

    #[test]
    fn files_are_out_of_reach() {
        for sql in [
            "SELECT 1 INTO OUTFILE 'x'",
            "INSERT INTO t FROM/**/Infile 'x' FORMAT CSV",
        ] {
            assert_eq!(check(sql, false), Err(Forbidden::Files), "{sql}");
        }
    }

    #[test]
    fn the_lock_cannot_be_opened_from_inside() {
        for sql in [
            "SELECT 1 SETTINGS readonly = DEFAULT",
            "SELECT 1 SETTINGS /* */ READONLY=0",
        ] {
            assert_eq!(check(sql, true), Err(Forbidden::Unlock), "{sql}");
        }
        for sql in [
            "SET max_threads = 1",
            "DROP TABLE x",
            "insert into x select 1",
            "",
            "'a'",
        ] {
            let refused = check(sql, true).is_err() || sql.is_empty();
            assert!(refused, "{sql}");
        }
    }

    #[test]
    fn the_rows_of_an_insert_are_found_behind_its_format() {
        assert_eq!(
            insert_head("INSERT INTO `a b`(`x`) FORMAT Native"),
            Some(("INSERT INTO `a b`(`x`) ", "Native"))
        );
        assert_eq!(
            insert_head("insert into t format  CSV \n"),
            Some(("insert into t ", "CSV"))
        );
        assert_eq!(insert_head("INSERT INTO t SELECT 1"), None);
        assert_eq!(insert_head("SELECT 1 FORMAT Native"), None);
    }
}
