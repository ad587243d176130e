//! Codes and gradients on every device against exact float64 answers (made independently of this program and checked
//! by finite differences).

mod common;

use burn::tensor::{Device, Tensor};
use common::{Archive, assert_small, devices, largest_error, options, relative_error, tensor, transpose, values};
use scn_ops::{sparse_code2d, sparse_code2d_vjp};
use scn_solver::{Method, SolverOptions};

/// Atoms up to which a fixture counts as small, so that all methods and the autodiff graph are tried on it.
const SMALL: usize = 40;

/// Atoms up to which plain tensor operations are tried, of which a sweep takes several per atom.
const MEDIUM: usize = 64;

/// A layer with its exact answers.
struct Case {
    name: String,
    x: (Vec<f64>, [usize; 4]),
    weight: (Vec<f64>, [usize; 4]),
    lambda1: Vec<f64>,
    lambda2: f64,
    stride: usize,
    grad_codes: (Vec<f64>, [usize; 4]),
    codes: Vec<f64>,
    grad_x: Vec<f64>,
    grad_weight: Vec<f64>,
    grad_lambda1: Vec<f64>,
    grad_lambda2: Vec<f64>,
}

impl Case {
    /// Problems `x [p, m]` as the pixels of a 1×p image with m channels.
    fn elastic_net(file: Archive) -> Self {
        let ([m, n], [p, _]) = (file.shape::<2>("D"), file.shape::<2>("X"));
        let rows_to_planes = |name: &str, length| transpose(&file.values(name), [p, length]);
        Self {
            x: (rows_to_planes("X", m), [1, m, 1, p]),
            weight: (transpose(&file.values("D"), [m, n]), [n, m, 1, 1]),
            lambda1: file.values("lambda1"),
            lambda2: file.values("lambda2")[0],
            stride: 1,
            grad_codes: (rows_to_planes("grad_codes", n), [1, n, 1, p]),
            codes: rows_to_planes("codes", n),
            grad_x: rows_to_planes("grad_X", m),
            grad_weight: transpose(&file.values("grad_D"), [m, n]),
            grad_lambda1: file.values("grad_lambda1"),
            grad_lambda2: file.values("grad_lambda2"),
            name: file.name,
        }
    }

    fn conv_layer(file: Archive) -> Self {
        Self {
            x: (file.values("x"), file.shape("x")),
            weight: (file.values("weight"), file.shape("weight")),
            lambda1: file.values("lambda1"),
            lambda2: file.values("lambda2")[0],
            stride: file.values("stride")[0] as usize,
            grad_codes: (file.values("grad_codes"), file.shape("grad_codes")),
            codes: file.values("codes"),
            grad_x: file.values("grad_x"),
            grad_weight: file.values("grad_weight"),
            grad_lambda1: file.values("grad_lambda1"),
            grad_lambda2: file.values("grad_lambda2"),
            name: file.name,
        }
    }

    fn atoms(&self) -> usize {
        self.weight.1[0]
    }

    /// Ill-conditioned dictionaries: where float32 itself is coarser.
    fn correlated(&self) -> bool {
        self.name.ends_with("corr")
    }

    /// What is asked of codes and of gradients.
    fn bounds(&self) -> (f64, f64) {
        if self.correlated() { (2e-3, 1e-2) } else { (1e-5, 1e-4) }
    }

    fn check(&self, device: &str, on: &Device, method: Method) {
        if device == "ndarray" && self.atoms() > MEDIUM {
            return;
        }
        let options = options(method, self.lambda2, 1e-7, 6000);
        self.check_product(&format!("{} on {device}, {}", self.name, method.name()), on, options);
        if self.atoms() <= SMALL {
            self.check_graph(
                &format!("{} on {device}, {}, autodiff", self.name, method.name()),
                on,
                options,
            );
        }
    }

    /// Through the vector-Jacobian product.
    fn check_product(&self, what: &str, device: &Device, options: SolverOptions) {
        let (code_bound, gradient_bound) = self.bounds();
        let x = tensor(&self.x.0, self.x.1, device);
        let weight = tensor(&self.weight.0, self.weight.1, device);
        let lambda1 = tensor(&self.lambda1, [self.lambda1.len()], device);
        let (codes, info) = sparse_code2d(x.clone(), weight.clone(), lambda1, self.stride, options);
        let [batch, _, height, width] = codes.dims();
        assert_eq!(info.solves.dims(), [batch, 2, height, width]);
        assert_small(
            &format!("{what}: codes"),
            largest_error(&values(codes.clone()), &self.codes),
            code_bound,
        );

        let grad_codes = tensor(&self.grad_codes.0, self.grad_codes.1, device);
        let gradients = sparse_code2d_vjp(x, weight, codes, grad_codes, self.stride, options);
        assert_eq!(gradients.x.dims(), self.x.1);
        assert_eq!(gradients.weight.dims(), self.weight.1);
        let lambda1 = values(gradients.lambda1);
        let lambda1 = if self.lambda1.len() == 1 {
            vec![lambda1.iter().sum()]
        } else {
            lambda1
        };
        for (name, found, exact) in [
            ("x", values(gradients.x), &self.grad_x),
            ("weight", values(gradients.weight), &self.grad_weight),
            ("lambda1", lambda1, &self.grad_lambda1),
            ("lambda2", values(gradients.lambda2), &self.grad_lambda2),
        ] {
            assert_small(
                &format!("{what}: gradient of {name}"),
                relative_error(&found, exact),
                gradient_bound,
            );
        }
    }

    /// Through the autodiff graph of `⟨codes, grad_codes⟩`.
    fn check_graph(&self, what: &str, device: &Device, options: SolverOptions) {
        let (_, bound) = self.bounds();
        let device = &device.clone().autodiff();
        let x = tensor(&self.x.0, self.x.1, device).require_grad();
        let weight = tensor(&self.weight.0, self.weight.1, device).require_grad();
        let lambda1: Tensor<1> = tensor(&self.lambda1, [self.lambda1.len()], device).require_grad();
        let (codes, _) = sparse_code2d(x.clone(), weight.clone(), lambda1.clone(), self.stride, options);
        let grads = (codes * tensor(&self.grad_codes.0, self.grad_codes.1, device))
            .sum()
            .backward();
        for (name, found, exact) in [
            ("x", x.grad(&grads).map(values), &self.grad_x),
            ("weight", weight.grad(&grads).map(values), &self.grad_weight),
            ("lambda1", lambda1.grad(&grads).map(values), &self.grad_lambda1),
        ] {
            let found = found.unwrap_or_else(|| panic!("{what}: {name} has no gradient"));
            assert_small(
                &format!("{what}: gradient of {name}"),
                relative_error(&found, exact),
                bound,
            );
        }
    }
}

#[test]
fn elastic_nets_by_coordinate_descent() {
    for (name, device) in devices() {
        for case in Archive::all("elastic-net").into_iter().map(Case::elastic_net) {
            case.check(name, &device, Method::CoordinateDescent);
        }
    }
}

#[test]
fn small_elastic_nets_by_fista() {
    for (name, device) in devices() {
        for case in Archive::all("elastic-net").into_iter().map(Case::elastic_net) {
            if case.atoms() <= SMALL {
                case.check(name, &device, Method::FistaRestart);
                // Without restart a correlated dictionary takes FISTA tens of thousands of iterations.
                if !case.correlated() {
                    case.check(name, &device, Method::Fista);
                }
            }
        }
    }
}

#[test]
fn conv_layers_by_every_method() {
    for (name, device) in devices() {
        for case in Archive::all("conv-layer").into_iter().map(Case::conv_layer) {
            for method in Method::ALL {
                case.check(name, &device, method);
            }
        }
    }
}
