//! The pursuits of one layer, each with a certificate where it solves a problem.

use super::dictionary::Dictionary;

/// Violation of the optimality conditions, relative to ξ, at which a solve ends.
const TOLERANCE: f64 = 1e-9;
/// Violation that certifies a solution; the last digits of a signal are lost in Dᵀ(y − DΓ).
pub(super) const CERTIFIED: f64 = 1e-6;
/// Steps for each code after which a solve ends anyway.
const MAX_STEPS: usize = 10;
/// A pivot of a Gram matrix of unit atoms that counts as 0.
const DEPENDENT: f64 = 1e-12;
/// Residual of `DΓ = y`, relative to y, up to which y counts as reached.
const REACHED: f64 = 1e-9;

/// Codes and how well they solve their problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Γ.
    pub codes: Vec<f64>,
    /// The largest violation of the optimality conditions, computed from Γ alone, relative to ξ.
    pub kkt: f64,
}

/// The soft threshold `S_β(Dᵀy)`.
pub fn thresholding(dictionary: &Dictionary, signal: &[f64], beta: f64) -> Vec<f64> {
    let correlations = dictionary.analyze(signal);
    correlations.into_iter().map(|value| soft(value, beta)).collect()
}

/// Basis pursuit with noise, `argmin ½‖y − DΓ‖² + ξ‖Γ‖₁`. Optimal where `g = Dᵀ(y − DΓ)` is `ξ·sign(Γⱼ)` at non-zeros and
/// at most ξ in magnitude elsewhere.
///
/// By feature-sign search (Lee, Battle, Raina & Ng, "Efficient sparse coding algorithms", 2007): the code that violates
/// its condition the most joins the active ones, which then move towards what is optimal for their signs; one that
/// reaches 0 on the way leaves them. The objective falls with every step, so that no set of signs comes twice.
pub fn lasso(dictionary: &Dictionary, signal: &[f64], xi: f64) -> Solution {
    let correlations = dictionary.analyze(signal);
    let mut codes = vec![0.0; correlations.len()];
    let mut active = Active::default();
    for _ in 0..MAX_STEPS * codes.len() {
        let gradient = active.gradient(dictionary, &correlations, &codes);
        let inactive = (0..codes.len()).filter(|j| !active.support.contains(j));
        let Some(worst) = inactive.max_by(|&i, &j| gradient[i].abs().total_cmp(&gradient[j].abs())) else {
            break;
        };
        if gradient[worst].abs() <= xi * (1.0 + TOLERANCE) {
            break;
        }
        let sign = gradient[worst].signum();
        if !active.join(dictionary, worst, sign) {
            active.make_room(dictionary, worst, sign, &mut codes);
            if !active.join(dictionary, worst, sign) {
                break;
            }
        }
        while !active.advance(dictionary, &correlations, &mut codes, xi) {}
    }
    let kkt = kkt(dictionary, signal, &codes, xi);
    Solution { codes, kkt }
}

/// Basis pursuit without noise, `argmin ‖Γ‖₁` where `DΓ = y`. The lasso for a small ξ tells support and signs; the
/// codes on it that give y exactly are optimal, because the lasso's residual is a dual certificate, `v = (y − DΓ_ξ)/ξ`:
/// `|Dᵀv| ≤ 1`, and the sign of Γ on the support. `None` where no ξ that was tried led to such codes.
pub fn basis_pursuit(dictionary: &Dictionary, signal: &[f64]) -> Option<Vec<f64>> {
    let largest = |values: &[f64]| values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let correlations = dictionary.analyze(signal);
    let start = largest(&correlations);
    if start == 0.0 {
        return Some(vec![0.0; dictionary.code_shape().iter().product()]);
    }
    for exponent in 2..7 {
        let solution = lasso(dictionary, signal, start * 0.1f64.powi(exponent));
        if solution.kkt > CERTIFIED {
            return None;
        }
        let support: Vec<usize> = (0..solution.codes.len())
            .filter(|&j| solution.codes[j] != 0.0)
            .collect();
        let mut active = Active::default();
        if !support
            .iter()
            .all(|&j| active.join(dictionary, j, solution.codes[j].signum()))
        {
            continue;
        }
        let mut codes = vec![0.0; solution.codes.len()];
        for (&j, value) in support.iter().zip(active.solve(|j, _| correlations[j])) {
            codes[j] = value;
        }
        let same_signs = support.iter().all(|&j| codes[j] * solution.codes[j] > 0.0);
        if same_signs && largest(&residual(dictionary, signal, &codes)) <= REACHED * largest(signal) {
            return Some(codes);
        }
    }
    None
}

fn soft(value: f64, threshold: f64) -> f64 {
    value.signum() * (value.abs() - threshold).max(0.0)
}

fn residual(dictionary: &Dictionary, signal: &[f64], codes: &[f64]) -> Vec<f64> {
    let made = dictionary.synthesize(codes);
    signal.iter().zip(made).map(|(signal, made)| signal - made).collect()
}

/// The largest violation of the lasso's optimality conditions, relative to ξ.
fn kkt(dictionary: &Dictionary, signal: &[f64], codes: &[f64], xi: f64) -> f64 {
    let gradient = dictionary.analyze(&residual(dictionary, signal, codes));
    let violation = |(&code, &gradient): (&f64, &f64)| match code != 0.0 {
        true => (gradient - xi * code.signum()).abs(),
        false => (gradient.abs() - xi).max(0.0),
    };
    codes.iter().zip(&gradient).map(violation).fold(0.0, f64::max) / xi
}

/// Codes that may differ from 0, with their signs and the Cholesky factor of their atoms' Gram matrix.
#[derive(Default)]
struct Active {
    support: Vec<usize>,
    signs: Vec<f64>,
    /// Row by row, the lower triangle.
    factor: Vec<Vec<f64>>,
}

impl Active {
    /// The correlations of an atom with the active ones and with itself.
    fn correlations(&self, dictionary: &Dictionary, index: usize) -> (Vec<f64>, f64) {
        let mut row = vec![0.0; self.support.len()];
        let mut own = 0.0;
        dictionary.each_neighbour(index, |other, correlation| {
            if other == index {
                own = correlation;
            } else if let Some(place) = self.support.iter().position(|&known| known == other) {
                row[place] = correlation;
            }
        });
        (row, own)
    }

    /// Adds a code; not one whose atom depends on those that are there.
    fn join(&mut self, dictionary: &Dictionary, index: usize, sign: f64) -> bool {
        let (mut row, own) = self.correlations(dictionary, index);
        for column in 0..row.len() {
            let factor = &self.factor[column];
            let known: f64 = row[..column].iter().zip(factor).map(|(one, other)| one * other).sum();
            row[column] = (row[column] - known) / factor[column];
        }
        let pivot = own - row.iter().map(|value| value * value).sum::<f64>();
        if pivot <= DEPENDENT {
            return false;
        }
        row.push(pivot.sqrt());
        self.support.push(index);
        self.signs.push(sign);
        self.factor.push(row);
        true
    }

    /// For a code whose atom `Σ cᵢdᵢ` depends on the active ones: it grows while those shrink by cᵢ, which leaves `DΓ` as it
    /// is and lowers the 1-norm, until the first of them reaches 0 and leaves.
    fn make_room(&mut self, dictionary: &Dictionary, index: usize, sign: f64, codes: &mut [f64]) {
        let (row, _) = self.correlations(dictionary, index);
        let mut right = row.iter();
        let shares = self.solve(|_, _| right.next().copied().unwrap_or_default());
        let mut first = (f64::INFINITY, None);
        for (place, (&active, share)) in self.support.iter().zip(&shares).enumerate() {
            let length = codes[active] / (sign * share);
            if length > 0.0 && length < first.0 {
                first = (length, Some(place));
            }
        }
        if let (length, Some(place)) = first {
            for (&active, share) in self.support.iter().zip(&shares) {
                codes[active] -= sign * length * share;
            }
            codes[index] = sign * length;
            codes[self.support[place]] = 0.0;
            self.leave(dictionary, place);
        }
    }

    /// Removes the code at a place.
    fn leave(&mut self, dictionary: &Dictionary, place: usize) {
        let support = self.support.split_off(place);
        let signs = self.signs.split_off(place);
        self.factor.truncate(place);
        for (index, sign) in support.into_iter().zip(signs).skip(1) {
            self.join(dictionary, index, sign);
        }
    }

    /// The values for which `(DᵀDΓ)ⱼ = right(j, sign of j)` on the support.
    fn solve(&self, mut right: impl FnMut(usize, f64) -> f64) -> Vec<f64> {
        let codes = self.support.iter().zip(&self.signs);
        let mut values: Vec<f64> = codes.map(|(&index, &sign)| right(index, sign)).collect();
        for (row, factor) in self.factor.iter().enumerate() {
            let known: f64 = factor[..row].iter().zip(&values).map(|(one, other)| one * other).sum();
            values[row] = (values[row] - known) / factor[row];
        }
        for (row, factor) in self.factor.iter().enumerate().rev() {
            values[row] /= factor[row];
            let value = values[row];
            values
                .iter_mut()
                .zip(&factor[..row])
                .for_each(|(other, factor)| *other -= factor * value);
        }
        values
    }

    /// Moves the codes to the optimum for their signs, or until the first reaches 0 and leaves; says whether all arrived.
    fn advance(&mut self, dictionary: &Dictionary, correlations: &[f64], codes: &mut [f64], xi: f64) -> bool {
        let goal = self.solve(|index, sign| correlations[index] - xi * sign);
        let mut first = (1.0, None);
        for (place, (&index, &value)) in self.support.iter().zip(&goal).enumerate() {
            if value * self.signs[place] <= 0.0 {
                let share = codes[index] / (codes[index] - value);
                // A code that starts at 0 and would turn at once does not move at all.
                let share = if share.is_finite() { share } else { 0.0 };
                if share < first.0 {
                    first = (share, Some(place));
                }
            }
        }
        let (share, reached) = first;
        for (&index, value) in self.support.iter().zip(goal) {
            codes[index] += share * (value - codes[index]);
        }
        match reached {
            None => true,
            Some(place) => {
                codes[self.support[place]] = 0.0;
                self.leave(dictionary, place);
                false
            }
        }
    }

    /// `Dᵀ(y − DΓ)`.
    fn gradient(&self, dictionary: &Dictionary, correlations: &[f64], codes: &[f64]) -> Vec<f64> {
        let mut gradient = correlations.to_vec();
        for &index in &self.support {
            let code = codes[index];
            dictionary.each_neighbour(index, |other, correlation| gradient[other] -= code * correlation);
        }
        gradient
    }
}
