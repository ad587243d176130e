//! Local norms, by their definitions.

use std::collections::BTreeSet;

use scn_study::theory::atoms::Overlap;
use scn_study::theory::norms::{Maps, Patch, patch_energy, patch_norm, stripe_norm};

use crate::common::{normal, sparse};

/// Non-square, among them single rows and images smaller than a stripe.
const SHAPES: [[usize; 4]; 5] = [[2, 3, 7, 5], [1, 1, 1, 9], [3, 2, 4, 4], [1, 4, 2, 3], [2, 1, 9, 1]];

/// The places that a window along one side sees.
fn places(position: usize, kernel: usize, stride: usize, dilation: usize) -> BTreeSet<usize> {
    (0..kernel).map(|place| position * stride + place * dilation).collect()
}

#[test]
fn a_stripe_holds_the_codes_whose_windows_share_places() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let values = &sparse(shape.iter().product(), seed as u64);
        let [_, atoms, height, width] = shape;
        for kernel in 1..=5 {
            for stride in 1..=3 {
                for dilation in 1..=2 {
                    let meet = |one: usize, other: usize| {
                        let of = |position| places(position, kernel, stride, dilation);
                        !of(one).is_disjoint(&of(other))
                    };
                    let mut most = 0;
                    for image in values.chunks(atoms * height * width) {
                        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                            let in_stripe = |&(i, code): &(usize, &f64)| {
                                *code != 0.0 && meet(i / width % height, y) && meet(i % width, x)
                            };
                            most = most.max(image.iter().enumerate().filter(in_stripe).count());
                        }
                    }
                    let overlap = Overlap::convolutional(kernel, stride, dilation);
                    let found = stripe_norm(Maps { values, shape }, &overlap);
                    assert_eq!(
                        found, most,
                        "{shape:?}, kernel {kernel}, stride {stride}, dilation {dilation}"
                    );
                    if dilation == 1 {
                        assert_eq!(overlap.positions.len(), 2 * ((kernel - 1) / stride) + 1);
                    }
                }
            }
        }
    }
}

#[test]
fn a_patch_is_a_window_with_zeros_outside() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let codes = &sparse(shape.iter().product(), 10 + seed as u64);
        let errors = &normal(codes.len(), 20 + seed as u64);
        let [_, atoms, height, width] = shape;
        for kernel in [1, 2, 3, 4, 12] {
            for dilation in [1, 2, 3] {
                let reach = (dilation * (kernel - 1)) as isize;
                let largest = |values: &[f64], of: &dyn Fn(f64) -> f64| {
                    let mut largest = 0.0f64;
                    for image in values.chunks(atoms * height * width) {
                        for y in -reach..height as isize {
                            for x in -reach..width as isize {
                                let sees = |place: usize, start: isize| {
                                    let distance = place as isize - start;
                                    (0..=reach).contains(&distance) && (distance as usize).is_multiple_of(dilation)
                                };
                                let inside =
                                    |&(i, _): &(usize, &f64)| sees(i / width % height, y) && sees(i % width, x);
                                largest =
                                    largest.max(image.iter().enumerate().filter(inside).map(|(_, &v)| of(v)).sum());
                            }
                        }
                    }
                    largest
                };
                let patch = Patch::Window { kernel, dilation };
                let what = format!("{shape:?}, kernel {kernel}, dilation {dilation}");
                let most = largest(codes, &|code| f64::from(code != 0.0)) as usize;
                assert_eq!(patch_norm(Maps { values: codes, shape }, patch), most, "{what}");
                let energy = largest(errors, &|error| error * error).sqrt();
                let found = patch_energy(Maps { values: errors, shape }, patch);
                assert!(
                    (found - energy).abs() < 1e-12 * energy,
                    "{what}: {found}, expected {energy}"
                );
            }
        }
        let of_image = |values: &[f64], of: fn(&f64) -> f64| {
            let sums = values
                .chunks(atoms * height * width)
                .map(|image| image.iter().map(of).sum::<f64>());
            sums.fold(0.0, f64::max)
        };
        let most = of_image(codes, |&code| f64::from(code != 0.0)) as usize;
        assert_eq!(patch_norm(Maps { values: codes, shape }, Patch::Whole), most);
        let energy = of_image(errors, |&error| error * error).sqrt();
        assert!((patch_energy(Maps { values: errors, shape }, Patch::Whole) - energy).abs() < 1e-12 * energy);
    }
    let empty = Maps {
        values: &[],
        shape: [0, 3, 4, 4],
    };
    assert_eq!(
        (patch_norm(empty, Patch::Whole), stripe_norm(empty, &Overlap::alone())),
        (0, 0)
    );
}
