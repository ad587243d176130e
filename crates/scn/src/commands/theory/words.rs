//! Figures of the theorems in words.

use scn_study::theory::coherence::Pair;

/// A number from this magnitude on is written with an exponent.
const LARGE: f64 = 1e6;

/// A number, or `-`.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.abs() < LARGE => format!("{value:.digits$}"),
        Some(value) => format!("{value:.digits$e}"),
    }
}

/// `yes` or `no`.
pub(super) fn yes(holds: bool) -> &'static str {
    match holds {
        true => "yes",
        false => "no",
    }
}

/// Two columns of a dictionary.
pub(super) fn pair(Pair { atom, other, shift }: &Pair) -> String {
    match shift {
        [0, 0] => format!("{atom} and {other}"),
        [rows, columns] => format!("{atom} and {other} shifted by {rows}, {columns}"),
    }
}

/// The atoms that are named, a line each.
pub(super) fn named(zero: &[usize], repeated: &[Pair]) -> String {
    let mut text = String::new();
    if !zero.is_empty() {
        let zero: Vec<_> = zero.iter().map(ToString::to_string).collect();
        text += &format!("zero atoms, left out       {}\n", zero.join(", "));
    }
    if !repeated.is_empty() {
        let repeated: Vec<_> = repeated.iter().map(pair).collect();
        text += &format!("repeated atoms             {}\n", repeated.join("; "));
    }
    text
}
