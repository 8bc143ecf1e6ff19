//! Numbers as text, with Redis's rules: which texts are numbers, and how a sum is written.

/// Decimal places of a written number.
const PLACES: u32 = 17;
const ONE: i128 = 10i128.pow(PLACES);

/// The text is not a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotANumber;

/// An integer written the one way that an increment writes it: no sign `+`, no spaces, no leading zeros.
pub(super) fn parse_integer(text: &[u8]) -> Result<i64, NotANumber> {
    let text = std::str::from_utf8(text).map_err(|_| NotANumber)?;
    let number: i64 = text.parse().map_err(|_| NotANumber)?;
    if number.to_string() == text {
        Ok(number)
    } else {
        Err(NotANumber)
    }
}

/// The sum of a decimal text and a number, as text: seventeen places at most, no exponent, no zeros at the end.
/// `Ok(None)` when the sum is not finite.
///
/// The sum is exact in those places, so 0.1 + 0.2 is 0.3, as in Redis, which adds in 80 bits. Beyond 10^20 it is a
/// double's.
pub(super) fn add_decimal(text: &[u8], by: f64) -> Result<Option<String>, NotANumber> {
    let text = std::str::from_utf8(text).map_err(|_| NotANumber)?;
    let number: f64 = text.parse().map_err(|_| NotANumber)?;
    if !text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
    {
        // Infinities and NaN, which `parse` takes.
        return Err(NotANumber);
    }
    if !by.is_finite() {
        return Ok(None);
    }
    let exact = fixed(text).zip(fixed(&by.to_string()));
    if let Some(sum) = exact.and_then(|(number, by)| number.checked_add(by)) {
        return Ok(Some(write_fixed(sum)));
    }
    let sum = number + by;
    Ok(sum.is_finite().then(|| sum.to_string()))
}

/// A decimal text in units of 10^-17, rounded; `None` when it is too large for that or has too many digits.
fn fixed(text: &str) -> Option<i128> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)? + PLACES as i32;
    let scaled = if shift >= 0 {
        number.checked_mul(10i128.checked_pow(shift.unsigned_abs())?)?
    } else {
        match 10i128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => (number + divisor / 2) / divisor,
            None => 0,
        }
    };
    Some(if negative { -scaled } else { scaled })
}

fn write_fixed(number: i128) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (whole, fraction) = (
        number.unsigned_abs() / ONE.unsigned_abs(),
        number.unsigned_abs() % ONE.unsigned_abs(),
    );
    let places = format!("{fraction:0width$}", width = PLACES as usize);
    match places.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        places => format!("{sign}{whole}.{places}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-1", Ok(-1)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(NotANumber)),
            ("+1", Err(NotANumber)),
            ("-0", Err(NotANumber)),
            ("007", Err(NotANumber)),
            (" 1", Err(NotANumber)),
            ("1 ", Err(NotANumber)),
            ("", Err(NotANumber)),
            ("1.0", Err(NotANumber)),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse_integer(b"\xff"), Err(NotANumber));
    }

    #[test]
    fn decimals() {
        let check = |text: &str, by: f64, expected: Result<Option<&str>, NotANumber>| {
            let expected = expected.map(|sum| sum.map(str::to_owned));
            assert_eq!(
                add_decimal(text.as_bytes(), by),
                expected,
                "{text:?} + {by}"
            );
        };
        check("0", 10.5, Ok(Some("10.5")));
        check("10.50", 0.1, Ok(Some("10.6")));
        check("0.1", 0.2, Ok(Some("0.3")));
        check("5.0e3", 2.0e2, Ok(Some("5200")));
        check("3.0", -3.0, Ok(Some("0")));
        check("1", -1.25, Ok(Some("-0.25")));
        check("-0.5", 0.25, Ok(Some("-0.25")));
        check("1e-17", 0.0, Ok(Some("0.00000000000000001")));
        check("1e-30", 0.0, Ok(Some("0")));
        check(".5", 1.0, Ok(Some("1.5")));
        check("1e30", 1.0, Ok(Some("1000000000000000000000000000000")));
        check("1.7976931348623157e308", 1.7976931348623157e308, Ok(None));
        check("1", f64::INFINITY, Ok(None));
        check("1", f64::NAN, Ok(None));
        check("", 1.0, Err(NotANumber));
        check("inf", 1.0, Err(NotANumber));
        check("nan", 1.0, Err(NotANumber));
        check(" 1", 1.0, Err(NotANumber));
        check("1x", 1.0, Err(NotANumber));
    }
}
