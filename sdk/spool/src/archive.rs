//! Archives: sealed batches in one file, to be carried where no network goes.
//!
//! The file explains itself. Lines of UTF-8 text, and after each `batch` line its body as it is:
//!
//! ```text
//! petrel-archive 1
//! # ...what this is, for whoever opens it...
//!
//! batch <id> class=keep signal=traces items=5 unpacked=2048 accepted=1795237200000000000 bytes=321 sum=<16 hex>
//! <321 bytes: a zstd frame, the body of an OTLP/HTTP request to /v1/<signal>><newline>
//! end batches=1 items=5 sum=<16 hex>
//! ```
//! `sum` is xxh3-64 of its line up to the space before it; the id ends in xxh3-128 of the body. The
//! `end` line tells a whole archive from one that was cut off. A batch keeps the id under which its
//! agent would have sent it, so that importing it again, here or there, stores nothing twice.

use std::io::{self, BufRead, Read as _, Write};

use bytes::Bytes;
use petrel_wire::{BatchId, Sealed, Signal, UnixNanos};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Class, Entry, ProjectId};

const FIRST_LINE: &str = "petrel-archive 1";
const ABOUT: &str = "\
# Sealed OpenTelemetry batches with their ids, written by petrel-agent spool export.
# After each line \"batch\" come so many bytes: a zstd frame, inside an OTLP export request (protobuf).
# petrel-agent spool import and petrel-aggregator import read this; importing twice stores once.
";
/// A longer line is none of ours.
const MOST_LINE_BYTES: u64 = 1024;
/// A larger body is none of ours either.
const MOST_BODY_BYTES: u64 = 1 << 30;

/// Why an archive cannot be read on. What came before is good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Something else.
    #[error("not an archive: its first line is not {FIRST_LINE:?}")]
    Foreign,
    /// A newer version wrote it.
    #[error("an archive of another format ({0:?}); import it with the version that wrote it")]
    Newer(String),
    /// A line or a body is not what was written.
    #[error("damaged after {batches} batches: {what}")]
    Damaged {
        /// How many are good.
        batches: u64,
        /// What was met.
        what: &'static str,
    },
    /// It ends before its end.
    #[error("cut off after {batches} batches; the rest was not written or not copied")]
    CutOff {
        /// How many are good.
        batches: u64,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One batch of an archive; its entry has the id as its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The name for life.
    pub id: BatchId,
    /// As which it was spooled.
    pub class: Class,
    /// What was spooled.
    pub entry: Entry,
}

/// Writes an archive.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    to: W,
    batches: u64,
    items: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins one.
    pub fn new(mut to: W) -> io::Result<Self> {
        write!(to, "{FIRST_LINE}\n{ABOUT}\n")?;
        Ok(Self {
            to,
            batches: 0,
            items: 0,
        })
    }

    /// Adds a batch.
    pub fn append(&mut self, id: &BatchId, class: Class, entry: &Entry) -> io::Result<()> {
        let sealed = &entry.sealed;
        let line = format!(
            "batch {id} class={class} signal={} items={} unpacked={} accepted={} bytes={}",
            sealed.signal().name(),
            sealed.items(),
            sealed.unpacked_bytes(),
            entry.accepted.0,
            sealed.body().len(),
        );
        self.line(&line)?;
        self.to.write_all(sealed.body())?;
        self.to.write_all(b"\n")?;
        self.batches += 1;
        self.items += u64::from(sealed.items());
        Ok(())
    }

    /// Where it goes, to be synced in between.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.to
    }

    /// Batches so far.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Writes the last line; without it the archive counts as cut off.
    pub fn finish(mut self) -> io::Result<W> {
        let line = format!("end batches={} items={}", self.batches, self.items);
        self.line(&line)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.to, "{line} sum={:016x}", xxh3_64(line.as_bytes()))
    }
}

/// Reads an archive, batch after batch; ends after the `end` line or at the first error.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    from: R,
    batches: u64,
    items: u64,
    over: bool,
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads the first lines.
    pub fn open(from: R) -> Result<Self, ArchiveError> {
        let mut reader = Self {
            from,
            batches: 0,
            items: 0,
            over: false,
        };
        match reader.line()? {
            Some(line) if line == FIRST_LINE => {}
            Some(line) if line.starts_with("petrel-archive ") => {
                return Err(ArchiveError::Newer(line));
            }
            _ => return Err(ArchiveError::Foreign),
        }
        loop {
            match reader.line()? {
                Some(line) if line.starts_with('#') => {}
                Some(line) if line.is_empty() => return Ok(reader),
                Some(_) => return Err(reader.damaged("a strange line")),
                None => return Err(ArchiveError::CutOff { batches: 0 }),
            }
        }
    }

    fn damaged(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Damaged {
            batches: self.batches,
            what,
        }
    }

    /// The next line without its end; `None` if there is none, or only a part of one.
    fn line(&mut self) -> Result<Option<String>, ArchiveError> {
        let mut line = Vec::new();
        let mut part = (&mut self.from).take(MOST_LINE_BYTES);
        part.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            let cut_off = (line.len() as u64) < MOST_LINE_BYTES - 1;
            return if cut_off {
                Ok(None)
            } else {
                Err(self.damaged("a line without end"))
            };
        }
        let line = String::from_utf8(line).map_err(|_| self.damaged("a line that is no text"))?;
        Ok(Some(line))
    }

    fn step(&mut self) -> Result<Option<Archived>, ArchiveError> {
        let Some(line) = self.line()? else {
            return Err(ArchiveError::CutOff {
                batches: self.batches,
            });
        };
        let line = checked(&line).ok_or_else(|| self.damaged("a line's checksum is wrong"))?;
        if let Some(line) = line.strip_prefix("end ") {
            let promised = Fields(line)
                .number("batches")
                .zip(Fields(line).number("items"));
            if promised != Some((self.batches, self.items)) {
                return Err(self.damaged("batches are missing"));
            }
            return Ok(None);
        }
        let head = Head::read(line).ok_or_else(|| self.damaged("a strange line"))?;
        let mut body = Vec::new();
        let mut part = (&mut self.from).take(head.bytes + 1);
        part.read_to_end(&mut body)?;
        if body.len() as u64 <= head.bytes {
            return Err(ArchiveError::CutOff {
                batches: self.batches,
            });
        }
        if body.pop() != Some(b'\n') {
            return Err(self.damaged("a body of another length"));
        }
        let archived = head.with(body.into());
        let archived = archived.ok_or_else(|| self.damaged("a body's checksum is wrong"))?;
        self.batches += 1;
        self.items += u64::from(archived.entry.sealed.items());
        Ok(Some(archived))
    }
}

impl<R: BufRead> Iterator for ArchiveReader<R> {
    type Item = Result<Archived, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step();
        self.over = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

/// A `batch` line.
struct Head {
    id: BatchId,
    class: Class,
    signal: Signal,
    items: u32,
    unpacked_bytes: usize,
    accepted: UnixNanos,
    bytes: u64,
}

impl Head {
    fn read(line: &str) -> Option<Self> {
        let (id, rest) = line.strip_prefix("batch ")?.split_once(' ')?;
        let fields = Fields(rest);
        let class = fields.text("class")?;
        let signal = fields.text("signal")?;
        Some(Self {
            id: id.parse().ok()?,
            class: Class::ALL.into_iter().find(|it| it.name() == class)?,
            signal: Signal::ALL.into_iter().find(|it| it.name() == signal)?,
            items: u32::try_from(fields.number("items")?).ok()?,
            unpacked_bytes: usize::try_from(fields.number("unpacked")?).ok()?,
            accepted: UnixNanos(fields.number("accepted")?),
            bytes: fields.number("bytes").filter(|it| *it <= MOST_BODY_BYTES)?,
        })
    }

    fn with(self, body: Bytes) -> Option<Archived> {
        let sealed = Sealed::from_parts(self.signal, self.items, self.unpacked_bytes, body);
        (sealed.hash() == self.id.hash).then_some(Archived {
            id: self.id,
            class: self.class,
            entry: Entry {
                project: ProjectId::default(),
                origin: Some(self.id),
                accepted: self.accepted,
                sealed,
            },
        })
    }
}

/// `name=value name=value`.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0
            .split(' ')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    fn number(self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// The line without its checksum, if that is right.
fn checked(line: &str) -> Option<&str> {
    let (line, sum) = line.rsplit_once(" sum=")?;
    (u64::from_str_radix(sum, 16).ok()? == xxh3_64(line.as_bytes())).then_some(line)
}

#[cfg(test)]
mod tests {
    use petrel_wire::AgentId;

    use super::*;

    fn archived(seq: u64, body: &'static [u8]) -> Archived {
        let signal = Signal::ALL[usize::try_from(seq % 3).unwrap()];
        let sealed = Sealed::from_parts(signal, 3, 100, Bytes::from_static(body));
        let id = BatchId {
            agent: AgentId(7),
            epoch: 2,
            seq,
            hash: sealed.hash(),
        };
        Archived {
            id,
            class: Class::ALL[usize::try_from(seq % 2).unwrap()],
            entry: Entry {
                project: ProjectId::default(),
                origin: Some(id),
                accepted: UnixNanos(seq),
                sealed,
            },
        }
    }

    fn all() -> [Archived; 3] {
        [
            archived(1, b"one\nwith a line"),
            archived(2, b""),
            archived(3, b"three"),
        ]
    }

    fn written() -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
        for one in all() {
            writer.append(&one.id, one.class, &one.entry).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Archived>, ArchiveError> {
        ArchiveReader::open(bytes)?.collect()
    }

    #[test]
    fn an_archive_reads_back_what_was_written_and_says_what_it_is() {
        let bytes = written();
        assert!(bytes.starts_with(b"petrel-archive 1\n# Sealed OpenTelemetry batches"));
        assert_eq!(read(&bytes).unwrap(), all());
    }

    #[test]
    fn one_that_was_cut_off_is_known_wherever_it_was_cut() {
        let bytes = written();
        for len in 0..bytes.len() {
            let error = read(&bytes[..len]).unwrap_err();
            let expected = matches!(error, ArchiveError::CutOff { .. } | ArchiveError::Foreign);
            assert!(expected, "{len}: {error}");
        }
    }

    #[test]
    fn no_flipped_bit_passes_for_a_batch() {
        let bytes = written();
        let start = bytes.windows(7).position(|it| it == b"\nbatch ").unwrap();
        for at in start..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let reader = ArchiveReader::open(bytes.as_slice());
            let good: Vec<_> = reader
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .collect();
            assert!(good.iter().all(|one| all().contains(one)), "{at}");
            assert!(read(&bytes).is_err(), "{at}");
        }
    }

    #[test]
    fn something_else_and_something_newer_are_told_apart() {
        assert!(matches!(read(b"PK\x03\x04"), Err(ArchiveError::Foreign)));
        let newer = read(b"petrel-archive 2\n\n").unwrap_err();
        assert!(matches!(newer, ArchiveError::Newer(_)), "{newer}");
    }
}
