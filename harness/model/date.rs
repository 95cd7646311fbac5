//! A day of the calendar.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A day of the calendar, in UTC where it is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day that it is.
    pub(crate) fn today() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::after_epoch(since.map_or(0, |since| since.as_secs() / 86_400))
    }

    /// How many days it is after the first one of 1970.
    fn since_epoch(self) -> Option<u64> {
        let [month, day] = [self.month, self.day].map(u64::from);
        // Counted as below.
        let year = u64::from(self.year).checked_sub(u64::from(month <= 2))?;
        let month = if month > 2 { month - 3 } else { month + 9 };
        let leap_days = year / 4 - year / 100 + year / 400;
        let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1;
        days.checked_sub(719_468)
    }

    /// The day so many days after the first one of 1970.
    fn after_epoch(days: u64) -> Self {
        // Counted from the first of March of the year 0, so that a leap day is the last of its year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self {
            year: year as u16,
            month: month as u8,
            day: day as u8,
        }
    }
}

/// A moment as RFC 3339 writes it, in UTC, to the millisecond: `2026-11-30T13:05:55.123Z`.
pub(crate) fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (day, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let date = Date::after_epoch(day);
    format!(
        "{date}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

/// The moment that such a text means.
pub(crate) fn from_utc(text: &str) -> Option<SystemTime> {
    let toml::value::Datetime {
        date: Some(date),
        time: Some(time),
        offset: Some(toml::value::Offset::Z),
    } = text.parse().ok()?
    else {
        return None;
    };
    let day = Date {
        year: date.year,
        month: date.month,
        day: date.day,
    };
    let [hour, minute] = [time.hour, time.minute].map(u64::from);
    let second = u64::from(time.second.unwrap_or_default());
    let seconds = (day.since_epoch()? * 24 + hour) * 3_600 + minute * 60 + second;
    let since = Duration::new(seconds, time.nanosecond.unwrap_or_default());
    UNIX_EPOCH.checked_add(since)
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<toml::value::Datetime>().ok();
        match parsed.filter(|parsed| parsed.time.is_none()) {
            Some(toml::value::Datetime {
                date: Some(date), ..
            }) => Ok(Self {
                year: date.year,
                month: date.month,
                day: date.day,
            }),
            _ => Err(format!(
                "`{text}` is no date; write one such as \"2030-12-31\""
            )),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// With or without quotes in TOML.
impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(from)? {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_written_as_rfc_3339_writes_it() {
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert_eq!(utc(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(at(951_782_399_007)), "2000-02-28T23:59:59.007Z");
        assert_eq!(utc(at(1_798_765_445_999)), "2027-01-01T01:04:05.999Z");
    }

    #[test]
    fn days_are_counted_through_leap_years_and_ends_of_months() {
        for (days, date) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Date::after_epoch(days).to_string(), date);
            assert_eq!(Date::after_epoch(days).since_epoch(), Some(days));
        }
        assert!(Date::today() > "2026-01-01".parse().unwrap());
    }

    #[test]
    fn moment_is_read_as_it_is_written() {
        let text = "2026-11-30T13:05:55.123Z";
        assert_eq!(from_utc(text).map(utc).as_deref(), Some(text));
        for text in [
            "2026-11-30",
            "2026-11-30T13:05:55",
            "1969-12-31T00:00:00Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(from_utc(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_no_date() {
        for text in ["soon", "2030-13-01", "2030-12-31T00:00:00", "2030"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
