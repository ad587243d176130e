//! Codes and all gradients of the convolutional fixtures: exact float64 answers of another program.

use scn_solver::{ConvGeometry, Method, reference};

use crate::common::{Archive, backward, forward, options, relative_error};

const ACCURACY: f64 = 1e-8;
const TOLERANCE: f64 = 1e-13;
const CAP: usize = 100_000;

#[test]
fn every_method_gives_the_exact_codes_and_gradients() {
    for archive in Archive::all("conv-layer") {
        for method in Method::ALL {
            check(&archive, method);
        }
    }
}

fn check(archive: &Archive, method: Method) {
    let name = format!("{} by {}", archive.name(), method.name());
    let shape = |tensor| <[usize; 4]>::try_from(archive.shape(tensor)).unwrap();
    let geometry = ConvGeometry::new(shape("x"), shape("weight"), archive.f64s("stride")[0] as usize).unwrap();
    let (x, weight) = (archive.f64s("x"), archive.f64s("weight"));
    let lambda1 = vec![archive.lambda1()[0]; geometry.atoms];
    let options = options(
        archive.lambda2(),
        forward(method, TOLERANCE, CAP),
        backward(0.0, TOLERANCE, CAP),
    );
    assert_eq!(geometry.codes_shape(), shape("codes"), "{name}");

    let solution = reference::forward(&geometry, &x, &weight, &lambda1, &options).unwrap();
    assert_eq!(solution.info.len(), geometry.batch * geometry.pixels());
    let worst = solution.info.iter().map(|info| info.residual).fold(0.0, f64::max);
    assert!(worst <= TOLERANCE, "{name}: {worst:e}");
    let gradients = reference::backward(
        &geometry,
        &x,
        &weight,
        &solution.codes,
        &archive.f64s("grad_codes"),
        &options,
    )
    .unwrap();
    assert_eq!(gradients.info.len(), geometry.batch * geometry.pixels());
    let worst = gradients.info.iter().map(|info| info.residual).fold(0.0, f64::max);
    assert!(worst <= TOLERANCE, "{name}: {worst:e}");
    // The fixtures have one λ₁ for all atoms.
    let grad_lambda1 = vec![gradients.lambda1.iter().sum()];
    let results = [
        ("codes", &solution.codes),
        ("grad_x", &gradients.x),
        ("grad_weight", &gradients.weight),
        ("grad_lambda1", &grad_lambda1),
        ("grad_lambda2", &vec![gradients.lambda2]),
    ];
    for (tensor, result) in results {
        let error = relative_error(result, &archive.f64s(tensor));
        assert!(error <= ACCURACY, "{name}: {tensor} is off by {error:e}");
    }
}
