//! The halves of a proximal step against the convolutions that they are fused with, and the rest by its definition.

use scn_solver::{ConvGeometry, Padding, Placement, SimdLevel, kernels};

use crate::common::Noise;

/// Tiles and Winograd's blocks, every residue of a stride, even kernels, dilation, more images than a group, none.
fn geometries() -> Vec<ConvGeometry> {
    let placed = |stride, zeros, dilation| Placement {
        stride,
        padding: Padding::Zeros(zeros),
        dilation,
    };
    [
        ([2, 3, 9, 7], [5, 3, 3, 3], placed(1, 1, 1)),
        ([3, 4, 9, 6], [13, 4, 4, 4], placed(2, 1, 1)),
        ([2, 2, 12, 10], [3, 2, 3, 3], placed(1, 2, 2)),
        ([9, 8, 16, 16], [20, 8, 3, 3], placed(1, 1, 1)),
        ([133, 8, 4, 4], [8, 8, 3, 3], placed(1, 1, 1)),
        ([70, 1, 1, 1], [2, 1, 3, 3], placed(1, 1, 1)),
        ([0, 3, 8, 8], [4, 3, 3, 3], placed(1, 1, 1)),
        ([2, 3, 8, 8], [0, 3, 3, 3], placed(1, 1, 1)),
    ]
    .map(|(x, weight, placement)| ConvGeometry::new(x, weight, placement).unwrap())
    .into()
}

const STEP: f32 = 0.7;

fn rectified(value: f32) -> f32 {
    value.max(0.0)
}

#[test]
fn steps_are_their_convolutions_and_the_definition_bit_for_bit() {
    for geometry in geometries() {
        let mut noise = Noise::seeded(11);
        let mut uniform = |shape: &[usize]| noise.uniform(shape.iter().product(), -1.0, 1.0);
        let shape @ [batch, atoms, ..] = geometry.codes_shape();
        let x = uniform(&geometry.input_shape());
        let (last, previous) = (uniform(&shape), uniform(&shape));
        let (weight, values) = (
            uniform(&geometry.weight_shape()),
            uniform(&[batch.max(1) * atoms.max(1)]),
        );
        let beyond = kernels::Point {
            codes: &last,
            momentum: Some(kernels::Momentum {
                previous: &previous,
                factor: 0.3,
            }),
        };
        for (level, point) in SimdLevel::available()
            .into_iter()
            .flat_map(|level| [(level, beyond), (level, last.as_slice().into())])
        {
            let codes = kernels::extrapolated(point, level);
            let signal = kernels::convolution_adjoint(&geometry, &codes, &weight, level);
            let residual = kernels::signal_residual(&geometry, &x, point, &weight, level);
            let expected: Vec<f32> = x.iter().zip(&signal).map(|(x, signal)| x - signal).collect();
            assert_eq!(residual, expected, "{geometry:?} {level:?}");

            let ascent = kernels::convolution(&geometry, &x, &weight, level);
            for [rows, columns] in [[1, 1], [1, atoms], [batch, 1], [batch, atoms]] {
                for (non_negative, given) in [(true, true), (false, true), (true, false), (false, false)] {
                    let thresholds = kernels::Thresholds {
                        values: &values[..rows * columns],
                        rows,
                        columns,
                    };
                    let found = kernels::proximal_ascent(
                        &geometry,
                        &x,
                        given.then_some(point),
                        &weight,
                        STEP,
                        thresholds,
                        non_negative,
                        level,
                    );
                    let expected = ascent.iter().zip(&codes).enumerate().map(|(i, (ascent, code))| {
                        let (image, atom) = (i / geometry.pixels() / atoms, i / geometry.pixels() % atoms);
                        let row = if rows == 1 { 0 } else { image };
                        let threshold = values[row * columns + if columns == 1 { 0 } else { atom }];
                        let point = if given { code + STEP * ascent } else { STEP * ascent };
                        match non_negative {
                            true => rectified(point - threshold),
                            false => rectified(point - threshold) - rectified(-point - threshold),
                        }
                    });
                    let expected: Vec<f32> = expected.collect();
                    assert!(
                        found == expected,
                        "{geometry:?} {level:?} [{rows}, {columns}] {non_negative} {given}"
                    );
                }
            }
        }
    }
}

#[test]
fn gradients_pass_where_codes_are_not_zero() {
    let mut noise = Noise::seeded(12);
    for [rows, pixels] in [[3, 1], [5, 37], [2, 3000], [0, 4]] {
        let grad = noise.uniform(rows * pixels, -1.0, 1.0);
        let codes: Vec<f32> = noise
            .uniform(rows * pixels, -1.0, 1.0)
            .into_iter()
            .map(|code| if code.abs() < 0.4 { 0.0 } else { code })
            .collect();
        for level in SimdLevel::available() {
            let (gated, sums) = kernels::proximal_gate(&grad, &codes, pixels, level);
            let expected: Vec<f32> = grad
                .iter()
                .zip(&codes)
                .map(|(&grad, &code)| if code == 0.0 { 0.0 } else { grad })
                .collect();
            assert_eq!(gated, expected, "{level:?}");
            let exact = grad.chunks(pixels).zip(codes.chunks(pixels)).map(|(grad, codes)| {
                let signed = grad.iter().zip(codes).filter(|(_, code)| **code != 0.0);
                signed.map(|(&grad, code)| f64::from(grad * code.signum())).sum::<f64>()
            });
            assert_eq!(sums.len(), rows);
            for (sum, exact) in sums.iter().zip(exact) {
                assert!(
                    (f64::from(*sum) - exact).abs() < 1e-4 * (1.0 + exact.abs()),
                    "{sum} {exact}"
                );
            }
        }
    }
}

#[test]
fn the_point_of_fista_lies_beyond_the_codes() {
    let mut noise = Noise::seeded(13);
    let (codes, previous) = (noise.uniform(40_001, -1.0, 1.0), noise.uniform(40_001, -1.0, 1.0));
    for level in SimdLevel::available() {
        let point = kernels::Point {
            codes: &codes,
            momentum: Some(kernels::Momentum {
                previous: &previous,
                factor: 0.3,
            }),
        };
        let found = kernels::extrapolated(point, level);
        for ((found, code), previous) in found.iter().zip(&codes).zip(&previous) {
            assert!((found - (code + 0.3 * (code - previous))).abs() < 1e-6);
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let geometry = ConvGeometry::new([1, 1, 4, 4], [1, 1, 1, 1], 1).unwrap();
    let x = [f32::NAN; 16];
    let thresholds = kernels::Thresholds {
        values: &[0.1],
        rows: 1,
        columns: 1,
    };
    for level in SimdLevel::available() {
        for non_negative in [true, false] {
            let found = kernels::proximal_ascent(&geometry, &x, None, &[1.0], STEP, thresholds, non_negative, level);
            assert!(found.iter().all(|value| value.is_nan()));
        }
    }
}
