//! The coherence by correlations is that of the matrix, written out.

use scn_study::theory::atoms::{Atoms, Overlap};
use scn_study::theory::bounds::{stability_bound, uniqueness_bound};
use scn_study::theory::coherence::{Coherence, Pair, coherence};

use crate::common::{Columns, normal};

fn of(weight: &[f64], shape: [usize; 4], stride: usize) -> Coherence {
    let atoms = Atoms::normalized(weight, shape);
    coherence(&atoms, &Overlap::convolutional(shape[2], stride, 1))
}

#[test]
fn it_is_that_of_the_matrix() {
    let mut seed = 0;
    for (count, channels) in [(1, 1), (3, 2), (5, 1)] {
        for kernel in 1..=4 {
            for stride in 1..=3 {
                for dilation in 1..=2 {
                    seed += 1;
                    let shape = [count, channels, kernel, kernel];
                    let weight = normal(shape.iter().product(), seed);
                    let atoms = Atoms::normalized(&weight, shape);
                    let found = coherence(&atoms, &Overlap::convolutional(kernel, stride, dilation));
                    // So many positions that every two atoms that can meet do.
                    let side = 2 * (dilation * (kernel - 1) / stride) + 1;
                    let expected = Columns::of(&weight, shape, stride, dilation, [side, side]).coherence();
                    let what = format!("{shape:?}, stride {stride}, dilation {dilation}");
                    assert!(
                        (found.value - expected).abs() < 1e-12,
                        "{what}: {} {expected}",
                        found.value
                    );
                    assert_eq!(found.pair.is_some(), expected > 0.0, "{what}");
                    // Atoms of one value are all alike.
                    assert_eq!(found.repeated.is_empty(), expected < 1.0 - 1e-10, "{what}");
                    // The pair that is named has it.
                    if let Some(Pair { atom, other, shift }) = found.pair {
                        let places = shift.map(|step| step * stride as isize / dilation as isize);
                        let correlation = atoms.correlation(atom, other, places).abs();
                        assert!((correlation - expected).abs() < 1e-12, "{what}: {correlation}");
                    }
                }
            }
        }
    }
}

#[test]
fn scale_and_sign_of_atoms_are_nothing_to_it() {
    let shape = [4, 2, 3, 3];
    let weight = normal(72, 5);
    let expected = of(&weight, shape, 1).value;
    for factors in [[1e-200, 1e200, -3.0, 1.0], [-1e-3, 7.0, 1e-300, 1e150]] {
        let scaled: Vec<f64> = weight
            .iter()
            .enumerate()
            .map(|(i, value)| value * factors[i / 18])
            .collect();
        assert!((of(&scaled, shape, 1).value - expected).abs() < 1e-12, "{factors:?}");
    }
}

#[test]
fn zero_atoms_are_left_out_and_repeated_ones_named() {
    let shape = [5, 1, 2, 2];
    let mut weight = normal(20, 7);
    weight[4..8].fill(0.0);
    let without: Vec<f64> = [&weight[..4], &weight[8..]].concat();
    let found = of(&weight, shape, 1);
    assert_eq!(found.value, of(&without, [4, 1, 2, 2], 1).value);
    assert_eq!(Atoms::normalized(&weight, shape).zero(), [1]);

    // Atom 3 is −2 times atom 0, atom 4 is atom 2 moved down by a row, which fits where its last row is 0.
    let mut repeated = weight.clone();
    for place in 0..4 {
        repeated[12 + place] = -2.0 * repeated[place];
    }
    repeated[10..12].fill(0.0);
    let moved = [0.0, 0.0, repeated[8], repeated[9]];
    repeated[16..20].copy_from_slice(&moved);
    let pair = |atom, other, shift| Pair { atom, other, shift };
    let found = of(&repeated, shape, 1);
    assert_eq!(found.value, 1.0);
    assert_eq!(found.repeated, [pair(0, 3, [0, 0]), pair(2, 4, [-1, 0])]);
    // At stride 2 the two never lie so.
    assert_eq!(of(&repeated, shape, 2).repeated, [pair(0, 3, [0, 0])]);
}

#[test]
fn bounds_are_none_without_coherence() {
    // Atoms of disjoint places that never meet.
    let found = of(&[1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0], [2, 1, 2, 2], 2);
    assert_eq!((found.value, found.pair), (0.0, None));
    assert_eq!((uniqueness_bound(0.0), stability_bound(0.0)), (None, None));
    assert_eq!(
        (uniqueness_bound(0.25), stability_bound(0.25)),
        (Some(2.5), Some(5.0 / 3.0))
    );
}
