//! [`Facts`]: the few attributes of an item that its meaning depends on.
//!
//! They are picked up while the item's attributes are copied into their column, so that nothing is
//! read twice. Texts stay bytes until somebody asks for one: most are only compared. Most keys are
//! none of them: a key is looked for among those of its length.

use petrel_wire::otlp::view::{Attributes, EncodedValue, Value};

/// What an attribute says, in any of its spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its attribute")]
pub enum Fact {
    HttpMethod,
    HttpRoute,
    /// Only that it is there: a number.
    HttpStatus,
    UrlPath,
    RpcSystem,
    RpcService,
    RpcMethod,
    MessagingSystem,
    MessagingOperation,
    MessagingDestination,
    DbSystem,
    DbNamespace,
    DbOperation,
    DbCollection,
    DbStatement,
    DbSummary,
    FaasTrigger,
    FaasName,
    PeerService,
    ServerAddress,
    Fingerprint,
    DisplayName,
    ExceptionType,
    ExceptionMessage,
    LogTemplate,
}

/// How many there are.
const FACTS: usize = Fact::LogTemplate as usize + 1;

impl Fact {
    /// What an attribute with this key says, if anything.
    pub fn of(key: &str) -> Option<Self> {
        fact(key)
    }
}

/// Keys by length. A test holds each to its arm.
#[inline]
fn fact(key: &str) -> Option<Fact> {
    use Fact::{
        DbCollection, DbNamespace, DbOperation, DbStatement, DbSummary, DbSystem, DisplayName,
        ExceptionMessage, ExceptionType, FaasName, FaasTrigger, Fingerprint, HttpMethod, HttpRoute,
        HttpStatus, LogTemplate, MessagingDestination, MessagingOperation, MessagingSystem,
        PeerService, RpcMethod, RpcService, RpcSystem, ServerAddress, UrlPath,
    };
    Some(match key.len() {
        7 => match key {
            "db.name" => DbNamespace,
            "db.type" => DbSystem,
            _ => return None,
        },
        8 => match key {
            "url.path" => UrlPath,
            _ => return None,
        },
        9 => match key {
            "db.system" => DbSystem,
            "faas.name" => FaasName,
            _ => return None,
        },
        10 => match key {
            "http.route" => HttpRoute,
            "rpc.system" => RpcSystem,
            "rpc.method" => RpcMethod,
            _ => return None,
        },
        11 => match key {
            "http.method" => HttpMethod,
            "http.target" => UrlPath,
            "rpc.service" => RpcService,
            _ => return None,
        },
        12 => match key {
            "db.statement" => DbStatement,
            "db.namespace" => DbNamespace,
            "db.operation" => DbOperation,
            "db.sql.table" => DbCollection,
            "faas.trigger" => FaasTrigger,
            "peer.service" => PeerService,
            "display.name" => DisplayName,
            _ => return None,
        },
        13 => match key {
            "db.query.text" => DbStatement,
            "net.peer.name" => ServerAddress,
            _ => return None,
        },
        14 => match key {
            "server.address" => ServerAddress,
            "db.system.name" => DbSystem,
            "exception.type" => ExceptionType,
            _ => return None,
        },
        15 => match key {
            "rpc.system.name" => RpcSystem,
            _ => return None,
        },
        16 => match key {
            "messaging.system" => MessagingSystem,
            "db.query.summary" => DbSummary,
            "http.status_code" => HttpStatus,
            _ => return None,
        },
        17 => match key {
            "exception.message" => ExceptionMessage,
            "db.operation.name" => DbOperation,
            _ => return None,
        },
        18 => match key {
            "db.collection.name" => DbCollection,
            "log.message_format" => LogTemplate,
            _ => return None,
        },
        19 => match key {
            "http.request.method" => HttpMethod,
            "messaging.operation" => MessagingOperation,
            _ => return None,
        },
        20 => match key {
            "grouping.fingerprint" => Fingerprint,
            _ => return None,
        },
        21 => match key {
            "messaging.destination" => MessagingDestination,
            "message_template.text" => LogTemplate,
            "db.mongodb.collection" => DbCollection,
            _ => return None,
        },
        24 => match key {
            "messaging.operation.type" | "messaging.operation.name" => MessagingOperation,
            _ => return None,
        },
        25 => match key {
            "http.response.status_code" => HttpStatus,
            _ => return None,
        },
        26 => match key {
            "messaging.destination.name" => MessagingDestination,
            _ => return None,
        },
        30 => match key {
            "messaging.destination.template" => MessagingDestination,
            _ => return None,
        },
        _ => return None,
    })
}

/// What was found of one item.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Of those that are present; what else stands here belongs to an item before.
    texts: [&'a [u8]; FACTS],
    present: u32,
    number: i64,
}

impl<'a> Facts<'a> {
    /// Of these attributes.
    pub fn of(attributes: Attributes<'a>) -> Self {
        let mut facts = Self::default();
        for (key, value) in attributes.encoded() {
            if let Some(fact) = std::str::from_utf8(key).ok().and_then(fact) {
                facts.note(fact, &value);
            }
        }
        facts
    }

    /// Of these texts.
    pub fn of_texts(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut facts = Self::default();
        for (key, text) in pairs {
            facts.see(key, text);
        }
        facts
    }

    /// Forgets everything, for another item.
    #[inline]
    pub fn clear(&mut self) {
        self.present = 0;
        self.number = 0;
    }

    /// Looks at an attribute whose value is a text. Of several spellings the last one counts.
    #[inline]
    pub fn see(&mut self, key: &str, text: &'a str) {
        if let Some(fact) = fact(key) {
            self.note(fact, &EncodedValue::Text(text.as_bytes()));
        }
    }

    /// Takes note of the value of an attribute that says this.
    #[inline]
    pub fn note(&mut self, fact: Fact, value: &EncodedValue<'a>) {
        match value {
            EncodedValue::Text([]) => return,
            EncodedValue::Text(text) => self.texts[fact as usize] = text,
            EncodedValue::Other(Value::Int(number)) if fact == Fact::Fingerprint => {
                self.number = *number;
                // A text that came before it stays what it is.
                if !self.has(fact) {
                    self.texts[fact as usize] = &[];
                }
            }
            EncodedValue::Other(Value::Int(_)) if fact == Fact::HttpStatus => {
                if !self.has(fact) {
                    self.texts[fact as usize] = &[];
                }
            }
            EncodedValue::Other(_) => return,
        }
        self.present |= 1 << fact as u32;
    }

    /// Whether the attribute is there and not empty.
    #[inline]
    pub fn has(&self, fact: Fact) -> bool {
        self.present & (1 << fact as u32) != 0
    }

    /// Its text, or nothing.
    pub fn text(&self, fact: Fact) -> &'a str {
        std::str::from_utf8(self.encoded(fact)).unwrap_or("")
    }

    /// Its text in UTF-8, or nothing.
    #[inline]
    pub fn encoded(&self, fact: Fact) -> &'a [u8] {
        if self.has(fact) {
            self.texts[fact as usize]
        } else {
            &[]
        }
    }

    /// A fingerprint that was sent as a number.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// What of them decides, where only `kept` do and some say something else.
    pub fn reduced<'b>(&self, essence: &Essence<'b>) -> Facts<'b>
    where
        'a: 'b,
    {
        let mut reduced: Facts<'b> = *self;
        reduced.present &= !essence.without;
        if let Some((fact, text)) = essence.instead {
            reduced.texts[fact as usize] = text.as_bytes();
        }
        reduced
    }

    /// Bytes that are equal where all texts are, of what decides.
    #[inline]
    pub fn identify(&self, essence: &Essence<'_>, out: &mut Vec<u8>) {
        let present = self.present & !essence.without;
        out.extend_from_slice(&present.to_le_bytes());
        let mut left = present;
        while left != 0 {
            let fact = left.trailing_zeros();
            left &= left - 1;
            let text = match essence.instead {
                Some((of, text)) if of as u32 == fact => text.as_bytes(),
                _ => self.texts[fact as usize],
            };
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(text);
        }
        out.extend_from_slice(&self.number.to_le_bytes());
    }
}

/// Which facts decide about something, and how much of them: most items are recognised by it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Essence<'b> {
    /// Bits of those that do not.
    without: u32,
    instead: Option<(Fact, &'b str)>,
}

impl<'b> Essence<'b> {
    /// These do not decide.
    pub fn forget(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.without |= 1 << *fact as u32;
        }
    }

    /// Of this one, only so much does.
    pub fn replace(&mut self, fact: Fact, text: &'b str) {
        self.instead = Some((fact, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_under_its_length() {
        let source = include_str!("facts.rs");
        let table = source.split("\nfn fact(").nth(1).unwrap();
        let table = table.split("\n}\n").next().unwrap();
        let keys: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
        assert!(keys.len() > 35);
        for key in keys {
            assert!(fact(key).is_some(), "{key}");
        }
    }

    #[test]
    fn facts_are_texts_and_only_those_that_mean_something() {
        let mut facts = Facts::of_texts([("url.path", "/")]);
        facts.clear();
        for (key, text) in [("http.method", "GET"), ("http.route", ""), ("mine", "x")] {
            facts.see(key, text);
        }
        for (fact, number) in [
            (Fact::HttpStatus, 500),
            (Fact::Fingerprint, 7),
            (Fact::DbSystem, 7),
        ] {
            facts.note(fact, &EncodedValue::Other(Value::Int(number)));
        }
        assert!(!facts.has(Fact::UrlPath) && facts.text(Fact::UrlPath).is_empty());
        assert_eq!(facts.text(Fact::HttpMethod), "GET");
        assert!(!facts.has(Fact::HttpRoute) && facts.has(Fact::HttpStatus));
        assert!(facts.has(Fact::Fingerprint) && !facts.has(Fact::DbSystem));
        assert_eq!(facts.number(), 7);
    }
}
