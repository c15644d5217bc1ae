//! Numbers and names as people read them.

use std::time::Duration;

/// A value in a column: three decimals, powers of ten where those would show nothing, fractions in percent.
pub(super) fn value(name: &str, value: f64) -> String {
    let size = value.abs();
    if name.ends_with("_fraction") {
        format!("{:.1} %", 100.0 * value)
    } else if name == "learning_rate" || (size > 0.0 && size < 0.001) || size >= 1e9 {
        format!("{value:.2e}")
    } else if size >= 1000.0 {
        count(value.round() as i64)
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// A whole number with its thousands set off: `12,345`.
pub(super) fn count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count < 0 {
        text.insert(0, '-');
    }
    text
}

/// A number in three digits and a unit: `4.38 M`.
pub(super) fn rough(number: usize) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let number = number as f64;
    match units.iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => {
            let scaled = number / size;
            let decimals = 2 - scaled.log10().floor().clamp(0.0, 2.0) as usize;
            format!("{scaled:.decimals$}{unit}")
        }
        None => number.to_string(),
    }
}

/// A time as a clock shows it: `0:42`, `1:23:45`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A metric's name where columns are dear: `mlm_acc` for `mlm_accuracy`.
pub(super) fn short(name: &str) -> String {
    match name {
        "learning_rate" => "lr".to_string(),
        "gradient_norm" => "norm".to_string(),
        "wait_fraction" => "wait".to_string(),
        "tokens_per_second" => "tok/s".to_string(),
        _ => name.replace("accuracy", "acc").replace("perplexity", "ppl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_three_or_more_digits_at_every_size() {
        let cases = [
            (0.0, "0.000"),
            (0.00012345, "1.23e-4"),
            (-0.5, "-0.500"),
            (7.1234, "7.123"),
            (123.456, "123.5"),
            (-12345.6, "-12,346"),
            (1234567.0, "1,234,567"),
            (2e12, "2.00e12"),
        ];
        for (number, text) in cases {
            assert_eq!(value("loss", number), text);
        }
        assert_eq!(value("learning_rate", 0.01), "1.00e-2");
        assert_eq!(value("wait_fraction", 0.0012), "0.1 %");
    }

    #[test]
    fn counts_and_times_read_as_they_are_said() {
        assert_eq!(count(7), "7");
        assert_eq!(count(123_456), "123,456");
        assert_eq!(rough(417), "417");
        assert_eq!(rough(4_385_920), "4.39 M");
        assert_eq!(rough(110_106_428), "110 M");
        assert_eq!(clock(Duration::from_secs(42)), "0:42");
        assert_eq!(clock(Duration::from_secs(100 * 3600 + 61)), "100:01:01");
    }
}
