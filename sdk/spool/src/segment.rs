//! One segment file: written only while it is the newest, never changed after that, unlinked whole.
//!
//! Small files give space back at once and confine damage, and they bound what a restart after a
//! crash costs: an append does not save redb's map of free pages (nor wait for a second fsync, nor
//! write 20 kB more), so the file that was being written is walked when it is opened again, once.

use bytes::{Bytes, BytesMut};
use redb::{ReadableDatabase as _, ReadableTable, Table, TableError};

use crate::Entry;
use crate::disk::Disk;
use crate::error::{Fault, FaultKind, guard};
use crate::handle::Handle;
use crate::layout::{Header, META, PIECE, RECORDS, REPLACED, Reader, SegmentMeta, newer_format};

const WRITE_CACHE: usize = 4 << 20;
const READ_CACHE: usize = 1 << 20;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    pub(crate) entry: &'a Entry,
    pub(crate) note: &'a str,
}

/// An entry that other records took the place of, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) segment: u64,
    pub(crate) seq: u64,
    pub(crate) signal: petrel_wire::Signal,
    /// Items that are in the parts.
    pub(crate) moved: u64,
    /// Items that are not.
    pub(crate) rejected: u64,
}

/// What is under a sequence number.
#[derive(Debug)]
pub(crate) enum Found {
    Record(Header, Entry),
    /// Not what was written; with its header if that at least is right.
    Damaged(Option<Header>),
    Missing,
}

#[derive(Debug)]
pub(crate) struct Segment {
    handle: Handle,
}

impl Segment {
    /// Makes the file so that its name exists only with its content: made as `*.new`, synced,
    /// renamed, and the directory synced.
    pub(crate) fn create(disk: &dyn Disk, name: &str, meta: &SegmentMeta) -> Result<Self, Fault> {
        let unfinished = format!("{name}.new");
        let backend = disk
            .create(&unfinished)
            .map_err(|error| Fault::io("creating a segment", error))?;
        let handle = Handle::create(backend, WRITE_CACHE)?;
        guard("creating a segment", || {
            let txn = handle.db().begin_write()?;
            txn.open_table(META)?
                .insert("segment", meta.write().as_slice())?;
            txn.open_table(RECORDS)?;
            txn.commit()?;
            Ok(())
        })?;
        disk.rename(&unfinished, name)
            .and_then(|()| disk.sync_dir())
            .map_err(|error| Fault::io("naming a segment", error))?;
        Ok(Self { handle })
    }

    /// Opens the newest segment to go on writing it.
    pub(crate) fn open(disk: &dyn Disk, name: &str) -> Result<(Self, SegmentMeta), Fault> {
        let backend = disk
            .open(name)
            .map_err(|error| cannot_open(disk, name, error))?;
        Self::with_meta(name, Handle::open(backend, WRITE_CACHE)?)
    }

    /// Opens any to read it; the file is not touched.
    pub(crate) fn open_to_read(disk: &dyn Disk, name: &str) -> Result<(Self, SegmentMeta), Fault> {
        let backend = disk
            .open_to_read(name)
            .map_err(|error| cannot_open(disk, name, error))?;
        Self::with_meta(name, Handle::open_to_read(backend, READ_CACHE)?)
    }

    fn with_meta(name: &str, handle: Handle) -> Result<(Self, SegmentMeta), Fault> {
        let meta = guard("reading a segment's meta", || {
            let txn = handle.db().begin_read()?;
            let table = match txn.open_table(META) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get("segment")?.map(|row| row.value().to_vec()))
        })?;
        if let Some(format) = meta.as_deref().and_then(newer_format) {
            return Err(Fault::newer(name, format));
        }
        let meta = meta.and_then(|row| SegmentMeta::read(&row));
        let meta = meta.ok_or_else(|| {
            Fault::damaged("opening a segment", "not a segment of a format we know")
        })?;
        Ok((Self { handle }, meta))
    }

    /// True if an fsync failed, of the close itself too: the file must not be written again.
    pub(crate) fn close(self) -> bool {
        self.handle.close()
    }

    /// Makes all of it durable in one commit, or none of it.
    pub(crate) fn append(
        &self,
        records: &[Record<'_>],
        replaced: &[Replaced],
    ) -> Result<(), Fault> {
        guard("appending", || {
            let txn = self.handle.db().begin_write()?;
            {
                let mut table = txn.open_table(RECORDS)?;
                for record in records {
                    put_record(&mut table, record)?;
                }
                if !replaced.is_empty() {
                    let mut table = txn.open_table(REPLACED)?;
                    for one in replaced {
                        table.insert((one.segment, one.seq), one.write().as_slice())?;
                    }
                }
            }
            txn.commit()?;
            Ok(())
        })
    }

    /// Removes records; only of dead letters, a segment is never changed.
    pub(crate) fn remove(&self, seqs: &[u64]) -> Result<(), Fault> {
        guard("removing records", || {
            let txn = self.handle.db().begin_write()?;
            {
                let mut table = txn.open_table(RECORDS)?;
                for seq in seqs {
                    table.retain_in((*seq, 0)..=(*seq, u16::MAX), |_, _| false)?;
                }
            }
            txn.commit()?;
            Ok(())
        })
    }

    /// Reads one record and checks it.
    pub(crate) fn read(&self, seq: u64) -> Result<Found, Fault> {
        guard("reading a record", || {
            let txn = self.handle.db().begin_read()?;
            let table = txn.open_table(RECORDS)?;
            get_record(&table, seq)
        })
    }

    /// Only the header of a record; `Ok(None)` if there is no such record, `Err` if unreadable.
    pub(crate) fn header(&self, seq: u64) -> Result<Option<Header>, Fault> {
        guard("reading a header", || {
            let txn = self.handle.db().begin_read()?;
            let table = txn.open_table(RECORDS)?;
            let Some(first) = table.get((seq, 0))? else {
                return Ok(None);
            };
            match checked_header(first.value(), seq) {
                Some((header, _)) => Ok(Some(header)),
                None => Err(redb::Error::Corrupted(format!("header of record {seq}"))),
            }
        })
    }

    /// The highest sequence number in it.
    pub(crate) fn last(&self) -> Result<Option<u64>, Fault> {
        guard("finding the last record", || {
            let txn = self.handle.db().begin_read()?;
            let table = txn.open_table(RECORDS)?;
            Ok(table.last()?.map(|(key, _)| key.value().0))
        })
    }

    /// Entries elsewhere that records of this segment replaced.
    pub(crate) fn replaced(&self) -> Result<Vec<Replaced>, Fault> {
        guard("reading replacements", || {
            let txn = self.handle.db().begin_read()?;
            let table = match txn.open_table(REPLACED) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut all = Vec::new();
            for row in table.iter()? {
                let (key, value) = row?;
                all.extend(Replaced::read(key.value(), value.value()));
            }
            Ok(all)
        })
    }
}

/// Writes a record's pieces.
pub(crate) fn put_record(
    table: &mut Table<'_, (u64, u16), &'static [u8]>,
    record: &Record<'_>,
) -> Result<(), redb::Error> {
    let mut first = Header::of(record.seq, record.entry, record.note).write();
    let body = record.entry.sealed.body();
    let room = body.len().min(PIECE - first.len());
    first.extend_from_slice(&body[..room]);
    table.insert((record.seq, 0), first.as_slice())?;
    for (number, piece) in (1u16..).zip(body[room..].chunks(PIECE)) {
        table.insert((record.seq, number), piece)?;
    }
    Ok(())
}

/// Reads a record's pieces and checks them.
pub(crate) fn get_record(
    table: &impl ReadableTable<(u64, u16), &'static [u8]>,
    seq: u64,
) -> Result<Found, redb::Error> {
    let Some(first) = table.get((seq, 0))? else {
        return Ok(Found::Missing);
    };
    let Some((header, start)) = checked_header(first.value(), seq) else {
        return Ok(Found::Damaged(None));
    };
    let Ok(len) = usize::try_from(header.body_bytes) else {
        return Ok(Found::Damaged(None));
    };
    let mut body = BytesMut::with_capacity(len.min(PIECE * usize::from(u16::MAX)));
    body.extend_from_slice(&first.value()[start..]);
    for number in 1u16.. {
        if body.len() >= len {
            break;
        }
        let Some(piece) = table.get((seq, number))? else {
            return Ok(Found::Damaged(Some(header)));
        };
        body.extend_from_slice(piece.value());
    }
    let body: Bytes = body.freeze();
    Ok(match header.entry(body) {
        Some(entry) if entry.sealed.body().len() == len => Found::Record(header, entry),
        _ => Found::Damaged(Some(header)),
    })
}

fn cannot_open(disk: &dyn Disk, name: &str, error: std::io::Error) -> Fault {
    let mut fault = Fault::io("opening a segment", error);
    if disk
        .list()
        .is_ok_and(|names| names.iter().all(|n| n != name))
    {
        fault.kind = FaultKind::Damaged; // gone for good, not a device that may recover
    }
    fault
}

fn checked_header(piece: &[u8], seq: u64) -> Option<(Header, usize)> {
    Header::read(piece).filter(|(header, _)| header.seq == seq)
}

impl Replaced {
    fn write(&self) -> Vec<u8> {
        let mut row = vec![self.signal.code()];
        row.extend_from_slice(&self.moved.to_le_bytes());
        row.extend_from_slice(&self.rejected.to_le_bytes());
        crate::layout::seal_row(&row)
    }

    fn read((segment, seq): (u64, u64), sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(crate::layout::open_row(sealed)?);
        Some(Self {
            segment,
            seq,
            signal: petrel_wire::Signal::from_code(row.u8()?)?,
            moved: row.u64()?,
            rejected: row.u64()?,
        })
    }
}
