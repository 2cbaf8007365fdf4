//! Cutting a batch in two: when the peer finds it too large, or finds something wrong in it.

use petrel_wire::{Batch, Limits, Sealed};

/// Both halves by items, each sealed anew; `None` if the batch has one item only, or cannot be
/// opened.
pub(super) fn halves(sealed: &Sealed) -> Option<[Sealed; 2]> {
    let limits = Limits {
        request_bytes: sealed.unpacked_bytes() as usize,
        ..Limits::default()
    };
    let batch = sealed.unpack(&limits).ok()?;
    let signal = batch.signal();
    let half = batch.bytes().len() / 2;
    // Large resources are repeated in every part, so there may be more than two.
    let parts = batch.split(half);
    let (first, second) = parts.split_at(middle(&parts)?);
    let join = |parts: &[Batch]| match parts {
        [one] => Sealed::pack(one),
        many => Sealed::pack(&Batch::concat(signal, many)),
    };
    Some([join(first), join(second)])
}

/// Where to cut so that both sides have about as many items, and neither is empty.
fn middle(parts: &[Batch]) -> Option<usize> {
    let all: u64 = parts.iter().map(|part| u64::from(part.items())).sum();
    let mut before = 0;
    let mut best: Option<(u64, usize)> = None;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            let here = (all.abs_diff(2 * before), index);
            best = Some(best.map_or(here, |best| best.min(here)));
        }
        before += u64::from(part.items());
    }
    best.map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_batch_is_cut_into_halves_with_the_same_items() {
        let sealed = Sealed::pack(&testing::logs(9));
        let [first, second] = halves(&sealed).unwrap();
        assert_eq!(first.items() + second.items(), 9);
        assert!(first.items().abs_diff(second.items()) <= 3);
    }

    #[test]
    fn a_single_item_has_no_halves() {
        assert!(halves(&Sealed::pack(&testing::logs(1))).is_none());
    }

    #[test]
    fn cutting_ends_at_single_items() {
        let mut left = vec![Sealed::pack(&testing::logs(37))];
        let mut single = 0;
        let mut cuts = 0;
        while let Some(sealed) = left.pop() {
            match halves(&sealed) {
                Some(parts) => {
                    cuts += 1;
                    left.extend(parts);
                }
                None => single += sealed.items(),
            }
        }
        assert_eq!((single, cuts), (37, 36));
    }
}
