//! What reports become in JSON.

use scn_study::bench::SolvesReport;
use scn_study::solve::{Engine, Spread};
use serde_json::json;

#[test]
fn an_infinite_residual_is_a_string() {
    let spread = Spread {
        mean: f64::INFINITY,
        max: f64::NAN,
    };
    assert_eq!(
        serde_json::to_value(spread).unwrap(),
        json!({ "mean": "inf", "max": "NaN" })
    );
    let solves = SolvesReport {
        name: "conv1".into(),
        iterations: 3.0,
        kkt_p99: f64::INFINITY,
    };
    let expected = json!({ "name": "conv1", "iterations": 3.0, "kkt_p99": "inf" });
    assert_eq!(serde_json::to_value(solves).unwrap(), expected);
}

#[test]
fn every_engine_has_a_name_of_its_own() {
    assert_eq!(Engine::ALL.map(Engine::name), ["cpu", "wgpu", "reference"]);
}
