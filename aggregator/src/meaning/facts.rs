//! [`Facts`]: the few attributes of an item that its meaning depends on.
//!
//! They are picked up while the item's attributes are copied into their column, so that nothing is
//! read twice. Most keys are none of them: a key is looked for among those of its length.

use petrel_wire::otlp::view::Value;

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts<'a> {
    texts: [&'a str; FACTS],
    present: u32,
    number: i64,
}

impl<'a> Facts<'a> {
    /// Of these attributes.
    pub fn of(attributes: impl Iterator<Item = (&'a str, Value<'a>)>) -> Self {
        let mut facts = Self::default();
        for (key, value) in attributes {
            facts.see(key, &value);
        }
        facts
    }

    /// Looks at an attribute. Of several spellings the last one counts.
    #[inline]
    pub fn see(&mut self, key: &str, value: &Value<'a>) {
        if let Some(fact) = fact(key) {
            self.note(fact, value);
        }
    }

    fn note(&mut self, fact: Fact, value: &Value<'a>) {
        match value {
            Value::Str("") => return,
            Value::Str(text) => self.texts[fact as usize] = text,
            Value::Int(number) if fact == Fact::Fingerprint => self.number = *number,
            Value::Int(_) if fact == Fact::HttpStatus => {}
            _ => return,
        }
        self.present |= 1 << fact as u32;
    }

    /// Whether the attribute is there and not empty.
    pub fn has(&self, fact: Fact) -> bool {
        self.present & (1 << fact as u32) != 0
    }

    /// Its text, or nothing.
    pub fn text(&self, fact: Fact) -> &'a str {
        self.texts[fact as usize]
    }

    /// A fingerprint that was sent as a number.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Without this one.
    pub fn forget(&mut self, fact: Fact) {
        self.texts[fact as usize] = "";
        self.present &= !(1 << fact as u32);
    }

    /// Says something else instead.
    pub fn replace(&mut self, fact: Fact, text: &'a str) {
        self.texts[fact as usize] = text;
    }

    /// Bytes that are equal where all texts are.
    pub fn identify(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.present.to_le_bytes());
        let mut left = self.present;
        while left != 0 {
            let text = self.texts[left.trailing_zeros() as usize];
            left &= left - 1;
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.number.to_le_bytes());
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
        let facts = Facts::of(
            [
                ("http.method", Value::Str("GET")),
                ("http.route", Value::Str("")),
                ("http.status_code", Value::Int(500)),
                ("grouping.fingerprint", Value::Int(7)),
                ("db.system", Value::Int(7)),
                ("mine", Value::Str("x")),
            ]
            .into_iter(),
        );
        assert_eq!(facts.text(Fact::HttpMethod), "GET");
        assert!(!facts.has(Fact::HttpRoute) && facts.has(Fact::HttpStatus));
        assert!(facts.has(Fact::Fingerprint) && !facts.has(Fact::DbSystem));
        assert_eq!(facts.number(), 7);
    }
}
