//! The `model.lambda1` table.

scn_keys::table! {
    /// The sparsity weight of the sparse-coding layers, `model.lambda1`.
    #[derive(Copy)]
    pub struct Lambda1Config {
        /// SCN: the sparsity weight lambda1 before training.
        pub initial: f64 = default(0.0).within(finite_at_least(0.0)),
        /// SCN: one lambda1 for each atom, not for each layer.
        pub per_atom: bool = default(false),
        /// SCN: whether training changes lambda1.
        pub learned: bool = default(true),
    }
}
