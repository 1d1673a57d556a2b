//! Plots a series of numbers as one line of text.

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A text of `width` characters, each the mean of its part of the values, scaled between minimum and maximum. A
/// constant series is drawn at the bottom.
pub fn line(values: &[f64], width: usize) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let columns = width.min(values.len());
    let height = |column: usize| {
        let share = &values[column * values.len() / columns..(column + 1) * values.len() / columns];
        let mean = share.iter().sum::<f64>() / share.len() as f64;
        let part = if highest > lowest { (mean - lowest) / (highest - lowest) } else { 0.0 };
        STEPS[((part * (STEPS.len() - 1) as f64).round() as usize).min(STEPS.len() - 1)]
    };
    (0..columns).map(height).collect()
}
