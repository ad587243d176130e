//! The `model.solver` table.

use scn_keys::{Value, Wrong, toml};
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};

scn_keys::table! {
    /// The solver of the sparse-coding layers, `model.solver`; by default [`SolverOptions::default`].
    #[derive(Copy)]
    pub struct SolverConfig {
        /// SCN: the algorithm that solves for the codes.
        pub method: SolverMethod = default(SolverMethod(Method::CoordinateDescent)),
        /// SCN: the relative KKT residual at which a solve stops.
        pub tolerance: f64 = default(1e-4).within(finite_at_least(0.0)),
        /// SCN: sweeps or iterations after which a solve stops anyway.
        pub max_iterations: usize = default(50).within(whole(1, 1_000_000)),
        /// SCN: the ridge lambda2 of the elastic net.
        pub lambda2: f64 = default(0.0).within(finite_at_least(0.0)),
        /// SCN: added to the diagonal of the backward system.
        pub backward_ridge: f64 = default(1e-6).within(finite_at_least(0.0)),
        /// SCN: the relative residual at which backward sweeps stop; the CPU factorises up to 160 active atoms instead.
        pub backward_tolerance: f64 = default(1e-4).within(finite_at_least(0.0)),
        /// SCN: sweeps after which a backward solve stops anyway.
        pub backward_max_iterations: usize = default(50).within(whole(1, 1_000_000)),
    }
}

impl SolverConfig {
    /// As the solver crate takes it.
    pub fn options(&self) -> SolverOptions {
        SolverOptions {
            lambda2: self.lambda2,
            forward: ForwardOptions {
                method: self.method.0,
                tolerance: self.tolerance,
                max_iterations: self.max_iterations,
            },
            backward: BackwardOptions {
                ridge: self.backward_ridge,
                tolerance: self.backward_tolerance,
                max_iterations: self.backward_max_iterations,
            },
        }
    }
}

/// [`Method`] as a key holds it, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SolverMethod(pub Method);

impl Value for SolverMethod {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let named = |name: &str| Method::ALL.into_iter().find(|method| method.name() == name);
        let found = value.as_str().and_then(named);
        found.map(Self).ok_or_else(|| Wrong::expecting(Self::expected()))
    }

    fn write(&self) -> Option<toml::Value> {
        Some(self.0.name().into())
    }

    fn expected() -> String {
        format!("one of `{}`", Method::ALL.map(Method::name).join("`, `"))
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}
