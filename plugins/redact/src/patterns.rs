//! The patterns that have names, in the syntax of the host's `accel` kernel.
//!
//! A group `value` is the part that is replaced; a match whose group `luhn` fails the Luhn check is
//! left alone, so that a run of digits which is a time or an order number stays readable.
//! `(?-u)` keeps classes and word boundaries to ASCII: that is what these formats are made of, and
//! it keeps the automata small. The host cannot check an IBAN's digits: `iban` is listed apart, and
//! this module looks at what it finds (`iban.rs`).

/// Name, pattern, whether it is on by default.
pub const PATTERNS: [(&str, &str, bool); 12] = [
    (
        "email",
        r"(?-u)[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62}\.)+[A-Za-z]{2,24}\b",
        true,
    ),
    (
        "card",
        r"(?-u)\b(?P<luhn>[2-6](?:[ \-]?[0-9]){11,18})\b",
        true,
    ),
    (
        "jwt",
        r"(?-u)\beyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]*",
        true,
    ),
    (
        "bearer",
        r"(?-u)(?i:\b(?:bearer|basic|digest|negotiate)\s+)(?P<value>[A-Za-z0-9._~+/=\-]{8,})",
        true,
    ),
    // password=..., "api_key": "...", ?token=...
    (
        "assignment",
        r#"(?-u)(?i:(?:password|passwd|passphrase|pwd|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|credentials?)["']?\s{0,4}[=:]\s{0,4}["']?)(?P<value>[^\s"'&,;<>(){}\[\]]+)"#,
        true,
    ),
    // scheme://user:password@host
    (
        "url-password",
        r"(?-u)\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/:@]{0,128}:(?P<value>[^\s/@]{1,256})@",
        true,
    ),
    ("aws-key", r"(?-u)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", true),
    (
        "vendor-token",
        r"(?-u)\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_\-]{18,}|xox[abprs]-[A-Za-z0-9\-]{10,}|[sr]k_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_\-]{35})",
        true,
    ),
    (
        "private-key",
        r"(?s-u)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\z)",
        true,
    ),
    ("ssn", r"(?-u)\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", false),
    // +49 (30) 1234-567: international, so that a number of anything else is none.
    (
        "phone",
        r"(?-u)\+[1-9](?:[ ./\-]?\(?[0-9]\)?){7,14}\b",
        false,
    ),
    (
        "ipv4",
        r"(?-u)\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
        false,
    ),
];

/// The name of the pattern for IBANs, and its shape: a country, two check digits, 11 to 30 letters and
/// digits, perhaps in groups of four.
pub const IBAN: (&str, &str) = (
    "iban",
    r"(?-u)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
);

/// Keys whose values are secrets by their name.
pub const KEYS: [&str; 30] = [
    "password",
    "*.password",
    "*_password",
    "passwd",
    "*.passwd",
    "pwd",
    "*.pwd",
    "passphrase",
    "*.passphrase",
    "secret",
    "*.secret",
    "*_secret",
    "token",
    "*.token",
    "*_token",
    "authorization",
    "*.authorization",
    "proxy-authorization",
    "*.proxy-authorization",
    "cookie",
    "*.cookie",
    "set-cookie",
    "*.set-cookie",
    "*api_key",
    "*api-key",
    "*apikey",
    "*private_key",
    "*access_key",
    "credentials",
    "*.credentials",
];
