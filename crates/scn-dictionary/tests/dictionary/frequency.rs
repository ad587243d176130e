//! Spatial frequencies of atoms whose spectra are known.

use std::f64::consts::TAU;

use scn_dictionary::{Spectrum, draw};

/// A wave of u cycles across and v down a side.
fn wave(side: usize, u: usize, v: usize) -> Vec<f32> {
    let phase = |at: usize| TAU * (u * (at % side) + v * (at / side)) as f64 / side as f64;
    (0..side * side).map(|at| (phase(at) + 0.3).cos() as f32).collect()
}

#[test]
fn a_wave_has_its_frequency() {
    for side in [1, 7, 12] {
        for (u, v) in (0..=side / 2).flat_map(|u| (0..=side / 2).map(move |v| (u, v))) {
            let spectrum = Spectrum::of(&wave(side, u, v), side);
            let expected = (u as f64 / side as f64).hypot(v as f64 / side as f64);
            assert!(
                (spectrum.frequency - expected).abs() < 1e-6,
                "{side}: {u}, {v}: {spectrum:?}"
            );
            assert_eq!(spectrum.is_high(), expected > 0.25, "{side}: {u}, {v}");
            let all = f64::from(u8::from(expected > 0.25));
            assert!((spectrum.high - all).abs() < 1e-6);
        }
    }
}

#[test]
fn channels_add_up_and_a_zero_atom_has_no_frequency() {
    let both = [wave(8, 1, 0), wave(8, 4, 0)].concat();
    let spectrum = Spectrum::of(&both, 8);
    let weights = [wave(8, 1, 0), wave(8, 4, 0)].map(|wave| wave.iter().map(|v| f64::from(v * v)).sum::<f64>());
    let expected = (weights[0] * 0.125 + weights[1] * 0.5) / (weights[0] + weights[1]);
    assert!((spectrum.frequency - expected).abs() < 1e-6, "{spectrum:?}, {expected}");
    let zero = Spectrum::of(&[0.0; 16], 4);
    assert_eq!((zero.frequency, zero.high, zero.is_high()), (0.0, 0.0, false));
    assert_eq!(Spectrum::high_share(&[]), 0.0);
    let share = Spectrum::high_share(&Spectrum::of_all(&both, 1, 8));
    assert_eq!(share, 0.5);
}

#[test]
fn a_picture_has_the_lowest_frequency_first() {
    let atoms = [wave(8, 4, 4), wave(8, 0, 0), wave(8, 1, 0)].concat();
    let picture = image::load_from_memory(&draw(&[(&atoms, [3, 1, 8])]).unwrap())
        .unwrap()
        .to_rgb8();
    // 2×2 atoms of 8·4 pixels, 2 between them and around them.
    assert_eq!(picture.dimensions(), (70, 70));
    let atom = |x: u32, y: u32| {
        let at = |i: u32| picture.get_pixel(2 + 34 * x + i, 2 + 34 * y)[0];
        [at(1), at(5), at(9), at(17)]
    };
    assert_eq!(atom(0, 0), [255; 4], "the constant");
    let slow = atom(1, 0);
    assert!(slow[0] > slow[2] && slow[2] > slow[3], "{slow:?}");
    let fast = atom(0, 1);
    assert!(fast[0] != fast[1] && fast[0] == fast[2], "{fast:?}");
    assert_eq!(picture.get_pixel(40, 40)[0], 255, "no fourth atom");
    let colours = [wave(4, 1, 0), wave(4, 0, 1), wave(4, 2, 0)].concat();
    let two = draw(&[(&colours, [1, 3, 4]), (&atoms, [3, 1, 8])]).unwrap();
    let two = image::load_from_memory(&two).unwrap().to_rgb8();
    assert!(two.width() > 2 * 66 && two.pixels().any(|pixel| pixel[0] != pixel[1]));
}
