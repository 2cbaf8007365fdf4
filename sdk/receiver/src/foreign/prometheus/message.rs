//! The two messages of remote write, read where they lie.

use petrel_wire::Limits;
use petrel_wire::otlp::fields::Wire;

use super::{Families, PARTS, Version};
use crate::Refused;
use crate::foreign::protobuf::{each, utf8, varints};

/// Symbols of one request: names and values are shared, so a request with more is none.
const MOST_SYMBOLS: usize = 1 << 20;
/// Families of one request.
const MOST_FAMILIES: usize = 1 << 16;

/// What a series is, as its scraper was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Counter,
    Histogram,
    Summary,
    /// Gauges, gauge histograms, infos and state sets: what does not count.
    Other,
}

impl Kind {
    fn read(number: u64) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::Counter,
            3 => Self::Histogram,
            5 => Self::Summary,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Metadata<'a> {
    pub(super) kind: Kind,
    pub(super) unit: &'a str,
    pub(super) help: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) time_ms: i64,
    /// 0 where the sender does not know.
    pub(super) start_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) labels: Vec<(&'a str, &'a str)>,
    pub(super) samples: Vec<Sample>,
    /// Encoded.
    pub(super) histograms: Vec<&'a [u8]>,
}

impl<'a> Series<'a> {
    /// The value of a label; a label that is empty is none.
    pub(super) fn label(&self, name: &str) -> &'a str {
        let mut labels = self.labels.iter();
        labels
            .find(|(label, _)| *label == name)
            .map_or("", |(_, value)| value)
    }

    fn push_sample(&mut self, sample: Sample, limits: &Limits) -> Result<(), Refused> {
        few(self.samples.len(), limits.items as usize, "samples")?;
        self.samples.push(sample);
        Ok(())
    }

    fn push_histogram(&mut self, encoded: &'a [u8], limits: &Limits) -> Result<(), Refused> {
        few(self.histograms.len(), limits.items as usize, "histograms")?;
        self.histograms.push(encoded);
        Ok(())
    }
}

/// Whether there is room for one more: what is counted here weighs more than what it came as.
fn few(have: usize, most: usize, what: &str) -> Result<(), Refused> {
    if have < most {
        return Ok(());
    }
    Err(Refused::TooLarge(format!(
        "the request has more than {most} {what}; send smaller batches"
    )))
}

/// What all series of a request share.
#[derive(Debug)]
pub(super) enum Request<'a> {
    One {
        body: &'a [u8],
        families: Families<'a>,
    },
    Two {
        body: &'a [u8],
        symbols: Vec<&'a str>,
    },
}

impl<'a> Request<'a> {
    pub(super) fn read(version: Version, body: &'a [u8]) -> Result<Self, Refused> {
        let mut families = Families::new();
        let mut symbols = Vec::new();
        each(body, |number, value| {
            match (version, number, value) {
                (Version::One, 3, Wire::Len(metadata)) => {
                    let (family, metadata) = family(metadata)?;
                    few(families.len(), MOST_FAMILIES, "families of metadata")?;
                    families.insert(family, metadata);
                }
                (Version::Two, 4, Wire::Len(symbol)) => {
                    few(symbols.len(), MOST_SYMBOLS, "symbols")?;
                    symbols.push(utf8(symbol)?);
                }
                // The other version's series: read on, they would be silently lost.
                (Version::One, 4 | 5, _) | (Version::Two, 1 | 3, _) => return Err(Refused::Malformed(
                    "this is the other version of remote write than its content type says; 2.0 is \
                     application/x-protobuf;proto=io.prometheus.write.v2.Request"
                        .to_owned(),
                )),
                _ => {}
            }
            Ok(())
        })?;
        Ok(match version {
            Version::One => Self::One { body, families },
            Version::Two => Self::Two { body, symbols },
        })
    }

    /// Hands over one series after the other, with what is known of it.
    pub(super) fn each(
        &self,
        limits: &Limits,
        mut take: impl FnMut(&Series<'a>, Metadata<'a>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        match self {
            Self::One { body, families } => each(body, |number, value| match (number, value) {
                (1, Wire::Len(encoded)) => {
                    let series = series_one(encoded, limits)?;
                    let metadata = known(families, series.label("__name__"));
                    take(&series, metadata)
                }
                _ => Ok(()),
            }),
            Self::Two { body, symbols } => each(body, |number, value| match (number, value) {
                (5, Wire::Len(encoded)) => {
                    let (series, metadata) = series_two(encoded, symbols, limits)?;
                    take(&series, metadata)
                }
                _ => Ok(()),
            }),
        }
    }
}

/// Metadata is kept under the name of the family, and a counter's may leave out its `_total`.
fn known<'a>(families: &Families<'a>, name: &str) -> Metadata<'a> {
    let shorter = PARTS
        .iter()
        .chain(["_total"].iter())
        .find_map(|part| name.strip_suffix(part));
    let family = families.get(name).or_else(|| families.get(shorter?));
    family.copied().unwrap_or_default()
}

fn series_one<'a>(encoded: &'a [u8], limits: &Limits) -> Result<Series<'a>, Refused> {
    let mut series = Series::default();
    each(encoded, |number, value| {
        match (number, value) {
            (1, Wire::Len(label)) => {
                let mut pair = ["", ""];
                each(label, |number, value| {
                    if let (1 | 2, Wire::Len(text)) = (number, value) {
                        pair[number as usize - 1] = utf8(text)?;
                    }
                    Ok(())
                })?;
                series.labels.push((pair[0], pair[1]));
                few_labels(&series, limits)?;
            }
            (2, Wire::Len(encoded)) => series.push_sample(sample(encoded)?, limits)?,
            (4, Wire::Len(encoded)) => series.push_histogram(encoded, limits)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(series)
}

fn series_two<'a>(
    encoded: &'a [u8],
    symbols: &[&'a str],
    limits: &Limits,
) -> Result<(Series<'a>, Metadata<'a>), Refused> {
    let symbol = |reference: u64| {
        let found = usize::try_from(reference)
            .ok()
            .and_then(|index| symbols.get(index));
        found.copied().ok_or_else(|| {
            Refused::Malformed(format!(
                "a reference to symbol {reference}, which is not there"
            ))
        })
    };
    let (mut series, mut metadata) = (Series::default(), Metadata::default());
    let mut references = Vec::new();
    let mut created_ms = 0;
    each(encoded, |number, value| {
        match (number, value) {
            (1, value) => {
                varints(value, |reference| references.push(reference))?;
                if references.len() / 2 > limits.attributes as usize {
                    return Err(too_many_labels(limits));
                }
            }
            (2, Wire::Len(encoded)) => series.push_sample(sample(encoded)?, limits)?,
            (3, Wire::Len(encoded)) => series.push_histogram(encoded, limits)?,
            (5, Wire::Len(encoded)) => each(encoded, |number, value| {
                match (number, value) {
                    (1, Wire::Varint(kind)) => metadata.kind = Kind::read(kind),
                    (3, Wire::Varint(help)) => metadata.help = symbol(help)?,
                    (4, Wire::Varint(unit)) => metadata.unit = symbol(unit)?,
                    _ => {}
                }
                Ok(())
            })?,
            // As the drafts of 2.0 had it: once for the series.
            (6, Wire::Varint(millis)) => created_ms = millis.cast_signed(),
            _ => {}
        }
        Ok(())
    })?;
    let pairs = references.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Refused::Malformed(
            "a label reference without its value".to_owned(),
        ));
    }
    for pair in pairs {
        series.labels.push((symbol(pair[0])?, symbol(pair[1])?));
    }
    for sample in &mut series.samples {
        if sample.start_ms == 0 {
            sample.start_ms = created_ms;
        }
    }
    Ok((series, metadata))
}

fn sample(encoded: &[u8]) -> Result<Sample, Refused> {
    let mut sample = Sample {
        value: 0.0,
        time_ms: 0,
        start_ms: 0,
    };
    each(encoded, |number, value| {
        match (number, value) {
            (1, Wire::Fixed64(bits)) => sample.value = f64::from_bits(bits),
            (2, Wire::Varint(millis)) => sample.time_ms = millis.cast_signed(),
            (3, Wire::Varint(millis)) => sample.start_ms = millis.cast_signed(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(sample)
}

fn family(encoded: &[u8]) -> Result<(&str, Metadata<'_>), Refused> {
    let (mut name, mut metadata) = ("", Metadata::default());
    each(encoded, |number, value| {
        match (number, value) {
            (1, Wire::Varint(kind)) => metadata.kind = Kind::read(kind),
            (2, Wire::Len(text)) => name = utf8(text)?,
            (4, Wire::Len(text)) => metadata.help = utf8(text)?,
            (5, Wire::Len(text)) => metadata.unit = utf8(text)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, metadata))
}

fn few_labels(series: &Series<'_>, limits: &Limits) -> Result<(), Refused> {
    if series.labels.len() > limits.attributes as usize {
        return Err(too_many_labels(limits));
    }
    Ok(())
}

fn too_many_labels(limits: &Limits) -> Refused {
    Refused::Malformed(format!(
        "a series has more than {} labels",
        limits.attributes
    ))
}
