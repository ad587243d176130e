//! Codes, objectives and all gradients of the elastic-net fixtures: exact float64 answers of another program.

use scn_solver::Method;
use scn_solver::reference::{Dictionary, Scratch, implicit_gradients, solve};

use crate::common::{Archive, backward, forward, relative_error};

const ACCURACY: f64 = 1e-8;
const TOLERANCE: f64 = 1e-13;
const CAP: usize = 400_000;

fn check(method: Method) {
    for archive in Archive::all("elastic-net") {
        let name = format!("{} by {}", archive.name(), method.name());
        let shape = archive.shape("D");
        let (m, n) = (shape[0], shape[1]);
        let x = archive.f64s("X");
        let lambda1 = archive.lambda1();
        let dictionary = Dictionary::new(&archive.f64s("D"), [m, n], archive.lambda2()).unwrap();
        let mut scratch = Scratch::new(&dictionary);
        let mut codes = vec![0.0; x.len() / m * n];
        let options = forward(method, TOLERANCE, CAP);
        let infos = solve(&dictionary, &lambda1, &x, &options, &mut codes, &mut scratch).unwrap();
        let most = infos.iter().map(|info| info.iterations).max().unwrap();
        assert!(infos.iter().all(|info| info.residual <= TOLERANCE), "{name}: {infos:?}");

        let objectives: Vec<f64> = (0..infos.len())
            .map(|p| dictionary.objective(&x[p * m..(p + 1) * m], &lambda1, &codes[p * n..(p + 1) * n]))
            .collect();
        let (gradients, systems) = implicit_gradients(
            &dictionary,
            &x,
            &codes,
            &archive.f64s("grad_codes"),
            &backward(0.0, TOLERANCE, CAP),
            &mut scratch,
        )
        .unwrap();
        assert!(
            systems.iter().all(|info| info.residual <= TOLERANCE),
            "{name}: {systems:?}"
        );
        let results = [
            ("codes", &codes),
            ("objective", &objectives),
            ("grad_X", &gradients.x),
            ("grad_D", &gradients.dictionary),
            ("grad_lambda1", &gradients.lambda1),
            ("grad_lambda2", &vec![gradients.lambda2]),
        ];
        for (tensor, result) in results {
            let error = relative_error(result, &archive.f64s(tensor));
            assert!(
                error <= ACCURACY,
                "{name}: {tensor} is off by {error:e} after {most} iterations"
            );
        }
    }
}

#[test]
fn coordinate_descent_gives_the_exact_codes_and_gradients() {
    check(Method::CoordinateDescent);
}

#[test]
fn fista_with_restart_gives_the_exact_codes_and_gradients() {
    check(Method::FistaRestart);
}

#[test]
fn fista_gives_the_exact_codes_and_gradients() {
    check(Method::Fista);
}
