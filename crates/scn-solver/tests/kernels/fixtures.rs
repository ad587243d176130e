//! Codes and all gradients of the fixtures, whose answers are exact float64 ones of another program.

use scn_solver::{ConvGeometry, Method, SimdLevel, kernels};

use crate::assert_near;
use crate::common::{Archive, backward, forward, options, relative_error, to_f32, to_f64};

/// A layer with its exact answers.
struct Case {
    name: String,
    geometry: ConvGeometry,
    x: Vec<f64>,
    weight: Vec<f64>,
    lambda1: Vec<f64>,
    lambda2: f64,
    grad_codes: Vec<f64>,
    codes: Vec<f64>,
    grad_x: Vec<f64>,
    grad_weight: Vec<f64>,
    grad_lambda1: Vec<f64>,
    grad_lambda2: Vec<f64>,
}

impl Case {
    /// Problems `x [p, m]` as the pixels of a 1×p image with m channels.
    fn elastic_net(archive: &Archive) -> Self {
        let (d, x) = (archive.shape("D"), archive.shape("X"));
        let ([m, n], p) = ([d[0], d[1]], x[0]);
        let planes = |tensor, length| transpose(&archive.f64s(tensor), [p, length]);
        Self {
            geometry: ConvGeometry::new([1, m, 1, p], [n, m, 1, 1], 1).unwrap(),
            x: planes("X", m),
            weight: transpose(&archive.f64s("D"), [m, n]),
            grad_codes: planes("grad_codes", n),
            codes: planes("codes", n),
            grad_x: planes("grad_X", m),
            grad_weight: transpose(&archive.f64s("grad_D"), [m, n]),
            name: archive.name(),
            lambda1: archive.lambda1(),
            lambda2: archive.lambda2(),
            grad_lambda1: archive.f64s("grad_lambda1"),
            grad_lambda2: archive.f64s("grad_lambda2"),
        }
    }

    fn layer(archive: &Archive) -> Self {
        let shape = |tensor| <[usize; 4]>::try_from(archive.shape(tensor)).unwrap();
        let stride = archive.f64s("stride")[0] as usize;
        Self {
            geometry: ConvGeometry::new(shape("x"), shape("weight"), stride).unwrap(),
            x: archive.f64s("x"),
            weight: archive.f64s("weight"),
            grad_codes: archive.f64s("grad_codes"),
            codes: archive.f64s("codes"),
            grad_x: archive.f64s("grad_x"),
            grad_weight: archive.f64s("grad_weight"),
            name: archive.name(),
            lambda1: archive.lambda1(),
            lambda2: archive.lambda2(),
            grad_lambda1: archive.f64s("grad_lambda1"),
            grad_lambda2: archive.f64s("grad_lambda2"),
        }
    }

    /// What is asked of codes and of gradients: of ill-conditioned dictionaries less, where f32 itself is coarser.
    fn bounds(&self) -> (f64, f64) {
        if self.name.ends_with("corr") {
            (2e-3, 1e-2)
        } else {
            (1e-5, 1e-4)
        }
    }

    fn check(&self, method: Method, level: SimdLevel) {
        let name = format!("{} by {}, {}", self.name, method.name(), level.name());
        let (code_bound, gradient_bound) = self.bounds();
        let geometry = &self.geometry;
        let (x, weight) = (to_f32(&self.x), to_f32(&self.weight));
        let lambda1 = match self.lambda1.len() {
            1 => vec![self.lambda1[0] as f32; geometry.atoms],
            _ => to_f32(&self.lambda1),
        };
        let options = options(self.lambda2, forward(method, 1e-7, 6000), backward(0.0, 1e-7, 6000));
        let found = kernels::forward(geometry, &x, None, &weight, &lambda1, &options, level).unwrap();
        assert_near(&format!("{name}: codes"), &found.codes, &self.codes, code_bound);
        let grad_codes = to_f32(&self.grad_codes);
        let found = kernels::backward(
            geometry,
            &x,
            None,
            &weight,
            &found.codes,
            &grad_codes,
            &options,
            true,
            level,
        )
        .unwrap();
        let grad_lambda1 = match self.grad_lambda1.len() {
            1 => vec![found.lambda1.iter().sum()],
            _ => found.lambda1,
        };
        for (tensor, found, exact) in [
            ("x", found.x.unwrap(), &self.grad_x),
            ("weight", found.weight, &self.grad_weight),
            ("lambda1", grad_lambda1, &self.grad_lambda1),
            ("lambda2", vec![found.lambda2], &self.grad_lambda2),
        ] {
            let error = relative_error(&to_f64(&found), exact);
            assert!(
                error <= gradient_bound,
                "{name}: gradient of {tensor} is off by {error:e}"
            );
        }
    }
}

fn transpose(matrix: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    (0..rows * columns)
        .map(|index| matrix[index % rows * columns + index / rows])
        .collect()
}

#[test]
fn elastic_nets_have_the_exact_codes_and_gradients() {
    for case in Archive::all("elastic-net").iter().map(Case::elastic_net) {
        for level in SimdLevel::available() {
            case.check(Method::CoordinateDescent, level);
            case.check(Method::FistaRestart, level);
            // Without restart a correlated dictionary takes FISTA tens of thousands of iterations.
            if !case.name.ends_with("corr") {
                case.check(Method::Fista, level);
            }
        }
    }
}

#[test]
fn layers_have_the_exact_codes_and_gradients_by_every_method() {
    for case in Archive::all("conv-layer").iter().map(Case::layer) {
        for level in SimdLevel::available() {
            for method in Method::ALL {
                case.check(method, level);
            }
        }
    }
}
