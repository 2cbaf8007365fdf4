//! [`Moderated`]: a format of lines that leaves out what is too much.
//!
//! A format, and not a filter, because it may write several lines for one event, and none: the count
//! of an earlier flood stands before the line that comes after it.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use petrel_wire::{Clock, SystemClock};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::places::{Flood, Places};
use crate::{LINES, OWN_LIMIT, WINDOW};

/// How much of a line stands for those like it, in characters.
const EXAMPLE: usize = 200;

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

pub(crate) fn left_out() -> u64 {
    LEFT_OUT.load(Relaxed)
}

/// Writes events as `F` does, of each place only so many.
#[derive(Debug)]
pub(crate) struct Moderated<F> {
    lines: F,
    clock: Arc<dyn Clock>,
    places: Mutex<Places<Identifier>>,
}

impl<F> Moderated<F> {
    pub(crate) fn new(lines: F) -> Self {
        Self::with_clock(lines, SystemClock::shared())
    }

    fn with_clock(lines: F, clock: Arc<dyn Clock>) -> Self {
        Self {
            lines,
            clock,
            places: Mutex::new(Places::new(LINES, WINDOW)),
        }
    }

    /// What ended before this event, and whether it may be written.
    fn judge(&self, event: &Event<'_>) -> (Vec<Flood>, bool) {
        let now = self.clock.monotonic();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = places.ended(now);
        let metadata = event.metadata();
        let admitted = !limited(metadata)
            || places.admit(metadata.callsite(), now, || {
                let mut message = Message::default();
                event.record(&mut message);
                message.0.chars().take(EXAMPLE).collect()
            });
        (ended, admitted)
    }
}

fn limited(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && !metadata.target().ends_with(OWN_LIMIT)
}

impl<S, N, F> FormatEvent<S, N> for Moderated<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (ended, admitted) = self.judge(event);
        for Flood { left_out, example } in ended {
            SystemTime.format_time(&mut writer)?;
            writeln!(
                writer,
                "  WARN {left_out} more lines like this were left out within {} s: {example}",
                WINDOW.as_secs()
            )?;
        }
        if admitted {
            return self.lines.format_event(context, writer, event);
        }
        LEFT_OUT.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// The text of an event, without its fields.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _strings_take_all = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use petrel_wire::UnixNanos;
    use tracing_subscriber::fmt::{MakeWriter, format};

    use super::*;

    /// What was written, for the test to read.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().expect("one thread").clone());
            text.expect("text").lines().map(str::to_owned).collect()
        }
    }

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Paper {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Moves when it is told to, in seconds.
    #[derive(Debug, Default)]
    struct ByHand(AtomicU64);

    impl Clock for ByHand {
        fn wall(&self) -> UnixNanos {
            UnixNanos(0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Relaxed))
        }
    }

    fn written(job: impl FnOnce(&ByHand)) -> Vec<String> {
        let (paper, clock) = (Paper::default(), Arc::new(ByHand::default()));
        let lines = format::Format::default().with_ansi(false).without_time();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let log = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(paper.clone())
            .with_ansi(false)
            .event_format(Moderated::with_clock(lines, shared))
            .finish();
        tracing::subscriber::with_default(log, || job(&clock));
        paper.lines()
    }

    #[test]
    fn a_flood_from_one_place_is_cut_and_counted_and_others_are_heard() {
        let before = left_out();
        let lines = written(|clock| {
            for n in 0..1000 {
                tracing::warn!(n, "no answer from the peer");
            }
            tracing::warn!("the disk is full");
            clock.0.store(WINDOW.as_secs(), Relaxed);
            tracing::info!("the disk has room");
        });
        let limit = LINES as usize;
        assert_eq!(lines.len(), limit + 3);
        assert!(lines[limit].ends_with("the disk is full"));
        let told = format!(
            "{} more lines like this were left out within 60 s: no answer from the peer",
            1000 - limit
        );
        assert!(lines[limit + 1].ends_with(&told), "{}", lines[limit + 1]);
        assert!(lines[limit + 2].ends_with("the disk has room"));
        assert_eq!(left_out() - before, 1000 - u64::from(LINES));
    }

    #[test]
    fn what_was_asked_for_and_what_has_its_own_limit_is_not_cut() {
        let lines = written(|_| {
            for _ in 0..100 {
                tracing::debug!("a batch came");
                tracing::warn!(target: "host::guest", "a plugin speaks");
            }
        });
        assert_eq!(lines.len(), 200);
    }
}
