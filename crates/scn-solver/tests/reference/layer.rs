//! The convolutional layer against patches cut from a padded copy of the image, for strides, windows and image sizes
//! that the fixtures do not have.

use scn_solver::reference::{self, Dictionary, Scratch, implicit_gradients, solve};
use scn_solver::{ConvGeometry, Method, SolverOptions};

use crate::common::{Problem, backward, forward, options, relative_error};

fn exact() -> SolverOptions {
    options(
        0.05,
        forward(Method::CoordinateDescent, 1e-13, 10_000),
        backward(0.0, 1e-13, 10_000),
    )
}

/// Index into the image of each value of each pixel's patch `[b·ho·wo, c·k²]`, `None` in the padding: written as a
/// padded image in which every position holds its own index.
fn patches(geometry: &ConvGeometry) -> Vec<Vec<Option<usize>>> {
    let ConvGeometry {
        batch,
        channels,
        height,
        width,
        kernel,
        stride,
        ..
    } = *geometry;
    let padding = kernel / 2;
    let (padded_height, padded_width) = (height + 2 * padding, width + 2 * padding);
    let mut padded = vec![None; batch * channels * padded_height * padded_width];
    for index in 0..batch * channels * height * width {
        let (plane, y, x) = (index / (height * width), index / width % height, index % width);
        padded[(plane * padded_height + y + padding) * padded_width + x + padding] = Some(index);
    }
    let mut patches = Vec::new();
    for image in 0..batch {
        for top in (0..=padded_height - kernel).step_by(stride) {
            for left in (0..=padded_width - kernel).step_by(stride) {
                let mut patch = Vec::new();
                for channel in 0..channels {
                    for y in top..top + kernel {
                        let row = ((image * channels + channel) * padded_height + y) * padded_width;
                        patch.extend_from_slice(&padded[row + left..row + left + kernel]);
                    }
                }
                patches.push(patch);
            }
        }
    }
    patches
}

#[test]
fn pixels_are_the_problems_of_their_patches() {
    for (seed, (x, weight, stride)) in [
        ([2, 3, 7, 5], [6, 3, 3, 3], 1),
        ([2, 3, 7, 5], [6, 3, 3, 3], 3),
        ([1, 2, 4, 9], [5, 2, 5, 5], 2),
        ([3, 2, 1, 1], [4, 2, 5, 5], 1),
        ([1, 1, 2, 3], [12, 1, 3, 3], 4),
        ([1, 4, 5, 6], [3, 4, 1, 1], 2),
    ]
    .into_iter()
    .enumerate()
    {
        let geometry = ConvGeometry::new(x, weight, stride).unwrap();
        let (m, n, pixels) = (geometry.patch(), geometry.atoms, geometry.pixels());
        let problem = Problem::random(seed as u64, [m, n, 1], 0.05, 0.05);
        let image = Problem::random(50 + seed as u64, [x.iter().product(), 1, 1], 0.0, 0.0).x;
        let filters: Vec<f64> = (0..n * m).map(|i| problem.dictionary[i % m * n + i / m]).collect();

        let patches = patches(&geometry);
        assert_eq!(patches.len(), geometry.batch * pixels);
        let columns: Vec<f64> = patches
            .iter()
            .flatten()
            .map(|source| source.map_or(0.0, |source| image[source]))
            .collect();
        let dictionary = Dictionary::new(&problem.dictionary, [m, n], 0.05).unwrap();
        let mut scratch = Scratch::new(&dictionary);
        let mut rows = vec![0.0; patches.len() * n];
        solve(
            &dictionary,
            &problem.lambda1,
            &columns,
            &exact().forward,
            &mut rows,
            &mut scratch,
        )
        .unwrap();
        let to_rows = |codes: &[f64]| -> Vec<f64> {
            (0..patches.len() * n)
                .map(|i| codes[(i / n / pixels * n + i % n) * pixels + i / n % pixels])
                .collect()
        };

        let solution = reference::forward(&geometry, &image, &filters, &problem.lambda1, &exact()).unwrap();
        assert!(relative_error(&to_rows(&solution.codes), &rows) <= 1e-11);
        assert!(rows.iter().any(|&code| code > 0.0));
        assert!(solution.info.iter().all(|info| info.residual <= 1e-13));

        let grad_codes = Problem::random(90 + seed as u64, [rows.len(), 1, 1], 0.0, 0.0).x;
        let result = reference::backward(&geometry, &image, &filters, &solution.codes, &grad_codes, &exact()).unwrap();
        let backward = exact().backward;
        let (expected, _) = implicit_gradients(
            &dictionary,
            &columns,
            &rows,
            &to_rows(&grad_codes),
            &backward,
            &mut scratch,
        )
        .unwrap();
        let mut grad_image = vec![0.0; image.len()];
        for (source, gradient) in patches.iter().flatten().zip(&expected.x) {
            if let Some(source) = source {
                grad_image[*source] += gradient;
            }
        }
        let grad_filters: Vec<f64> = (0..n * m).map(|i| expected.dictionary[i % m * n + i / m]).collect();
        assert!(relative_error(&result.x, &grad_image) <= 1e-10);
        assert!(relative_error(&result.weight, &grad_filters) <= 1e-10);
        assert!(relative_error(&result.lambda1, &expected.lambda1) <= 1e-10);
        assert!(relative_error(&[result.lambda2], &[expected.lambda2]) <= 1e-10);
    }
}

/// Each pixel has its own count and certificate, in the order `[b, ho, wo]`.
#[test]
fn the_information_belongs_to_its_pixel() {
    let geometry = ConvGeometry::new([2, 1, 2, 3], [1, 1, 1, 1], 1).unwrap();
    let mut image = vec![0.0; 12];
    image[7] = 1.0;
    let solution = reference::forward(&geometry, &image, &[2.0], &[0.0], &exact()).unwrap();
    let iterations: Vec<usize> = solution.info.iter().map(|info| info.iterations).collect();
    assert_eq!(iterations, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert!(relative_error(&[solution.codes[7]], &[2.0 / 4.05]) <= 1e-15);
}

#[test]
fn an_empty_batch_has_no_codes_and_zero_gradients() {
    let geometry = ConvGeometry::new([0, 2, 5, 4], [3, 2, 3, 3], 1).unwrap();
    let solution = reference::forward::<f64>(&geometry, &[], &[0.1; 54], &[0.1; 3], &exact()).unwrap();
    assert!(solution.codes.is_empty() && solution.info.is_empty());
    let gradients = reference::backward::<f64>(&geometry, &[], &[0.1; 54], &[], &[], &exact()).unwrap();
    assert_eq!(
        (gradients.weight, gradients.lambda1, gradients.lambda2),
        (vec![0.0; 54], vec![0.0; 3], 0.0)
    );
}
