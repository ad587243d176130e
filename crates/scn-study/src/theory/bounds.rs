//! What the theorems on layered pursuits ask and promise (Papyan, Romano & Elad, "Convolutional neural networks analyzed
//! via convolutional sparse coding", Journal of Machine Learning Research 18, 2017; Zhang, "From sparse coding to deep
//! learning", theorems 4, 7 and 8). For a signal `X = D₁Γ₁, Γ₁ = D₂Γ₂, …` with noise E and `ε₀ = ‖E‖ᴾ₂,∞`:
//!
//! - **uniqueness**: without noise, `‖Γᵢ‖ˢ₀,∞ < ½(1 + 1/μᵢ)` makes layered basis pursuit find every Γᵢ;
//! - **layered thresholding**: `‖Γᵢ‖ˢ₀,∞ < ½(1 + |Γᵢmin|/(μᵢ|Γᵢmax|)) − εᵢ₋₁/(μᵢ|Γᵢmax|)` and a threshold βᵢ in an interval
//!   give the right support and `‖Γ̂ᵢ − Γᵢ‖ᴾ₂,∞ ≤ εᵢ = √‖Γᵢ‖ᴾ₀,∞ (εᵢ₋₁ + μᵢ(‖Γᵢ‖ˢ₀,∞ − 1)|Γᵢmax| + βᵢ)`;
//! - **layered basis pursuit**: `‖Γᵢ‖ˢ₀,∞ < ⅓(1 + 1/μᵢ)` and the weight `ξᵢ = 4εᵢ₋₁` of the 1-norm give no atom that is not
//!   in the support, every entry above `εᵢ/√‖Γᵢ‖ᴾ₀,∞`, and `‖Γ̂ᵢ − Γᵢ‖ᴾ₂,∞ ≤ εᵢ = 7.5 √‖Γᵢ‖ᴾ₀,∞ εᵢ₋₁`.

/// ½(1 + 1/μ), the bound on the stripe norm below which codes are unique; none where μ is 0.
pub fn uniqueness_bound(coherence: f64) -> Option<f64> {
    (coherence > 0.0).then(|| (1.0 + 1.0 / coherence) / 2.0)
}

/// ⅓(1 + 1/μ), the bound on the stripe norm below which basis pursuit is stable; none where μ is 0.
pub fn stability_bound(coherence: f64) -> Option<f64> {
    (coherence > 0.0).then(|| (1.0 + 1.0 / coherence) / 3.0)
}

/// Whether a stripe norm is below a bound; where there is none, any is.
pub fn below(stripe_norm: usize, bound: Option<f64>) -> bool {
    bound.is_none_or(|bound| (stripe_norm as f64) < bound)
}

/// What the theorems ask of a layer's dictionary and code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerFigures {
    /// μ of the dictionary.
    pub coherence: f64,
    /// `‖Γ‖ˢ₀,∞`.
    pub stripe_norm: usize,
    /// `‖Γ‖ᴾ₀,∞`.
    pub patch_norm: usize,
    /// |Γmin|, the smallest magnitude that is not 0; 0 of a code of zeros.
    pub smallest: f64,
    /// |Γmax|; 0 of a code of zeros.
    pub largest: f64,
}

impl LayerFigures {
    /// The bound of layered thresholding on the stripe norm, for an error of the layer's input of at most `epsilon`; none
    /// where μ or the code is 0.
    pub fn thresholding_bound(&self, epsilon: f64) -> Option<f64> {
        let Self {
            coherence,
            smallest,
            largest,
            ..
        } = *self;
        let scale = coherence * largest;
        (scale > 0.0).then(|| (1.0 + smallest / scale) / 2.0 - epsilon / scale)
    }

    /// The thresholds β that keep the atoms of the code and drop all others: those between the two. The condition of
    /// layered thresholding holds where the first is below the second.
    pub fn thresholds(&self, epsilon: f64) -> [f64; 2] {
        let interference = self.coherence * self.largest;
        let atoms = self.stripe_norm as f64;
        let dropping = atoms * interference + epsilon;
        // A code of zeros has nothing to keep.
        let keeping = match self.stripe_norm {
            0 => f64::INFINITY,
            _ => self.smallest - (atoms - 1.0) * interference - epsilon,
        };
        [dropping, keeping]
    }

    /// The error bound of layered thresholding with the threshold β.
    pub fn thresholding_epsilon(&self, epsilon: f64, beta: f64) -> f64 {
        let others = self.stripe_norm.saturating_sub(1) as f64;
        (self.patch_norm as f64).sqrt() * (epsilon + self.coherence * others * self.largest + beta)
    }

    /// The error bound of layered basis pursuit.
    pub fn pursuit_epsilon(&self, epsilon: f64) -> f64 {
        7.5 * (self.patch_norm as f64).sqrt() * epsilon
    }

    /// The magnitude above which layered basis pursuit with the error bound `epsilon` finds every entry.
    pub fn found_above(&self, epsilon: f64) -> f64 {
        epsilon / (self.patch_norm.max(1) as f64).sqrt()
    }
}

/// The weight ξ of the 1-norm that layered basis pursuit takes for an error of the layer's input of at most `epsilon`.
pub fn pursuit_weight(epsilon: f64) -> f64 {
    4.0 * epsilon
}
