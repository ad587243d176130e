//! Output sizes, and shapes that are refused.

use scn_solver::{ConvGeometry, Padding, Placement, SolverError};

use crate::definition::Layer;

fn placement(stride: usize, padding: usize, dilation: usize) -> Placement {
    Placement {
        stride,
        padding: Padding::Zeros(padding),
        dilation,
    }
}

#[test]
fn outputs_have_as_many_pixels_as_windows_fit() {
    for kernel in 1..=7 {
        for stride in 1..=4 {
            for padding in 0..=6 {
                for dilation in 1..=6 {
                    for height in 1..=40 {
                        let layer = Layer {
                            batch: 2,
                            channels: 3,
                            height,
                            width: height + 5,
                            atoms: 4,
                            kernel,
                            stride,
                            padding,
                            dilation,
                        };
                        let x = [2, 3, height, height + 5];
                        let found = ConvGeometry::new(x, [4, 3, kernel, kernel], layer.placement());
                        let expected = layer.output();
                        if expected.contains(&0) {
                            assert!(matches!(found, Err(SolverError::WindowTooLarge { .. })), "{layer:?}");
                            continue;
                        }
                        let found = found.unwrap();
                        assert_eq!([found.output_height(), found.output_width()], expected, "{layer:?}");
                        assert_eq!(found.codes_shape(), [2, 4, expected[0], expected[1]]);
                        assert_eq!(found.input_shape(), x);
                        assert_eq!(found.weight_shape(), [4, 3, kernel, kernel]);
                        assert_eq!(found.patch(), 3 * kernel * kernel);
                        assert_eq!(found.span(), layer.span());
                    }
                }
            }
        }
    }
}

/// The networks that the placements are for (ML-ISTA on CIFAR-10 and MNIST, MSD-CSC), layer by layer.
#[test]
fn published_networks_have_their_sides() {
    let side = |side: usize, kernel: usize, placement: Placement| {
        let geometry = ConvGeometry::new([1, 1, side, side], [1, 1, kernel, kernel], placement).unwrap();
        geometry.output_height()
    };
    let sides = |first: usize, layers: &[(usize, Placement)]| -> Vec<usize> {
        let mut last = first;
        layers
            .iter()
            .map(|&(kernel, placement)| {
                last = side(last, kernel, placement);
                last
            })
            .collect()
    };
    assert_eq!(sides(32, &[(4, placement(2, 1, 1)); 3]), [16, 8, 4]);
    let mnist = [
        (6, placement(2, 0, 1)),
        (6, placement(2, 0, 1)),
        (4, placement(1, 0, 1)),
    ];
    assert_eq!(sides(28, &mnist), [12, 4, 1]);
    for dilation in 1..=6 {
        assert_eq!(side(32, 3, placement(1, dilation, dilation)), 32);
    }
}

#[test]
fn a_number_is_a_stride_with_the_same_padding() {
    for kernel in [1, 3, 5, 7] {
        for stride in 1..=4 {
            for dilation in 1..=3 {
                let same = Placement {
                    stride,
                    padding: Padding::Same,
                    dilation,
                };
                let zeros = placement(stride, dilation * (kernel - 1) / 2, dilation);
                for (height, width) in [(1, 1), (7, 10), (32, 33)] {
                    let new = |placement: Placement| {
                        ConvGeometry::new([2, 3, height, width], [4, 3, kernel, kernel], placement).unwrap()
                    };
                    assert_eq!(new(same), new(zeros));
                    let sides = [height.div_ceil(stride), width.div_ceil(stride)];
                    assert_eq!(new(same).codes_shape()[2..], sides);
                    let plain = ConvGeometry::new([2, 3, height, width], [4, 3, kernel, kernel], stride).unwrap();
                    assert_eq!(plain, new(Placement::same(stride)));
                    assert_eq!((plain.padding, plain.dilation), (kernel / 2, 1));
                }
            }
        }
    }
}

#[test]
fn images_without_pixels_have_no_output_pixels() {
    for (x, expected) in [
        ([2, 3, 0, 8], [2, 4, 0, 4]),
        ([2, 3, 8, 0], [2, 4, 4, 0]),
        ([0, 3, 8, 8], [0, 4, 4, 4]),
    ] {
        let found = ConvGeometry::new(x, [4, 3, 3, 3], 2).unwrap();
        assert_eq!(found.codes_shape(), expected);
    }
    let found = ConvGeometry::new([2, 3, 0, 3], [4, 3, 5, 5], placement(1, 0, 3)).unwrap();
    assert_eq!(found.codes_shape(), [2, 4, 0, 0]);
    let found = ConvGeometry::new([2, 3, 0, 3], [4, 3, 5, 5], placement(1, 9, 1)).unwrap();
    assert_eq!(found.codes_shape(), [2, 4, 0, 17]);
}

#[track_caller]
fn refused(x: [usize; 4], weight: [usize; 4], placement: impl Into<Placement>, expected: &str) {
    let error = ConvGeometry::new(x, weight, placement).unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn shapes_that_form_no_layer_are_refused() {
    let start = "x [1, 2, 5, 4], weight";
    let end = "do not form a sparse-coding layer:";
    let x = [1, 2, 5, 4];
    refused(
        x,
        [3, 1, 3, 3],
        1,
        &format!("{start} [3, 1, 3, 3] and stride 1 {end} x and weight must have the same number of channels"),
    );
    for weight in [[3, 2, 2, 2], [3, 2, 3, 5], [3, 2, 0, 0]] {
        refused(
            x,
            weight,
            2,
            &format!("{start} {weight:?} and stride 2 {end} the window must be square with an odd side"),
        );
    }
    for weight in [[3, 2, 2, 4], [3, 2, 0, 0]] {
        refused(
            x,
            weight,
            placement(2, 1, 1),
            &format!(
                "{start} {weight:?} and stride 2 with padding 1 and dilation 1 {end} the window must be square with a \
                 side of at least 1"
            ),
        );
    }
    refused(
        x,
        [3, 2, 3, 3],
        0,
        &format!("{start} [3, 2, 3, 3] and stride 0 {end} the stride must be at least 1"),
    );
    refused(
        x,
        [3, 2, 3, 3],
        placement(1, 1, 0),
        &format!(
            "{start} [3, 2, 3, 3] and stride 1 with padding 1 and dilation 0 {end} the dilation must be at least 1"
        ),
    );
    let same = Placement {
        dilation: 0,
        ..Placement::same(1)
    };
    refused(
        x,
        [3, 2, 3, 3],
        same,
        &format!("{start} [3, 2, 3, 3] and stride 1 with dilation 0 {end} the dilation must be at least 1"),
    );
    refused(
        x,
        [3, 2, 3, 3],
        placement(1, 1, 6),
        &format!(
            "{start} [3, 2, 3, 3] and stride 1 with padding 1 and dilation 6 {end} the window spans 13 rows and columns, \
             more than the image has with its padding: take a smaller window or dilation, or a padding of at least 5"
        ),
    );
    // The padding that the message names is the smallest that will do.
    assert!(ConvGeometry::new(x, [3, 2, 3, 3], placement(1, 5, 6)).is_ok());
    assert!(ConvGeometry::new(x, [3, 2, 3, 3], placement(1, 4, 6)).is_err());
}

#[test]
fn sizes_beyond_memory_are_refused() {
    let huge = 1 << 40;
    for (x, weight, placement) in [
        ([1, 1, 8, 8], [1, 1, 3, 3], placement(1, usize::MAX, 1)),
        ([1, 1, 8, 8], [1, 1, 3, 3], placement(1, usize::MAX / 2, 1)),
        ([1, 1, 8, 8], [1, 1, 3, 3], placement(1, 1, usize::MAX)),
        ([1, 1, 8, 8], [1, 1, 3, 3], placement(usize::MAX, 1, 1)),
        ([1, 1, 8, 8], [1, 1, 3, 3], placement(1, huge, 1)),
        ([1, 1, huge, huge], [1, 1, 3, 3], placement(1, 1, 1)),
        ([huge, huge, 1, 1], [1, huge, 1, 1], placement(1, 0, 1)),
        ([1, 1, 8, 8], [huge, 1, huge, huge], placement(1, 0, 1)),
    ] {
        let error = ConvGeometry::new(x, weight, placement).unwrap_err();
        let message = error.to_string();
        assert!(
            message.ends_with("the layer has more values than can be addressed"),
            "{message}"
        );
    }
}
