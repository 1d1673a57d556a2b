//! Maps values to positions, and chooses round values for axis labels.

/// The unit of an axis, which decides how numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    /// Written in µs, ms or s, whichever is shortest.
    Milliseconds,
    /// Elapsed time: `30 s`, `2 min`, `1 h`.
    Seconds,
    /// A factor.
    Times,
}

impl Unit {
    /// A value as people read it: `1,234`, `12.5 ms`, `1.2 ×`.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Count => number(value),
            Self::PerSecond if value == 0.0 => "0".to_owned(),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Milliseconds if value >= 1000.0 => format!("{} s", number(value / 1000.0)),
            Self::Milliseconds if value != 0.0 && value.abs() < 0.1 => format!("{} µs", number(value * 1000.0)),
            Self::Milliseconds => format!("{} ms", number(value)),
            Self::Seconds => self.among(value, value),
            Self::Times => format!("{} ×", number(value)),
        }
    }

    /// Like `shown`, with one unit of time for all values up to `most`.
    pub(super) fn among(self, value: f64, most: f64) -> String {
        match self {
            Self::Seconds if most >= 7200.0 => format!("{} h", number(value / 3600.0)),
            Self::Seconds if most > 120.0 => format!("{} min", number(value / 60.0)),
            Self::Seconds => format!("{} s", number(value)),
            _ => self.text(value),
        }
    }
}

/// Three significant digits with thousands separators: `0.25`, `12.3`, `1,234`.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let whole = grouped(whole);
    if part.is_empty() { whole } else { format!("{whole}.{part}") }
}

fn grouped(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    Linear,
    /// For positive values over several powers of ten.
    Log,
}

/// Maps a range of values to a range of positions, with ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    spacing: Spacing,
    values: (f64, f64),
    places: (f64, f64),
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From 0 to a round value at or above `most`, in about `wanted` steps.
    pub(super) fn from_zero(most: f64, unit: Unit, wanted: usize, places: (f64, f64)) -> Self {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let step = step(most / wanted.max(1) as f64, unit);
        let top = (most / step - 1e-9).ceil().max(1.0) * step;
        Self { ticks: multiples(step, 0.0, top), spacing: Spacing::Linear, values: (0.0, top), places }
    }

    /// Exactly from `values.0` to `values.1`: a time axis ends where the run does.
    pub(super) fn exact(values: (f64, f64), unit: Unit, wanted: usize, places: (f64, f64)) -> Self {
        let values = if values.1 > values.0 { values } else { (values.0, values.0 + 1.0) };
        let step = step((values.1 - values.0) / wanted.max(1) as f64, unit);
        Self { ticks: multiples(step, values.0, values.1), spacing: Spacing::Linear, values, places }
    }

    /// From a round value at or below `least` to one at or above `most`.
    pub(super) fn log(least: f64, most: f64, places: (f64, f64)) -> Self {
        let least = if least > 0.0 && least.is_finite() { least } else { 0.1 };
        let most = if most.is_finite() { most.max(least) } else { least };
        let first = (least.log10() + 1e-9).floor() as i32;
        let last = (most.log10() - 1e-9).ceil() as i32;
        let all = (first..=last.max(first + 1)).flat_map(|power| [1.0, 2.0, 5.0].map(|lead| lead * 10_f64.powi(power)));
        let all: Vec<f64> = all.collect();
        // At least two ticks, so that the axis has a length.
        let low = all.iter().rposition(|value| *value <= least * 1.000_001).unwrap_or(0);
        let high = all.iter().position(|value| *value >= most * 0.999_999).unwrap_or(all.len() - 1).max(low + 1);
        let ticks = all[low..=high.min(all.len() - 1)].to_vec();
        let values = (ticks[0], ticks[ticks.len() - 1]);
        // Over more than three powers of ten, ticks between them would be too close.
        let wide = values.1 / values.0 > 1500.0;
        let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-6;
        let ticks = ticks.into_iter().filter(|value| !wide || is_power(value)).collect();
        Self { spacing: Spacing::Log, values, places, ticks }
    }

    /// Values outside the range are clamped.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let value = value.clamp(low, high);
        let share = match self.spacing {
            Spacing::Linear => (value - low) / (high - low),
            Spacing::Log => (value / low).ln() / (high / low).ln(),
        };
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// The ticks, each with position and label.
    pub(super) fn named(&self, unit: Unit) -> impl Iterator<Item = (f64, String)> {
        let most = self.values.1;
        self.ticks.iter().map(move |value| (self.place(*value), unit.among(*value, most)))
    }

    pub(super) fn values(&self) -> (f64, f64) {
        self.values
    }
}

/// The next round step at or above `least`: 1, 2 or 5 times a power of ten; clock steps above ten seconds.
fn step(least: f64, unit: Unit) -> f64 {
    const CLOCK: [f64; 16] = [
        15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
        172_800.0, 604_800.0,
    ];
    if unit == Unit::Seconds
        && least > 10.0
        && let Some(step) = CLOCK.into_iter().find(|step| *step >= least)
    {
        return step;
    }
    let power = 10_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|lead| lead * power).into_iter().find(|step| *step >= least * 0.999_999);
    let step = step.unwrap_or(10.0 * power);
    // Counts have integer steps.
    if unit == Unit::Count { step.max(1.0) } else { step }
}

fn multiples(step: f64, from: f64, to: f64) -> Vec<f64> {
    let (first, last) = ((from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64);
    (first..=last).map(|count| count as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: (f64, f64) = (0.0, 100.0);

    #[test]
    fn an_axis_from_zero_ends_at_a_round_value_that_holds_all() {
        let ticks = |most, unit| Scale::from_zero(most, unit, 4, PLACES).ticks;
        assert_eq!(ticks(1169.0, Unit::PerSecond), [0.0, 500.0, 1000.0, 1500.0]);
        assert_eq!(ticks(1.0, Unit::Count), [0.0, 1.0], "no half requests");
        assert_eq!(ticks(0.0, Unit::Count), [0.0, 1.0], "nothing at all is an axis too");
        assert_eq!(ticks(40.0, Unit::Count), [0.0, 10.0, 20.0, 30.0, 40.0]);
        for most in [0.003, 0.7, 1.0, 9.99, 10.0, 55.0, 1e9] {
            let scale = Scale::from_zero(most, Unit::PerSecond, 4, PLACES);
            assert!(scale.values().1 >= most && (2..=6).contains(&scale.ticks.len()), "{most}: {scale:?}");
        }
    }

    #[test]
    fn time_is_divided_as_on_a_clock_and_ends_with_the_run() {
        let ticks = |to| Scale::exact((0.0, to), Unit::Seconds, 6, PLACES).ticks;
        assert_eq!(ticks(43.2), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(ticks(100.0), [0.0, 30.0, 60.0, 90.0]);
        assert_eq!(ticks(1111.0), [0.0, 300.0, 600.0, 900.0]);
        let scale = Scale::exact((0.0, 43.2), Unit::Seconds, 6, PLACES);
        assert_eq!((scale.place(0.0), scale.place(43.2), scale.place(50.0)), (0.0, 100.0, 100.0));
    }

    #[test]
    fn ratios_are_equal_steps_on_a_log_axis() {
        let scale = Scale::log(0.8, 9500.0, PLACES);
        assert_eq!(scale.ticks, [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert!(((scale.place(100.0) - scale.place(10.0)) - (scale.place(10.0) - scale.place(1.0))).abs() < 1e-9);
        assert_eq!(Scale::log(3.0, 40.0, PLACES).ticks, [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(Scale::log(5.0, 5.0, PLACES).ticks, [5.0, 10.0], "one value is a range too");
        assert!(Scale::log(0.0, f64::NAN, PLACES).ticks.len() > 1);
    }

    #[test]
    fn numbers_read_well() {
        let cases = [
            (Unit::Count, 1_298_582.0, "1,298,582"),
            (Unit::Count, 0.0, "0"),
            (Unit::PerSecond, 1169.4, "1,169/s"),
            (Unit::Milliseconds, 0.05, "50 µs"),
            (Unit::Milliseconds, 11.18, "11.2 ms"),
            (Unit::Milliseconds, 1157.11, "1.16 s"),
            (Unit::Seconds, 120.0, "120 s"),
            (Unit::Seconds, 900.0, "15 min"),
            (Unit::Seconds, 7200.0, "2 h"),
            (Unit::Times, 1.2, "1.2 ×"),
        ];
        for (unit, value, expected) in cases {
            assert_eq!(unit.text(value), expected);
        }
    }
}
