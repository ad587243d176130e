//! Augmentation against a naive window, and what its randomness depends on.

use scn_data::{Augmentation, DataError, Flip, Transform};

const SHAPE: [usize; 3] = [3, 5, 7];

/// The image at (channel, y, x), 0 outside.
fn at(image: &[f32], shape: [usize; 3], channel: usize, y: isize, x: isize) -> f32 {
    let inside = y >= 0 && x >= 0 && y < shape[1] as isize && x < shape[2] as isize;
    if inside {
        image[(channel * shape[1] + y as usize) * shape[2] + x as usize]
    } else {
        0.0
    }
}

fn numbered(shape: [usize; 3]) -> Vec<f32> {
    (1..=shape.iter().product::<usize>())
        .map(|value| value as f32)
        .collect()
}

#[test]
fn windows_equal_a_naive_copy() {
    let image = numbered(SHAPE);
    for to in [[3, 5, 7], [3, 3, 3], [3, 1, 7], [3, 6, 9]] {
        for top in -9..=9 {
            for left in -9..=9 {
                for flip in [false, true] {
                    // Whatever was in the output before must be gone.
                    let mut output = vec![f32::NAN; to.iter().product()];
                    Transform {
                        flip,
                        top,
                        left,
                        cutout: None,
                    }
                    .apply(&image, SHAPE, &mut output, to);
                    for (i, value) in output.into_iter().enumerate() {
                        let (channel, y, x) = (i / (to[1] * to[2]), i / to[2] % to[1], i % to[2]);
                        let column = if flip { to[2] - 1 - x } else { x };
                        let expected = at(&image, SHAPE, channel, top + y as isize, left + column as isize);
                        assert_eq!(
                            value, expected,
                            "{to:?} at ({top}, {left}), flip {flip}: ({channel}, {y}, {x})"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_flip_mirrors_left_to_right() {
    let mut output = [0.0; 4];
    Transform {
        flip: true,
        top: 0,
        left: 0,
        cutout: None,
    }
    .apply(&[1.0, 2.0, 3.0, 4.0], [1, 2, 2], &mut output, [1, 2, 2]);
    assert_eq!(output, [2.0, 1.0, 4.0, 3.0]);
}

#[test]
fn draws_never_change() {
    // Computed by a separate program with its own ChaCha8.
    let augmentation = Augmentation {
        flip: Flip::Random,
        shift: 4,
        crop: Some(32),
        cutout: None,
        per_batch: false,
    };
    let draw =
        |augmentation: &Augmentation, record, batch| augmentation.draw([3, 40, 40], 7, 3, record, batch).unwrap();
    assert_eq!(
        draw(&augmentation, 0, 5),
        Transform {
            flip: false,
            top: 7,
            left: 1,
            cutout: None,
        }
    );
    assert_eq!(
        draw(&augmentation, 1, 5),
        Transform {
            flip: true,
            top: 7,
            left: 1,
            cutout: None,
        }
    );
    assert_eq!(
        draw(&augmentation, 59_999, 5),
        Transform {
            flip: false,
            top: 10,
            left: -1,
            cutout: None,
        }
    );
    let shared = Augmentation {
        per_batch: true,
        ..augmentation
    };
    assert_eq!(
        draw(&shared, 0, 5),
        Transform {
            flip: true,
            top: 4,
            left: 1,
            cutout: None,
        }
    );
}

#[test]
fn draws_depend_on_what_they_should() {
    let augmentation = Augmentation {
        flip: Flip::Random,
        shift: 4,
        crop: None,
        cutout: None,
        per_batch: false,
    };
    let shared = Augmentation {
        per_batch: true,
        ..augmentation.clone()
    };
    let series = |augmentation: &Augmentation, seed, epoch, item: fn(u32) -> (u32, usize)| -> Vec<Transform> {
        (0..64)
            .map(|i| {
                augmentation
                    .draw([3, 32, 32], seed, epoch, item(i).0, item(i).1)
                    .unwrap()
            })
            .collect()
    };
    let by_record = series(&augmentation, 1, 2, |i| (i, 0));
    assert_eq!(
        by_record,
        series(&augmentation, 1, 2, |i| (i, 9)),
        "the batch must not matter"
    );
    assert_ne!(by_record, series(&augmentation, 2, 2, |i| (i, 0)));
    assert_ne!(by_record, series(&augmentation, 1, 3, |i| (i, 0)));
    assert!(by_record.iter().any(|transform| transform != &by_record[0]));
    let by_batch = series(&shared, 1, 2, |i| (0, i as usize));
    assert_eq!(
        by_batch,
        series(&shared, 1, 2, |i| (i, i as usize)),
        "the image must not matter"
    );
    assert!(by_batch.iter().any(|transform| transform != &by_batch[0]));
}

#[test]
fn an_alternating_flip_is_drawn_once_and_mirrored_from_epoch_to_epoch() {
    let of = |flip| Augmentation {
        flip,
        shift: 2,
        ..Augmentation::default()
    };
    let draw = |flip, seed, epoch, record, batch| of(flip).draw([3, 32, 32], seed, epoch, record, batch).unwrap();
    let alternating = |epoch, record| draw(Flip::Alternating, 3, epoch, record, epoch as usize).flip;
    for record in 0..200 {
        // The first epoch is that of a random flip.
        assert_eq!(alternating(0, record), draw(Flip::Random, 3, 0, record, 0).flip);
        for epoch in 0..5 {
            assert_ne!(alternating(epoch, record), alternating(epoch + 1, record));
        }
        // Shifts are drawn in every epoch as they were.
        let places = |flip| {
            let Transform { top, left, .. } = draw(flip, 3, 4, record, 0);
            (top, left)
        };
        assert_eq!(places(Flip::Alternating), places(Flip::Never));
    }
    let mirrored = |seed| -> Vec<bool> {
        (0..200)
            .map(|record| draw(Flip::Alternating, seed, 0, record, 0).flip)
            .collect()
    };
    assert_ne!(mirrored(3), mirrored(4));
    let random = |epoch| -> Vec<bool> {
        (0..200)
            .map(|record| draw(Flip::Random, 3, epoch, record, 0).flip)
            .collect()
    };
    assert!(random(0).iter().zip(random(1)).any(|(one, next)| *one == next));
}

#[test]
fn a_cutout_zeroes_a_square_around_any_pixel_and_leaves_the_rest() {
    let with = |cutout| Augmentation {
        flip: Flip::Random,
        shift: 1,
        crop: Some(5),
        cutout,
        per_batch: false,
    };
    let (image, to) = (numbered(SHAPE), [3, 5, 5]);
    for side in 1..=5 {
        let mut centres = [[false; 5]; 5];
        for record in 0..1000 {
            let draw = |cutout| with(cutout).draw(SHAPE, 1, 2, record, 0).unwrap();
            let (cut, whole) = (draw(Some(side)), draw(None));
            assert_eq!(
                Transform { cutout: None, ..cut },
                whole,
                "the other draws are as they were"
            );
            let square = cut.cutout.unwrap();
            assert_eq!(square.side, side);
            let centre = [square.top, square.left].map(|from| (from + side as isize / 2) as usize);
            centres[centre[0]][centre[1]] = true;
            let apply = |transform: Transform| {
                let mut output = vec![f32::NAN; 75];
                transform.apply(&image, SHAPE, &mut output, to);
                output
            };
            for (i, (found, before)) in apply(cut).into_iter().zip(apply(whole)).enumerate() {
                let inside = |place: usize, from: isize| (from..from + side as isize).contains(&(place as isize));
                let zero = inside(i / 5 % 5, square.top) && inside(i % 5, square.left);
                assert_eq!(found, if zero { 0.0 } else { before }, "{square:?}, value {i}");
            }
        }
        assert_eq!(centres, [[true; 5]; 5]);
    }
    let evaluation = with(Some(3)).centre(SHAPE).unwrap();
    assert_eq!((evaluation.flip, evaluation.cutout), (false, None));
}

#[test]
fn draws_are_uniform_over_the_whole_range() {
    let augmentation = Augmentation {
        flip: Flip::Random,
        shift: 4,
        ..Augmentation::default()
    };
    let draws = 18_000;
    let mut flips = 0;
    let mut counts = [[0; 9]; 2];
    for record in 0..draws {
        let transform = augmentation.draw([3, 32, 32], 0, 0, record, 0).unwrap();
        flips += u32::from(transform.flip);
        counts[0][(transform.top + 4) as usize] += 1;
        counts[1][(transform.left + 4) as usize] += 1;
    }
    // Five standard deviations: √(18000/4) = 67 for flips, √(2000·8/9) = 42 for an offset.
    assert!(flips.abs_diff(draws / 2) < 335, "{flips} flips");
    assert!(
        counts.as_flattened().iter().all(|&count| 2000u32.abs_diff(count) < 210),
        "{counts:?}"
    );
}

#[test]
fn switching_one_augmentation_leaves_the_others() {
    let all = Augmentation {
        flip: Flip::Random,
        shift: 3,
        crop: Some(20),
        cutout: None,
        per_batch: false,
    };
    for record in 0..32 {
        let draw = |augmentation: &Augmentation| augmentation.draw([1, 28, 28], 0, 0, record, 0).unwrap();
        assert_eq!(
            draw(&Augmentation {
                shift: 0,
                crop: None,
                ..all.clone()
            })
            .flip,
            draw(&all).flip
        );
        let Transform { top, left, .. } = draw(&all);
        assert_eq!(
            draw(&Augmentation {
                flip: Flip::Never,
                ..all.clone()
            }),
            Transform {
                flip: false,
                top,
                left,
                cutout: None,
            }
        );
    }
}

#[test]
fn a_random_crop_stays_inside_and_evaluation_takes_the_centre() {
    let augmentation = Augmentation {
        crop: Some(5),
        ..Augmentation::default()
    };
    let shape = [1, 8, 11];
    assert_eq!(augmentation.output_shape(shape).unwrap(), [1, 5, 5]);
    let mut seen = [[false; 7]; 4];
    for record in 0..2000 {
        let Transform { flip, top, left, .. } = augmentation.draw(shape, 0, 0, record, 0).unwrap();
        assert!(!flip);
        seen[top as usize][left as usize] = true;
    }
    assert_eq!(seen, [[true; 7]; 4]);
    assert_eq!(
        augmentation.centre(shape).unwrap(),
        Transform {
            flip: false,
            top: 1,
            left: 3,
            cutout: None,
        }
    );
}

#[test]
fn augmentations_that_do_not_fit_are_errors() {
    let shift = |shift| Augmentation {
        shift,
        ..Augmentation::default()
    };
    let crop = |crop| Augmentation {
        crop: Some(crop),
        ..Augmentation::default()
    };
    assert!(shift(7).output_shape([1, 8, 9]).is_ok());
    assert_eq!(
        shift(8).output_shape([1, 8, 9]).unwrap_err().to_string(),
        "a shift of 8 pixels does not fit images of 8×9: choose 0 to 7"
    );
    assert!(crop(8).output_shape([1, 8, 9]).is_ok());
    for side in [0, 9] {
        assert_eq!(
            crop(side).output_shape([1, 8, 9]).unwrap_err().to_string(),
            format!("a crop of {side}×{side} pixels does not fit images of 8×9: choose 1 to 8")
        );
    }
    let cutout = |side| Augmentation {
        cutout: Some(side),
        ..crop(6)
    };
    assert!(cutout(6).output_shape([1, 8, 9]).is_ok());
    for side in [0, 7] {
        assert_eq!(
            cutout(side).output_shape([1, 8, 9]).unwrap_err().to_string(),
            format!("a cutout of {side}×{side} pixels does not fit images of 6×6: choose 1 to 6")
        );
    }
    let both = Augmentation { shift: 5, ..crop(5) };
    assert!(matches!(
        both.output_shape([1, 8, 9]),
        Err(DataError::Shift {
            shift: 5,
            height: 5,
            width: 5
        })
    ));
}

#[test]
fn experiment_files_give_what_differs_from_none() {
    let parse = |text: &str| serde_json::from_str::<Augmentation>(text);
    assert_eq!(parse("{}").unwrap(), Augmentation::default());
    let expected = Augmentation {
        flip: Flip::Random,
        shift: 4,
        crop: None,
        cutout: None,
        per_batch: false,
    };
    assert_eq!(parse(r#"{"flip": true, "shift": 4}"#).unwrap(), expected);
    for (text, flip) in [
        ("false", Flip::Never),
        ("true", Flip::Random),
        (r#""alternating""#, Flip::Alternating),
    ] {
        let file = format!(r#"{{"flip":{text}"#);
        let augmentation = parse(&format!("{file}}}")).unwrap();
        assert_eq!(augmentation.flip, flip);
        let written = serde_json::to_string(&augmentation).unwrap();
        assert!(written.contains(&file[1..]), "{written}");
    }
    let refusal = parse(r#"{"flip": "often"}"#).unwrap_err().to_string();
    assert!(
        refusal.contains(r#"expected true, false or "alternating""#),
        "{refusal}"
    );
    assert!(parse(r#"{"flop": true}"#).unwrap_err().to_string().contains("flop"));
}
