//! Units in one spelling, so that charts of two libraries share an axis.

/// UCUM's code for what senders write, where that is known; else what was written.
///
/// `1` says that something is counted; an annotation (`{requests}`) says what, and stays for people.
pub fn normalise(unit: &str) -> &str {
    let unit = unit.trim();
    match unit {
        "1" => "",
        "nanosecond" | "nanoseconds" | "nanos" => "ns",
        "microsecond" | "microseconds" | "micros" | "µs" | "μs" | "usec" => "us",
        "millisecond" | "milliseconds" | "millis" | "msec" => "ms",
        "second" | "seconds" | "sec" | "secs" => "s",
        "minute" | "minutes" => "min",
        "hour" | "hours" => "h",
        "day" | "days" => "d",
        "byte" | "bytes" | "Bytes" | "by" | "B" => "By",
        "KB" | "kb" | "kilobyte" | "kilobytes" | "KBy" => "kBy",
        "MB" | "megabyte" | "megabytes" => "MBy",
        "GB" | "gigabyte" | "gigabytes" => "GBy",
        "TB" | "terabyte" | "terabytes" => "TBy",
        "KiB" | "kibibyte" | "kibibytes" | "Ki" => "KiBy",
        "MiB" | "mebibyte" | "mebibytes" | "Mi" => "MiBy",
        "GiB" | "gibibyte" | "gibibytes" | "Gi" => "GiBy",
        "TiB" | "tebibyte" | "tebibytes" | "Ti" => "TiBy",
        "bits" | "b" => "bit",
        "percent" | "percents" | "pct" => "%",
        "celsius" | "C" | "°C" => "Cel",
        "hertz" => "Hz",
        "volt" | "volts" => "V",
        "ampere" | "amperes" => "A",
        "watt" | "watts" => "W",
        "joule" | "joules" => "J",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn one_unit_has_one_spelling() {
        for (sent, expected) in [
            ("1", ""),
            ("{requests}", "{requests}"),
            ("{request}/s", "{request}/s"),
            ("milliseconds", "ms"),
            (" ms ", "ms"),
            ("bytes", "By"),
            ("MiBy", "MiBy"),
            ("MiB", "MiBy"),
            ("percent", "%"),
            ("furlongs", "furlongs"),
            ("", ""),
        ] {
            assert_eq!(normalise(sent), expected, "{sent:?}");
        }
    }
}
