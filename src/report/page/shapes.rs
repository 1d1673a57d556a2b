//! Paths of lines and areas. A value that is not a number is a gap, which is not bridged.

use std::fmt::Write;

use super::markup::At;

/// A line through points, broken at gaps; a point between two gaps is a dot.
pub(super) fn line(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut shape = String::new();
    let mut is_open = false;
    for (x, y) in places {
        if y.is_finite() && x.is_finite() {
            let _ = write!(shape, "{}{} {}", if is_open { "L" } else { "M" }, At(x), At(y));
            if !is_open {
                // With round caps, a line of almost no length is a dot.
                shape.push_str("h.1");
            }
            is_open = true;
        } else {
            is_open = false;
        }
    }
    shape
}

/// The area between an upper and a lower line with the same positions.
pub(super) fn area(places: &[(f64, f64, f64)]) -> String {
    let mut shape = String::new();
    for run in places.split(|(_, upper, lower)| !upper.is_finite() || !lower.is_finite()) {
        let there = run.iter().map(|(x, upper, _)| (x, upper));
        let back = run.iter().rev().map(|(x, _, lower)| (x, lower));
        for (index, (x, y)) in there.chain(back).enumerate() {
            let _ = write!(shape, "{}{} {}", if index == 0 { "M" } else { "L" }, At(*x), At(*y));
        }
        if !run.is_empty() {
            shape.push('Z');
        }
    }
    shape
}

/// One of five marker shapes, to tell causes apart without colour.
pub(super) fn cross(number: usize, x: f64, y: f64) -> String {
    let (left, right, top, bottom) = (At(x - 4.0), At(x + 4.0), At(y - 4.0), At(y + 4.0));
    let (x, y) = (At(x), At(y));
    match number % 5 {
        0 => format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"),
        1 => format!("M{x} {top}L{right} {bottom}L{left} {bottom}Z"),
        2 => format!("M{left} {top}H{right}V{bottom}H{left}Z"),
        3 => format!("M{x} {top}L{right} {y}L{x} {bottom}L{left} {y}Z"),
        _ => format!("M{x} {top}V{bottom}M{left} {y}H{right}"),
    }
}
