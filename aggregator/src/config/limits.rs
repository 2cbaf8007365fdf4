//! [`Limits`]: what projects may send, by the configuration and beside it.

use std::collections::BTreeMap;

use petrel_spool::ProjectId;

use super::values::size;

/// What a project may send; `None` is as much as there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Unpacked bytes.
    pub bytes_per_second: Option<u64>,
    /// Spans, log records and data points.
    pub items_per_second: Option<u64>,
    /// Series that were not there before in the same hour.
    pub series_per_hour: Option<u64>,
    /// Attribute keys that were not there before in the same hour.
    pub attribute_keys_per_hour: Option<u64>,
}

/// `limits`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of every project by itself.
    pub everybody: Limit,
    /// Of those that have their own.
    pub projects: BTreeMap<ProjectId, Limit>,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKind {
    /// [`Limit::bytes_per_second`].
    BytesPerSecond,
    /// [`Limit::items_per_second`].
    ItemsPerSecond,
    /// [`Limit::series_per_hour`].
    SeriesPerHour,
    /// [`Limit::attribute_keys_per_hour`].
    AttributeKeysPerHour,
}

/// What was set for a project beside the configuration; `None` lifts what the configuration says.
pub type OwnLimits = BTreeMap<LimitKind, Option<u64>>;

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::BytesPerSecond,
        Self::ItemsPerSecond,
        Self::SeriesPerHour,
        Self::AttributeKeysPerHour,
    ];

    /// As in the configuration, the metadata database, metrics and refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::BytesPerSecond => "bytes_per_second",
            Self::ItemsPerSecond => "items_per_second",
            Self::SeriesPerHour => "series_per_hour",
            Self::AttributeKeysPerHour => "attribute_keys_per_hour",
        }
    }

    /// Reads a number, with a size's unit if it has one. What would refuse everything is none.
    pub fn parse(self, text: &str) -> Result<u64, String> {
        let (least, what) = match self {
            Self::BytesPerSecond => (1024, "bytes"),
            Self::ItemsPerSecond => (1, "item"),
            Self::SeriesPerHour => (1, "series"),
            Self::AttributeKeysPerHour => (1, "key"),
        };
        match size(text)? {
            value if value < least => {
                Err(format!("{text:?} is too small; at least {least} {what}"))
            }
            value => Ok(value),
        }
    }
}

impl Limit {
    /// One of them.
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        match kind {
            LimitKind::BytesPerSecond => self.bytes_per_second,
            LimitKind::ItemsPerSecond => self.items_per_second,
            LimitKind::SeriesPerHour => self.series_per_hour,
            LimitKind::AttributeKeysPerHour => self.attribute_keys_per_hour,
        }
    }

    /// With one of them as given.
    pub fn set(&mut self, kind: LimitKind, most: Option<u64>) {
        *match kind {
            LimitKind::BytesPerSecond => &mut self.bytes_per_second,
            LimitKind::ItemsPerSecond => &mut self.items_per_second,
            LimitKind::SeriesPerHour => &mut self.series_per_hour,
            LimitKind::AttributeKeysPerHour => &mut self.attribute_keys_per_hour,
        } = most;
    }
}

impl Limits {
    /// What counts for a project: what was set for it beside the configuration, else its own limit
    /// there, else everybody's.
    pub fn of(&self, project: ProjectId, own: Option<&OwnLimits>) -> Limit {
        let configured = self.projects.get(&project).copied().unwrap_or_default();
        let mut limit = self.everybody;
        for kind in LimitKind::ALL {
            match own.and_then(|own| own.get(&kind)) {
                Some(most) => limit.set(kind, *most),
                None if configured.get(kind).is_some() => limit.set(kind, configured.get(kind)),
                None => {}
            }
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_beside_the_configuration_wins_and_may_lift_a_limit() {
        let limits = Limits {
            everybody: Limit {
                items_per_second: Some(100),
                series_per_hour: Some(7),
                ..Limit::default()
            },
            projects: BTreeMap::from([(
                ProjectId(2),
                Limit {
                    items_per_second: Some(200),
                    ..Limit::default()
                },
            )]),
        };
        let items =
            |project, own: Option<&OwnLimits>| limits.of(ProjectId(project), own).items_per_second;
        assert_eq!((items(1, None), items(2, None)), (Some(100), Some(200)));
        let own = OwnLimits::from([(LimitKind::ItemsPerSecond, Some(5))]);
        assert_eq!(
            (items(1, Some(&own)), items(2, Some(&own))),
            (Some(5), Some(5))
        );
        let lifted = OwnLimits::from([(LimitKind::ItemsPerSecond, None)]);
        assert_eq!(
            (items(1, Some(&lifted)), items(2, Some(&lifted))),
            (None, None)
        );
        // The rest stays as it was.
        assert_eq!(limits.of(ProjectId(2), Some(&own)).series_per_hour, Some(7));
    }

    #[test]
    fn a_limit_that_would_refuse_everything_is_none() {
        assert_eq!(LimitKind::BytesPerSecond.parse("20MiB"), Ok(20 << 20));
        assert!(
            LimitKind::BytesPerSecond
                .parse("1")
                .unwrap_err()
                .contains("1024")
        );
        assert!(LimitKind::SeriesPerHour.parse("0").is_err());
        assert!(LimitKind::ItemsPerSecond.parse("many").is_err());
    }
}
