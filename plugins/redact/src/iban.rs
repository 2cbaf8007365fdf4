//! IBANs: what has the shape of one, and whether its check digits are right (ISO 7064, MOD 97-10).

/// Letters and digits of the shortest (Norway) and the longest.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// Whether there is an IBAN in `text`. Any start that could be one is tried with any length: rather
/// once too often than a digit of the next word too far.
pub fn is_in(text: &[u8]) -> bool {
    (0..text.len()).any(|start| {
        let begins = start
            .checked_sub(1)
            .is_none_or(|before| !text[before].is_ascii_alphanumeric());
        begins && starts(&text[start..])
    })
}

/// Whether `text` begins with one.
fn starts(text: &[u8]) -> bool {
    let shape = text
        .first_chunk::<4>()
        .is_some_and(|[one, two, three, four]| {
            one.is_ascii_uppercase()
                && two.is_ascii_uppercase()
                && three.is_ascii_digit()
                && four.is_ascii_digit()
        });
    if !shape {
        return false;
    }
    let mut compact = Vec::with_capacity(*LENGTHS.end());
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'A'..=b'Z' | b'0'..=b'9' => compact.push(*byte),
            b' ' => continue,
            _ => return false,
        }
        if compact.len() > *LENGTHS.end() {
            return false;
        }
        let ends = text
            .get(at + 1)
            .is_none_or(|next| !next.is_ascii_alphanumeric());
        if ends && LENGTHS.contains(&compact.len()) && is_valid(&compact) {
            return true;
        }
    }
    false
}

/// The country and the check digits go to the end, letters count from 10, and the rest is 1.
fn is_valid(compact: &[u8]) -> bool {
    let (head, account) = compact.split_at(4);
    let rest = account
        .iter()
        .chain(head)
        .fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        });
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_told_from_what_looks_like_one() {
        for yes in [
            "DE89370400440532013000",
            "to DE89 3704 0044 0532 0130 00.",
            "NO9386011117947",
            "GB29 NWBK 6016 1331 9268 19 and more",
            "MT84MALT011000012345MTLCAST001S",
            r#"{"iban":"FR1420041010050500013M02606"}"#,
        ] {
            assert!(is_in(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "DE89",
            "DE88370400440532013000",
            "xDE89370400440532013000",
            "DE8937040044053201300",
            "GB12 THIS LOOKS LIKE A WORD",
        ] {
            assert!(!is_in(no.as_bytes()), "{no}");
        }
    }
}
