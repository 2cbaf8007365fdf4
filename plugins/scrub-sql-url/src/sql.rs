//! A tokenizer that knows where SQL has values, in the dialects that people use.
//!
//! It does not parse: what it cannot place (an unfinished string, a stray quote) it takes for a value,
//! to the end of the text if need be. Rather too much goes than too little.

/// `text` with `?` in place of values.
pub(crate) fn scrub(text: &str, quoted_is_name: bool) -> String {
    let mut scrubber = Scrubber {
        rest: text,
        out: String::with_capacity(text.len()),
    };
    while let Some(letter) = scrubber.rest.chars().next() {
        scrubber.token(letter, quoted_is_name);
    }
    shorten_lists(&scrubber.out)
}

struct Scrubber<'a> {
    rest: &'a str,
    out: String,
}

impl Scrubber<'_> {
    fn token(&mut self, letter: char, quoted_is_name: bool) {
        let backslash = if quoted_is_name {
            Backslash::Letter
        } else {
            Backslash::Unknown
        };
        match letter {
            '\'' => self.value(string_len(self.rest, '\'', backslash)),
            '"' if quoted_is_name => self.keep(string_len(self.rest, '"', Backslash::Letter)),
            '"' => self.value(string_len(self.rest, '"', backslash)),
            // A name in MySQL.
            '`' => self.keep(string_len(self.rest, '`', Backslash::Letter)),
            '-' if self.rest.starts_with("--") => self.comment("--", "\n"),
            '#' if self.rest.starts_with("# ") => self.comment("#", "\n"),
            '/' if self.rest.starts_with("/*") => self.comment("/*", "*/"),
            '$' => self.dollar(),
            '0'..='9' => self.value(number_len(self.rest)),
            '.' if self.rest[1..].starts_with(|next: char| next.is_ascii_digit())
                && !self.after_name() =>
            {
                self.value(number_len(self.rest));
            }
            letter if is_name(letter) => self.name(),
            letter => self.keep(letter.len_utf8()),
        }
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.out.push_str(kept);
        self.rest = rest;
    }

    fn value(&mut self, length: usize) {
        self.out.push('?');
        self.rest = &self.rest[length..];
    }

    /// What follows belongs to a name: `t.1` is no number.
    fn after_name(&self) -> bool {
        self.out
            .ends_with(|last: char| is_name(last) || matches!(last, '`' | '"' | ']'))
    }

    /// People write names and addresses into comments; that there was one may stay.
    fn comment(&mut self, begin: &str, end: &str) {
        let inside = &self.rest[begin.len()..];
        let length = inside.find(end).map_or(inside.len(), |at| at + end.len());
        let closed = inside[..length].ends_with(end);
        self.out.push_str(begin);
        self.out.push_str(" ? ");
        if closed {
            self.out.push_str(end);
        }
        self.rest = &self.rest[begin.len() + length..];
    }

    /// `$1` is a placeholder, `$tag$...$tag$` a string in PostgreSQL.
    fn dollar(&mut self) {
        let after = &self.rest[1..];
        let digits = after.len()
            - after
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .len();
        if digits > 0 {
            return self.keep(1 + digits);
        }
        let tag = after
            .find(|letter: char| !is_name(letter))
            .unwrap_or(after.len());
        if !after[tag..].starts_with('$') {
            return self.keep(1);
        }
        let tag = &self.rest[..tag + 2];
        let inside = &self.rest[tag.len()..];
        let end = inside.find(tag).map_or(inside.len(), |at| at + tag.len());
        self.value(tag.len() + end);
    }

    /// A name or a keyword, or the prefix of a literal (`N'..'`, `x'..'`, `E'..'`).
    fn name(&mut self) {
        let rest = self.rest;
        let length = rest
            .find(|letter: char| !is_name(letter) && letter != '$')
            .unwrap_or(rest.len());
        let is_prefix = length <= 2 && rest[length..].starts_with('\'');
        if is_prefix {
            let length = length + string_len(&rest[length..], '\'', Backslash::Unknown);
            return self.value(length);
        }
        self.keep(length);
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What a backslash before a quote means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backslash {
    /// Nothing, as the standard has it.
    Letter,
    /// Perhaps that the quote belongs to the text, as in MySQL. Taken for the wrong dialect, values
    /// would be names and names values from there on.
    Unknown,
}

/// The length of a quoted text; doubled quotes belong to it. Where nobody knows whether it ends, it
/// has no end.
fn string_len(text: &str, quote: char, backslash: Backslash) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    let mut backslashes = 0;
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            if backslashes % 2 == 1 && backslash == Backslash::Unknown {
                return text.len();
            }
            match letters.peek() {
                Some((_, next)) if *next == quote => {
                    letters.next();
                }
                _ => return at + quote.len_utf8(),
            }
        }
        backslashes = if letter == '\\' { backslashes + 1 } else { 0 };
    }
    text.len()
}

/// Digits, hexadecimal ones too, with a point and an exponent.
fn number_len(text: &str) -> usize {
    let mut before = ' ';
    text.find(|letter: char| {
        let sign = matches!(letter, '+' | '-') && matches!(before, 'e' | 'E');
        before = letter;
        !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_') || sign)
    })
    .unwrap_or(text.len())
}

/// `IN (?, ?, ?)` becomes `IN (?)`: how many there were makes one statement a thousand.
fn shorten_lists(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let (before, list) = rest.split_at(open + 1);
        out.push_str(before);
        rest = list;
        let words = before[..open].trim_end();
        let after_in = words.len() >= 2
            && words.is_char_boundary(words.len() - 2)
            && words[words.len() - 2..].eq_ignore_ascii_case("in")
            && !words[..words.len() - 2].ends_with(is_name);
        if !after_in {
            continue;
        }
        if let Some(close) = list.find(')')
            && list[..close].split(',').all(|one| one.trim() == "?")
        {
            out.push('?');
            rest = &list[close..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str) {
        assert_eq!(scrub(before, false), after);
    }

    #[test]
    fn values_go_and_the_statement_stays() {
        check(
            "SELECT a1, t.b FROM users2 WHERE email = 'bob@x' AND age>42 LIMIT 10",
            "SELECT a1, t.b FROM users2 WHERE email = ? AND age>? LIMIT ?",
        );
        check(
            "UPDATE t SET a='it''s', b = -1.5e-3, c=0xFF",
            "UPDATE t SET a=?, b = -?, c=?",
        );
        check(
            "VALUES (N'x', x'ab', E'a\\\\', .5, NULL, true)",
            "VALUES (?, ?, ?, ?, NULL, true)",
        );
        check(
            "SELECT $1, :name, ?, @p, $$secret$$, $t$a$b$t$",
            "SELECT $1, :name, ?, @p, ?, ?",
        );
        check(
            "SELECT `o'clock` FROM \u{e4}rger WHERE n='\u{fc}'",
            "SELECT `o'clock` FROM \u{e4}rger WHERE n=?",
        );
    }

    #[test]
    fn double_quotes_are_what_the_operator_says() {
        check(r#"SELECT "bob""s" FROM t"#, "SELECT ? FROM t");
        assert_eq!(
            scrub(r#"SELECT "Name" FROM t WHERE a='x'"#, true),
            r#"SELECT "Name" FROM t WHERE a=?"#
        );
    }

    #[test]
    fn a_backslash_hides_what_it_might_have_hidden() {
        // MySQL: one string, then nothing. The standard: a string that ends, then names.
        check("WHERE a='it\\' AND b='secret'", "WHERE a=?");
        assert_eq!(
            scrub("WHERE a='C:\\' AND b='secret'", true),
            "WHERE a=? AND b=?"
        );
        assert_eq!(scrub("WHERE a=E'it\\'s' AND b='x'", true), "WHERE a=?");
    }

    #[test]
    fn comments_lose_their_text() {
        check("SELECT 1 -- for bob\nFROM t", "SELECT ? -- ? \nFROM t");
        check("SELECT /* user=bob */ a", "SELECT /* ? */ a");
        check("SELECT a /* bob", "SELECT a /* ? ");
    }

    #[test]
    fn lists_of_values_become_one() {
        check(
            "WHERE id IN (1,2, 3) AND a in ('x')",
            "WHERE id IN (?) AND a in (?)",
        );
        check("VALUES (1, 2)", "VALUES (?, ?)");
        check(
            "WHERE f IN (SELECT 1) AND min(1, 2)",
            "WHERE f IN (SELECT ?) AND min(?, ?)",
        );
    }

    #[test]
    fn what_does_not_end_is_a_value_to_the_end() {
        check("SELECT 'bob", "SELECT ?");
        check("SELECT $x$bob", "SELECT ?");
        check("SELECT 'a\\", "SELECT ?");
        check("", "");
    }
}
