//! Answers and failures over time, at a resolution that allows a plot of any part of a run.

use std::collections::BTreeMap;
use std::time::Duration;

/// Resolution for a plot of one deploy.
const FINEST: Duration = Duration::from_millis(250);
/// More than two hours at the finest resolution. A longer run halves the resolution as often as needed, which bounds
/// memory.
const MOST_SLOTS: usize = 32_768;
/// Binary digits that latencies are rounded to: an error below one percent, which is invisible in a plot.
const DIGITS: u32 = 7;

/// Results in short slots of equal length, from the start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    slot: Duration,
    slots: Vec<Slot>,
}

/// Results in one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    pub ok: u64,
    /// Failures by cause.
    pub failed: BTreeMap<String, u64>,
    /// The slowest latency in the slot.
    pub max_us: Option<u64>,
    /// Answers by release, where answers name it.
    pub releases: BTreeMap<String, u64>,
    /// A histogram: number of answers by rounded microseconds.
    latencies: BTreeMap<u64, u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { slot: FINEST, slots: Vec::new() }
    }
}

impl Timeline {
    /// Adds an answer that arrived `at` after the start, with its latency if it counts, and its release if known.
    pub fn answered(&mut self, at: Duration, took: Option<Duration>, release: &str) {
        let slot = self.slot_at(at);
        slot.ok += 1;
        match slot.releases.get_mut(release) {
            Some(count) => *count += 1,
            None if release.is_empty() => {}
            None => drop(slot.releases.insert(release.to_owned(), 1)),
        }
        if let Some(took) = took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            slot.max_us = slot.max_us.max(Some(us));
            *slot.latencies.entry(rounded(us)).or_default() += 1;
        }
    }

    pub fn failed(&mut self, at: Duration, cause: &str) {
        *self.slot_at(at).failed.entry(cause.to_owned()).or_default() += 1;
    }

    /// The length of a slot.
    #[must_use]
    pub fn slot(&self) -> Duration {
        self.slot
    }

    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn slot_at(&mut self, at: Duration) -> &mut Slot {
        let mut index = self.index(at);
        while index >= MOST_SLOTS {
            self.slots = self.slots.chunks(2).map(Slot::merged).collect();
            self.slot *= 2;
            index = self.index(at);
        }
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, Slot::default);
        }
        &mut self.slots[index]
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_micros() / self.slot.as_micros()).unwrap_or(usize::MAX)
    }
}

impl Slot {
    /// Merges several slots into one.
    #[must_use]
    pub fn merged(slots: &[Self]) -> Self {
        let mut whole = Self::default();
        for slot in slots {
            whole.ok += slot.ok;
            whole.max_us = whole.max_us.max(slot.max_us);
            for (cause, count) in &slot.failed {
                *whole.failed.entry(cause.clone()).or_default() += count;
            }
            for (release, count) in &slot.releases {
                *whole.releases.entry(release.clone()).or_default() += count;
            }
            for (us, count) in &slot.latencies {
                *whole.latencies.entry(*us).or_default() += count;
            }
        }
        whole
    }

    /// The quantile `share` (0 to 1) of the latencies, in microseconds; `None` without any.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let wanted = (self.latencies.values().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.latencies.iter().find(|(_, count)| {
            seen += **count;
            seen >= wanted.max(1)
        });
        // Rounding must not give a value above the maximum.
        found.map(|(us, _)| (*us).min(self.max_us.unwrap_or(*us)))
    }
}

/// The middle of the values that share the same leading digits.
fn rounded(us: u64) -> u64 {
    let lost = (u64::BITS - us.leading_zeros()).saturating_sub(DIGITS);
    let half = if lost == 0 { 0 } else { 1 << (lost - 1) };
    (us >> lost << lost) | half
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn quantiles_are_precise() {
        let mut timeline = Timeline::default();
        for took in 1..=1000 {
            timeline.answered(ms(10), Some(Duration::from_micros(took * 37)), "");
        }
        let slot = &timeline.slots()[0];
        for (share, exact) in [(0.5, 18_500.0), (0.99, 36_630.0), (0.001, 37.0)] {
            let found = slot.quantile_us(share).expect("a thousand answers") as f64;
            assert!((found / exact - 1.0).abs() < 0.01, "{share}: {found} for {exact}");
        }
        assert_eq!((slot.quantile_us(1.0), slot.max_us), (Some(37_000), Some(37_000)));
        assert_eq!(Slot::default().quantile_us(0.5), None);
    }

    #[test]
    fn merged_slots_lose_nothing() {
        let (mut apart, mut together) = (Timeline::default(), Timeline::default());
        for number in 0..100 {
            apart.answered(ms(number * 40), Some(ms(number)), "r1");
            together.answered(ms(0), Some(ms(number)), "r1");
        }
        apart.failed(ms(3000), "reset");
        together.failed(ms(0), "reset");
        assert_eq!(apart.slots().len(), 16);
        assert_eq!(Slot::merged(apart.slots()), together.slots()[0]);
    }

    #[test]
    fn a_long_run_is_kept_at_a_lower_resolution() {
        let mut timeline = Timeline::default();
        for hour in 0..72 {
            timeline.answered(Duration::from_secs(hour * 3600), Some(ms(5)), "");
        }
        assert!(timeline.slots().len() <= MOST_SLOTS && timeline.slot() == ms(8000), "{:?}", timeline.slot());
        assert_eq!(timeline.slots().iter().map(|slot| slot.ok).sum::<u64>(), 72);
    }
}
