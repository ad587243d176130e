//! The network that Bowren derives: closed forms against definitions and against the solver, gradients against
//! differences, what training keeps, and what is refused.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use scn_models::sc_cnn::ScCnn;
use scn_models::{CodingReport, Constraint, Group, Model, Network, Pass, Roles, Sparsity};

use crate::common::{devices, images, normal, sc_cnn, table, tensor, trainable, values};

const IMAGE: [usize; 3] = [2, 7, 6];
const BATCH: usize = 3;

fn build(text: &str, device: &Device) -> Model {
    let config = table(&format!("kind = \"sc-cnn\"\n{text}"));
    Model::new(&config, IMAGE, 4, 5, device).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn input(device: &Device) -> Tensor<4> {
    images([BATCH, IMAGE[0], IMAGE[1], IMAGE[2]], 11, device)
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.0);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{found}, expected {expected}"
        );
    }
}

/// The classifier, which looks at next to nothing at first, made to look.
fn seeing(mut model: Model) -> Model {
    let classifier = &mut sc_cnn(&mut model).classifier;
    classifier.weight = classifier.weight.clone().map(|weight| {
        let device = weight.device();
        let values = normal(weight.dims().iter().product(), 8);
        let values = tensor(values, weight.dims(), &device);
        match device.is_autodiff() {
            true => values.require_grad(),
            false => values,
        }
    });
    model
}

/// `Φᵀi` of every window of `x [b, c, h, w]` in f64: `[b, h', w'][n]`, and the windows `[b, h', w'][c·k·k]`.
fn products(x: &[f64], [batch, channels, height, width]: [usize; 4], weight: &Tensor<4>) -> [Vec<Vec<f64>>; 2] {
    let [atoms, _, kernel, _] = weight.dims();
    let weight = values(weight);
    let (mut all, mut windows) = (Vec::new(), Vec::new());
    for image in 0..batch {
        for row in 0..=height - kernel {
            for column in 0..=width - kernel {
                let window: Vec<f64> = (0..channels * kernel * kernel)
                    .map(|place| {
                        let (channel, down, across) =
                            (place / kernel / kernel, place / kernel % kernel, place % kernel);
                        x[((image * channels + channel) * height + row + down) * width + column + across]
                    })
                    .collect();
                let of_atom = |atom: usize| {
                    let atom = &weight[atom * window.len()..(atom + 1) * window.len()];
                    atom.iter().zip(&window).map(|(a, b)| a * b).sum()
                };
                all.push((0..atoms).map(of_atom).collect());
                windows.push(window);
            }
        }
    }
    [all, windows]
}

/// Codes `[b, n, h', w']` as rows `[b, h', w'][n]`.
fn by_pixel(codes: &Tensor<4>) -> Vec<Vec<f64>> {
    let [batch, atoms, height, width] = codes.dims();
    let (codes, pixels) = (values(codes), height * width);
    (0..batch * pixels)
        .map(|at| {
            let code = |atom: usize| codes[(at / pixels * atoms + atom) * pixels + at % pixels];
            (0..atoms).map(code).collect()
        })
        .collect()
}

#[test]
fn the_closed_form_is_a_convolution_a_bias_and_a_rectifier() {
    for (name, device) in devices() {
        for text in [
            "windows = [[5, 3]]\nprior.initial = 0.3",
            "windows = [[5, 4]]\nprior = { initial = 0.3, per_atom = false }\ndictionaries = \"free\"",
        ] {
            let mut model = build(text, &device);
            let layer = &mut sc_cnn(&mut model).layers[0];
            // A λ below 0 is a bias above it.
            let lambda1 = layer.lambda1.clone().unwrap();
            let mut lambdas: Vec<f32> = values(&lambda1.val()).iter().map(|&value| value as f32).collect();
            lambdas[0] = -0.4;
            let count = lambdas.len();
            layer.lambda1 = Some(lambda1.map(|_| tensor(lambdas.clone(), [count], &device)));
            let x = input(&device);
            let (codes, _) = layer.forward(x.clone(), None);
            let [expected, _] = products(&values(&x), x.dims(), &layer.weight.val());
            let shifted = |(atom, product): (usize, &f64)| (product - f64::from(lambdas[atom % count])).max(0.0);
            let expected: Vec<f64> = expected
                .iter()
                .flat_map(|row| row.iter().enumerate().map(shifted))
                .collect();
            assert_close(&by_pixel(&codes).concat(), &expected, 1e-5);
            assert!(expected.contains(&0.0), "{name}");
        }
    }
}

/// What the derivation rests on.
#[test]
fn with_orthogonal_dictionaries_both_inferences_coincide() {
    for (name, device) in devices() {
        let text =
            |inference: &str| format!("windows = [[7, 3], [9, 2]]\nprior.initial = 0.2\ninference = \"{inference}\"\n");
        let exact = "solver = { tolerance = 1e-7, max_iterations = 1000 }";
        let closed = seeing(build(&text("closed-form"), &device));
        let full = seeing(build(&(text("full") + exact), &device));
        let (a, b) = (
            closed.forward(input(&device), &Pass::EVALUATION),
            full.forward(input(&device), &Pass::EVALUATION),
        );
        assert_close(&values(&a.logits), &values(&b.logits), 2e-5);
        // Of the closed form ρ is 0 but for rounding.
        for report in a.codes {
            let sums = report.sums();
            let largest = values(&sums.values)[2];
            assert!(largest < 1e-5, "{name}: {largest}");
        }
        // With free dictionaries it is not the solution.
        let free = "dictionaries = \"free\"\n";
        let closed = seeing(build(&(text("closed-form") + free), &device));
        let full = seeing(build(&(text("full") + free + exact), &device));
        let (a, b) = (
            closed.forward(input(&device), &Pass::EVALUATION),
            full.forward(input(&device), &Pass::EVALUATION),
        );
        let (found, expected) = (values(&a.logits), values(&b.logits));
        assert!(found.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-2), "{name}");
        let largest = values(&a.codes.into_iter().next().unwrap().sums().values)[2];
        assert!(largest > 1e-2, "{name}: {largest}");
    }
}

/// `argmin ½‖i − Φa‖²` over non-negative codes with at most k non-zeros, by trying all supports.
#[test]
fn the_largest_products_are_the_best_codes_with_so_few_non_zeros() {
    for (name, device) in devices() {
        for count in [1, 2, 5] {
            let mut model = build(&format!("windows = [[5, 3]]\nl0 = {count}"), &device);
            let layer = &sc_cnn(&mut model).layers[0];
            assert!(layer.lambda1.is_none());
            let x = input(&device);
            let (codes, _) = layer.forward(x.clone(), None);
            let [products, windows] = products(&values(&x), x.dims(), &layer.weight.val());
            for ((code, product), window) in by_pixel(&codes).iter().zip(&products).zip(&windows) {
                let energy: f64 = window.iter().map(|value| value * value).sum();
                let of_support = |support: u32| -> f64 {
                    let inside = product.iter().enumerate().filter(|(atom, _)| support >> atom & 1 == 1);
                    inside.map(|(_, product)| product.max(0.0).powi(2)).sum()
                };
                let supports = (0..1u32 << 5).filter(|support| support.count_ones() <= count);
                // For orthonormal atoms ½‖i − Φa‖² = ½(‖i‖² − Σ(φⱼᵀi)²) over the support at its best values.
                let best = supports
                    .map(|support| 0.5 * (energy - of_support(support)))
                    .fold(f64::MAX, f64::min);
                let cross: f64 = code.iter().zip(product).map(|(code, product)| code * product).sum();
                let square: f64 = code.iter().map(|code| code * code).sum();
                let reached = 0.5 * energy - cross + 0.5 * square;
                assert!((reached - best).abs() < 1e-4 * energy, "{name}: {reached}, best {best}");
                assert!(code.iter().filter(|&&code| code != 0.0).count() <= count as usize);
                assert!(code.iter().all(|&code| code >= 0.0));
            }
        }
    }
}

#[test]
fn equal_products_are_no_reason_to_keep_more() {
    let device = Device::flex();
    let mut model = build("windows = [[4, 3]]\nl0 = 2\ndictionaries = \"free\"", &device);
    let layer = &mut sc_cnn(&mut model).layers[0];
    layer.weight = layer.weight.clone().map(|weight| weight.ones_like());
    let (codes, _) = layer.forward(Tensor::ones([1, 2, 3, 3], &device), None);
    let codes = values(&codes);
    assert_eq!(codes.iter().filter(|&&code| code == 18.0).count(), 2, "{codes:?}");
    assert_eq!(codes.iter().filter(|&&code| code == 0.0).count(), 2, "{codes:?}");
}

/// A parameter or the input.
#[derive(Clone, Copy, Debug)]
enum Of {
    Dictionary(usize),
    Lambda1(usize),
    Input,
}

fn moved<const D: usize>(param: &mut Param<Tensor<D>>, direction: &[f32], step: f64) {
    let device = param.val().device();
    let along = tensor(direction.to_vec(), param.dims(), &device) * step;
    *param = param.clone().map(|value| (value + along).detach().require_grad());
}

/// Codes are piecewise smooth: a direction counts where differences of two step sizes agree.
#[test]
fn gradients_are_those_of_differences() {
    let common = "windows = [[5, 3], [6, 2]]\ndictionaries = \"free\"\n";
    let solver = "solver = { tolerance = 1e-7, max_iterations = 2000, backward_ridge = 0.0, backward_tolerance = 1e-7, \
                  backward_max_iterations = 2000 }";
    let coders = [
        "prior.initial = 0.15".to_owned(),
        "prior = { initial = 0.15, per_atom = false }".to_owned(),
        "l0 = 3".to_owned(),
        format!("inference = \"full\"\nprior.initial = 0.15\n{solver}"),
    ];
    for (name, device) in devices() {
        let device = device.autodiff();
        for coder in &coders {
            let model = seeing(build(&format!("{common}{coder}"), &device));
            let x = input(&device);
            let weights = normal(BATCH * 4, 9);
            let loss = |logits: Tensor<2>| (logits * tensor(weights.clone(), [BATCH, 4], &device)).sum();
            let value = |model: &Model, x: Tensor<4>| {
                let logits = values(&model.forward(x, &Pass::TRAINING).logits);
                logits.iter().zip(&weights).map(|(a, &b)| a * f64::from(b)).sum::<f64>()
            };
            let tracked = x.clone().require_grad();
            let gradients = loss(model.forward(tracked.clone(), &Pass::TRAINING).logits).backward();
            let mut parts = vec![Of::Dictionary(0), Of::Dictionary(1), Of::Input];
            if !coder.starts_with("l0") {
                parts.extend([Of::Lambda1(0), Of::Lambda1(1)]);
            }
            let (mut counted, mut all) = (0, 0);
            for of in parts {
                let gradient = {
                    let mut model = model.clone();
                    let layers = &sc_cnn(&mut model).layers;
                    match of {
                        Of::Dictionary(i) => values(&layers[i].weight.val().grad(&gradients).unwrap()),
                        Of::Lambda1(i) => {
                            let lambda1 = layers[i].lambda1.as_ref().unwrap();
                            values(&lambda1.val().grad(&gradients).unwrap())
                        }
                        Of::Input => values(&tracked.grad(&gradients).unwrap()),
                    }
                };
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                assert!(norm > 0.0 && norm.is_finite(), "{name} {coder} {of:?}: {norm}");
                for seed in 0..3 {
                    let random = normal(gradient.len(), 100 + seed);
                    let length = random.iter().map(|&r| f64::from(r).powi(2)).sum::<f64>().sqrt();
                    let along = |(g, &r): (&f64, &f32)| (g / norm + f64::from(r) / length) as f32;
                    let direction: Vec<f32> = gradient.iter().zip(&random).map(along).collect();
                    let exact: f64 = gradient.iter().zip(&direction).map(|(g, &d)| g * f64::from(d)).sum();
                    let difference = |step: f64| {
                        let at = |step: f64| {
                            let (mut model, mut x) = (model.clone(), x.clone());
                            let layers = &mut sc_cnn(&mut model).layers;
                            match of {
                                Of::Dictionary(i) => moved(&mut layers[i].weight, &direction, step),
                                Of::Lambda1(i) => {
                                    moved(layers[i].lambda1.as_mut().unwrap(), &direction, step);
                                }
                                Of::Input => x = x.clone() + tensor(direction.clone(), x.dims(), &device) * step,
                            }
                            value(&model, x)
                        };
                        (at(step) - at(-step)) / (2.0 * step)
                    };
                    let (coarse, fine) = (difference(2e-3), difference(1e-3));
                    all += 1;
                    if (coarse - fine).abs() > 0.01 * norm {
                        continue;
                    }
                    counted += 1;
                    assert!(
                        (fine - exact).abs() <= 0.015 * norm,
                        "{name} {coder} {of:?}: {exact}, differences {coarse} and {fine}"
                    );
                }
            }
            println!("{name}, {coder}: {counted} of {all} directions");
            assert!(10 * counted >= 7 * all, "{name} {coder}: {counted} of {all}");
        }
    }
}

fn roles_of(text: &str) -> (ScCnn, Roles) {
    let mut model = build(text, &Device::flex().autodiff());
    let roles = model.roles();
    (sc_cnn(&mut model).clone(), roles)
}

#[test]
fn dictionaries_and_priors_are_kept_where_keys_say() {
    for (text, dictionary, prior) in [
        ("", Constraint::Orthonormal, Constraint::Free),
        ("dictionaries = \"free\"", Constraint::Free, Constraint::Free),
        (
            "inference = \"full\"",
            Constraint::Orthonormal,
            Constraint::NON_NEGATIVE,
        ),
        (
            "prior.minimum = 0.05",
            Constraint::Orthonormal,
            Constraint::AtLeast(0.05),
        ),
        (
            "inference = \"full\"\nprior.minimum = 0.05",
            Constraint::Orthonormal,
            Constraint::AtLeast(0.05),
        ),
    ] {
        let (network, roles) = roles_of(text);
        for layer in &network.layers {
            assert_eq!(roles.of(&layer.weight).constraint, dictionary, "{text}");
            let role = roles.of(layer.lambda1.as_ref().unwrap());
            assert_eq!(
                (role.group, role.constraint, role.frozen),
                (Group::Sparsity, prior, false),
                "{text}"
            );
        }
    }
    let (network, roles) = roles_of("prior.learned = false");
    assert!(roles.of(network.layers[0].lambda1.as_ref().unwrap()).frozen);
    let least = Constraint::AtLeast(0.05).apply(tensor::<1>(vec![-1.0, 0.04, 0.3], [3], &Device::flex()));
    assert_eq!(values(&least), [0.05f32, 0.05, 0.3].map(f64::from));
}

#[test]
fn parameters_and_shapes_are_those_of_the_plan() {
    let windows = "windows = [[5, 3], [6, 2]]\n";
    let dictionaries = 5 * 18 + 6 * 20;
    let classifier = 4 * (6 * 4 * 3 + 1);
    for (text, lambdas) in [
        ("", 11),
        ("prior.per_atom = false", 2),
        ("prior.learned = false", 0),
        ("l0 = 2", 0),
        ("inference = \"full\"", 11),
    ] {
        let model = build(&format!("{windows}{text}"), &Device::flex().autodiff());
        let expected = dictionaries + lambdas + classifier;
        assert_eq!(trainable(&model), expected, "{text}");
        let summary = model.summary("it", IMAGE);
        assert_eq!(summary.parameters(), expected, "{text}");
        assert_eq!(summary.layers[0].output, [5, 5, 4]);
        assert_eq!(summary.layers[1].output, [6, 4, 3]);
        assert_eq!(summary.convolution(), 5 * 18 * 20 + 6 * 20 * 12 + 4 * 6 * 12);
        let iteration = if text.starts_with("inference") {
            25 * 20 + 36 * 12
        } else {
            0
        };
        assert_eq!(summary.solver_iteration(), iteration);
        let mut seen = Vec::new();
        let x = Tensor::from_inner(input(&Device::flex()));
        let output = model.forward_observed(x, &Pass::TRAINING, &mut |name, x| {
            seen.push((name.to_owned(), x.dims()))
        });
        assert_eq!(
            seen,
            [
                ("layers.0".to_owned(), [BATCH, 5, 5, 4]),
                ("layers.1".to_owned(), [BATCH, 6, 4, 3])
            ]
        );
        assert_eq!((output.logits.dims(), output.codes.len()), ([BATCH, 4], 2));
        let solved = matches!(output.codes[0], CodingReport::Pixels(_));
        assert_eq!(solved, text.starts_with("inference"));
        assert_eq!(model.coding_layers().len(), 2);
    }
    // The default plan suits the digits.
    let digits = table("kind = \"sc-cnn\"");
    let model = Model::empty(&digits, [1, 8, 8], 10, &Device::flex()).unwrap();
    assert_eq!(model.summary("it", [1, 8, 8]).layers[1].output, [16, 4, 4]);
}

#[test]
fn a_factor_is_one_on_lambda_for_each_image() {
    for text in [
        "dictionaries = \"free\"\n",
        "dictionaries = \"free\"\ninference = \"full\"\nsolver = { tolerance = 1e-7, max_iterations = 2000 }\n",
    ] {
        let device = Device::flex();
        let with = |initial: f64| seeing(build(&format!("{text}prior.initial = {initial:?}"), &device));
        let factors = [0.5f32, 1.0, 3.0];
        let model = with(0.2);
        assert_eq!(model.sparsity(), Some(Sparsity::Factor));
        let sparsity = Some(tensor(factors.to_vec(), [3], &device));
        let found = values(&model.forward(input(&device), &Pass::Evaluation { sparsity }).logits);
        let mut separate = Vec::new();
        for (image, factor) in factors.iter().enumerate() {
            let other = with(0.2 * f64::from(*factor));
            let all = values(&other.forward(input(&device), &Pass::EVALUATION).logits);
            separate.extend_from_slice(&all[image * 4..(image + 1) * 4]);
        }
        assert_close(&found, &separate, 1e-4);
        let trained = values(&model.forward(input(&device), &Pass::EVALUATION).logits);
        assert!(trained.iter().zip(&found).any(|(a, b)| (a - b).abs() > 1e-2));
    }
    assert_eq!(build("l0 = 2", &Device::flex()).sparsity(), None);
}

#[test]
fn the_residual_is_that_of_the_windows() {
    let device = Device::flex();
    for text in ["prior.initial = 0.3", "l0 = 2"] {
        let mut model = build(text, &device);
        let x = input(&device);
        let found = values(&model.residual(x.clone()).unwrap());
        let layer = &sc_cnn(&mut model).layers[0];
        let codes = by_pixel(&layer.forward(x.clone(), None).0);
        let weight = values(&layer.weight.val());
        let [_, windows] = products(&values(&x), x.dims(), &layer.weight.val());
        let (pixels, places) = (windows.len() / BATCH, windows[0].len());
        let mut expected = vec![0.0; BATCH];
        for (at, (code, window)) in codes.iter().zip(&windows).enumerate() {
            for (place, value) in window.iter().enumerate() {
                let fitted: f64 = code
                    .iter()
                    .enumerate()
                    .map(|(j, code)| code * weight[j * places + place])
                    .sum();
                expected[at / pixels] += (value - fitted).powi(2) / (pixels * places) as f64;
            }
        }
        assert_close(&found, &expected, 1e-5);
    }
}

#[test]
fn activity_is_that_of_all_images_and_the_residual_that_of_the_first() {
    let device = Device::flex();
    let mut model = build(
        "windows = [[5, 3]]\ndictionaries = \"free\"\nprior.initial = 0.3",
        &device,
    );
    let x = input(&device);
    let sums = model.forward(x.clone(), &Pass::EVALUATION).codes.remove(0).sums();
    let found = values(&sums.values);
    let layer = &sc_cnn(&mut model).layers[0];
    let codes = by_pixel(&layer.forward(x.clone(), None).0);
    let [products, _] = products(&values(&x), x.dims(), &layer.weight.val());
    let weight = values(&layer.weight.val());
    let gram = |i: usize, j: usize| (0..18).map(|m| weight[i * 18 + m] * weight[j * 18 + m]).sum::<f64>();
    let (mut moved, mut norm) = (0.0, 0.0);
    for (code, product) in codes.iter().zip(&products).take(20) {
        for (j, &value) in code.iter().enumerate() {
            let gradient: f64 = (0..5).map(|i| gram(j, i) * code[i]).sum::<f64>() - product[j];
            moved += (value - (value - gradient - 0.3).max(0.0)).powi(2);
            norm += value * value;
        }
    }
    let rho = (moved / norm).sqrt();
    assert!(rho > 1e-2 && (found[2] / rho - 1.0).abs() < 1e-4, "{} {rho}", found[2]);
    assert_eq!(found[0], 60.0);
    let active = codes.iter().flatten().filter(|&&code| code > 0.0).count();
    let counted: f64 = found[scn_models::CodingSums::FIXED..].iter().sum();
    assert_eq!(counted, active as f64);
}

#[test]
fn plans_that_cannot_be_are_refused_with_the_numbers() {
    let refusal = |text: &str| {
        let config = table(&format!("kind = \"sc-cnn\"\n{text}"));
        Model::empty(&config, [1, 8, 6], 10, &Device::flex())
            .expect_err("a refusal")
            .to_string()
    };
    for (text, expected) in [
        (
            "windows = [[9, 3], [82, 3]]",
            "`windows[1]` is [82, 3], but in 9·3·3 = 81 dimensions no more atoms are orthogonal: expected at most 81 atoms, or \
             model.dictionaries = \"free\"",
        ),
        (
            "windows = [[4, 3], [4, 3], [4, 3]]",
            "`windows[2]` is [4, 3], but the input of the layer is 4×2: expected windows of a side of at most 2",
        ),
        (
            "windows = [[8, 3], [4, 3]]\nl0 = 5",
            "`l0` is 5, but layer 2 of model.windows has 4 atoms: expected at most 4",
        ),
        (
            "l0 = 5\ninference = \"full\"",
            "`l0` is 5, but model.inference is \"full\": expected model.inference = \"closed-form\" with it",
        ),
        (
            "prior = { initial = 0.1, minimum = 0.2 }",
            "`prior.initial` is 0.1, but model.prior.minimum is 0.2: expected at least 0.2",
        ),
        (
            "prior.minimum = 0",
            "`prior.minimum` is 0: it must be a finite number above 0",
        ),
    ] {
        assert_eq!(refusal(text), expected);
    }
    assert!(refusal("windows = []").starts_with("`windows` is []: it must be a list of up to 64 layers"));
    assert!(refusal("windows = [[0, 3]]").starts_with("`windows` is [[0, 3]]: it must be"));
    let unused = |text: &str| -> Vec<_> {
        let config = table(&format!("kind = \"sc-cnn\"\n{text}"));
        config.unused().into_iter().map(|unused| unused.key).collect()
    };
    assert_eq!(unused("l0 = 2\nprior.initial = 0.2"), ["prior"]);
    assert_eq!(unused("solver.tolerance = 1e-3"), ["solver"]);
    assert_eq!(unused("prior = { minimum = 0.05, learned = false }"), ["prior.minimum"]);
    assert!(unused("inference = \"full\"\nsolver.tolerance = 1e-3\nprior.initial = 0.2").is_empty());
}
