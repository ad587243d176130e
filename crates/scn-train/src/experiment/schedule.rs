//! The `train.schedule` table and the learning rate of every step.
//!
//! With t the step, S the steps of an epoch, E the epochs, η the learning rate of the optimiser and w = S ·
//! `warmup_epochs`:
//!
//! - warm-up, for t < w: η (`warmup_start` + (1 − `warmup_start`) t/w), PyTorch's `LinearLR`;
//! - `constant`: η;
//! - `milestones`: η · `factor`^(milestones ≤ ⌊t/S⌋), PyTorch's `MultiStepLR`, milestones counted from the start;
//! - `cosine`: η' + ½ (η − η') (1 + cos π (t − w)/(SE − w)) with η' = `final_learning_rate`, PyTorch's
//!   `CosineAnnealingLR` at the start of each epoch, and interpolated between (Loshchilov & Hutter,
//!   arXiv:1608.03983);
//! - `linear`: η' + (η − η') (1 − p) with p = (t − w)/(SE − w), and η' as above;
//! - `rex`: η' + (η − η') (1 − p)/(1 − p/2) (Chen, Wolfe & Kyrillidis, arXiv:2107.04197);
//! - `one-cycle`: from η / `initial_divisor` up to η and down to η / (`initial_divisor` `final_divisor`), PyTorch's
//!   `OneCycleLR` in two phases (Smith & Topin, arXiv:1708.07120), but the momentum stays as it is.

use std::f64::consts::PI;

use scn_keys::Table;

scn_keys::names! {
    /// How the learning rate changes.
    pub enum ScheduleKind {
        /// Not at all.
        Constant = "constant",
        /// Multiplied by a factor at given epochs.
        Milestones = "milestones",
        /// Half a cosine wave down.
        Cosine = "cosine",
        /// A straight line down.
        Linear = "linear",
        /// Slowly at first and steeply at the end (REX, arXiv:2107.04197).
        Rex = "rex",
        /// Up to the learning rate of the optimiser and down to almost 0.
        OneCycle = "one-cycle",
    }
}

scn_keys::names! {
    /// The two slopes of `one-cycle`.
    pub enum Anneal {
        /// Half cosine waves.
        Cosine = "cosine",
        /// Straight lines.
        Linear = "linear",
    }
}

/// The kinds that rise in a line first.
fn ramped() -> impl Iterator<Item = &'static str> {
    [ScheduleKind::Constant, ScheduleKind::Milestones]
        .map(ScheduleKind::name)
        .into_iter()
        .chain(falling())
}

/// The kinds that fall to a final learning rate.
fn falling() -> [&'static str; 3] {
    [ScheduleKind::Cosine, ScheduleKind::Linear, ScheduleKind::Rex].map(ScheduleKind::name)
}

fn one_cycle() -> [&'static str; 1] {
    [ScheduleKind::OneCycle.name()]
}

scn_keys::table! {
    /// The `train.schedule` table as written: keys that are absent take their defaults, keys of another kind are refused.
    pub struct ScheduleConfig {
        /// How the learning rate changes.
        pub kind: ScheduleKind = default(ScheduleKind::Constant),
        /// Epochs over which the learning rate first rises in a line.
        pub warmup_epochs: Option<usize> = of_kinds(ramped(), Some(0))
            .within(range("a whole number of epochs, at least 0", |_| true)),
        /// The part of the learning rate from which it rises.
        pub warmup_start: Option<f64> = of_kinds(ramped(), Some(0.1)).within(below_one()),
        /// The epochs, counted from 0, that start with a smaller learning rate.
        pub milestones: Option<Vec<usize>> = of_kinds([ScheduleKind::Milestones.name()], None).within(range(
            "a rising list of epochs, whole numbers from 1, such as [80, 160]",
            |epochs: &Vec<usize>| epochs.is_sorted_by(|one, next| one < next) && epochs.first() != Some(&0),
        )),
        /// What the learning rate is multiplied by at each milestone.
        pub factor: Option<f64> = of_kinds([ScheduleKind::Milestones.name()], Some(0.1))
            .within(between_zero_and_one()),
        /// Where cosine, linear and rex end.
        pub final_learning_rate: Option<f64> = of_kinds(falling(), Some(0.0)).within(finite_at_least(0.0)),
        /// The part of all steps over which the learning rate rises.
        pub peak_fraction: Option<f64> = of_kinds(one_cycle(), Some(0.3)).within(between_zero_and_one()),
        /// The form of both slopes.
        pub anneal: Option<Anneal> = of_kinds(one_cycle(), Some(Anneal::Cosine)),
        /// The highest learning rate over that of the first step.
        pub initial_divisor: Option<f64> = of_kinds(one_cycle(), Some(25.0)).within(finite_at_least(1.0)),
        /// The learning rate of the first step over that of the last.
        pub final_divisor: Option<f64> = of_kinds(one_cycle(), Some(1e4)).within(finite_at_least(1.0)),
    }
}

impl ScheduleConfig {
    /// The table with every default of its kind written out.
    pub fn with_defaults(&self) -> Self {
        let mut filled = self.clone();
        filled.fill(self.kind.name());
        // Without a warm-up there is nothing that it starts from.
        if filled.warmup_epochs == Some(0) {
            filled.warmup_start = self.warmup_start;
        }
        filled
    }
}

/// The learning rate as a function of the step.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    learning_rate: f64,
    epochs: usize,
}

impl Schedule {
    /// A schedule from the learning rate of the optimiser over so many epochs. Values are taken as they are:
    /// [`Experiment::validate`](super::Experiment::validate) checks them.
    pub fn new(config: &ScheduleConfig, learning_rate: f64, epochs: usize) -> Self {
        Self {
            config: config.with_defaults(),
            learning_rate,
            epochs,
        }
    }

    /// The learning rate of a step, counted from 0 over all epochs; past the end that of the last step.
    pub fn learning_rate(&self, step: usize, steps_per_epoch: usize) -> f64 {
        let config = &self.config;
        let peak = self.learning_rate;
        let steps = (self.epochs * steps_per_epoch).max(1);
        let step = step.min(steps - 1);
        let warmup = config.warmup_epochs.unwrap_or_default() * steps_per_epoch;
        if step < warmup {
            let start = config.warmup_start.unwrap_or_default();
            return peak * (start + (1.0 - start) * (step as f64 / warmup as f64));
        }
        let progress = (step - warmup) as f64 / (steps - warmup) as f64;
        let last = config.final_learning_rate.unwrap_or_default();
        match config.kind {
            ScheduleKind::Constant => peak,
            ScheduleKind::Milestones => {
                let epoch = step / steps_per_epoch;
                let reached = config
                    .milestones
                    .iter()
                    .flatten()
                    .filter(|&&milestone| milestone <= epoch)
                    .count();
                peak * config.factor.unwrap_or_default().powi(reached as i32)
            }
            ScheduleKind::Cosine => cosine(peak, last, progress),
            ScheduleKind::Linear => linear(peak, last, progress),
            ScheduleKind::Rex => linear(peak, last, 1.0 - (1.0 - progress) / (1.0 - 0.5 * progress)),
            ScheduleKind::OneCycle => self.one_cycle(step, steps),
        }
    }

    fn one_cycle(&self, step: usize, steps: usize) -> f64 {
        let config = &self.config;
        let peak = self.learning_rate;
        let initial = peak / config.initial_divisor.unwrap_or(1.0);
        let last = initial / config.final_divisor.unwrap_or(1.0);
        let between = match config.anneal {
            Some(Anneal::Linear) => linear,
            Some(Anneal::Cosine) | None => cosine,
        };
        let step = step as f64;
        // As in PyTorch the peak may lie between two steps, and before the first one where steps are few.
        let peak_step = config.peak_fraction.unwrap_or_default() * steps as f64 - 1.0;
        if step < peak_step {
            between(initial, peak, step / peak_step)
        } else {
            between(peak, last, (step - peak_step) / ((steps - 1) as f64 - peak_step))
        }
    }
}

/// A straight line from `from` at progress 0 to `to` at progress 1.
fn linear(from: f64, to: f64, progress: f64) -> f64 {
    from + (to - from) * progress
}

/// Half a cosine wave from `from` at progress 0 to `to` at progress 1.
fn cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + 0.5 * (from - to) * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind, set: impl FnOnce(&mut ScheduleConfig)) -> ScheduleConfig {
        let mut config = ScheduleConfig {
            kind,
            ..ScheduleConfig::default()
        };
        set(&mut config);
        config
    }

    fn assert_rates(schedule: &Schedule, steps_per_epoch: usize, expected: &[(usize, f64)]) {
        for &(step, expected) in expected {
            let rate = schedule.learning_rate(step, steps_per_epoch);
            assert!(
                (rate - expected).abs() <= 1e-14 * expected.max(1e-3),
                "step {step}: {rate}, expected {expected}"
            );
        }
    }

    #[test]
    fn constant_with_warm_up() {
        let config = schedule(ScheduleKind::Constant, |config| {
            config.warmup_epochs = Some(2);
            config.warmup_start = Some(0.2);
        });
        // LinearLR(start_factor=0.2, total_iters=20), base 0.5: 0.1 + 0.4 t/20.
        let schedule = Schedule::new(&config, 0.5, 5);
        assert_rates(
            &schedule,
            10,
            &[
                (0, 0.1),
                (5, 0.2),
                (10, 0.3),
                (19, 0.48),
                (20, 0.5),
                (49, 0.5),
                (99, 0.5),
            ],
        );
        let config = self::schedule(ScheduleKind::Constant, |_| ());
        assert_rates(&Schedule::new(&config, 0.5, 5), 10, &[(0, 0.5), (49, 0.5)]);
    }

    #[test]
    fn milestones_count_epochs_from_the_start() {
        let config = schedule(ScheduleKind::Milestones, |config| config.milestones = Some(vec![2, 4]));
        let expected = [(0, 1.0), (5, 1.0), (6, 0.1), (11, 0.1), (12, 0.01), (14, 0.01)];
        assert_rates(&Schedule::new(&config, 1.0, 5), 3, &expected);
        let config = schedule(ScheduleKind::Milestones, |config| {
            config.milestones = Some(vec![2]);
            config.factor = Some(0.5);
            config.warmup_epochs = Some(1);
        });
        let expected = [(0, 0.1), (1, 0.4), (2, 0.7), (3, 1.0), (5, 1.0), (6, 0.5)];
        assert_rates(&Schedule::new(&config, 1.0, 5), 3, &expected);
    }

    #[test]
    fn cosine_at_epochs_is_that_of_pytorch() {
        let config = schedule(ScheduleKind::Cosine, |config| config.final_learning_rate = Some(0.02));
        // CosineAnnealingLR(T_max=6, eta_min=0.02), base 0.1: cosines of 0, 30°, 60° ... are known.
        let half = 3f64.sqrt() / 2.0;
        let expected = [
            (0, 0.1),
            (4, 0.02 + 0.04 * (1.0 + half)),
            (8, 0.08),
            (12, 0.06),
            (16, 0.04),
            (20, 0.02 + 0.04 * (1.0 - half)),
        ];
        assert_rates(&Schedule::new(&config, 0.1, 6), 4, &expected);
        // Between: 45° after 6 of 24 steps.
        assert_rates(
            &Schedule::new(&config, 0.1, 6),
            4,
            &[(6, 0.02 + 0.04 * (1.0 + 0.5f64.sqrt()))],
        );
    }

    #[test]
    fn cosine_falls_after_the_warm_up() {
        let config = schedule(ScheduleKind::Cosine, |config| config.warmup_epochs = Some(2));
        let expected = [(0, 0.1), (2, 0.325), (8, 1.0), (12, 0.75), (14, 0.5), (16, 0.25)];
        // Warm-up of 8 steps, then 12 steps of the wave: 60°, 90° and 120° after 4, 6 and 8 of them.
        assert_rates(&Schedule::new(&config, 1.0, 5), 4, &expected);
    }

    #[test]
    fn linear_and_rex_fall_to_the_final_rate_after_the_warm_up() {
        let of = |kind| {
            schedule(kind, |config| {
                config.warmup_epochs = Some(1);
                config.warmup_start = Some(0.5);
                config.final_learning_rate = Some(0.1);
            })
        };
        // Warm-up of 4 steps, then 8 steps: 0.1 + 1.0 (1 − p) at p = 0, 1/4, 1/2 and 7/8.
        let linear = Schedule::new(&of(ScheduleKind::Linear), 1.1, 3);
        let expected = [
            (0, 0.55),
            (2, 0.825),
            (4, 1.1),
            (6, 0.85),
            (8, 0.6),
            (11, 0.225),
            (50, 0.225),
        ];
        assert_rates(&linear, 4, &expected);
        // (1 − p)/(1 − p/2) is 1, 6/7, 2/3 and 2/9 there.
        let rex = Schedule::new(&of(ScheduleKind::Rex), 1.1, 3);
        let expected = [
            (0, 0.55),
            (2, 0.825),
            (4, 1.1),
            (6, 0.1 + 6.0 / 7.0),
            (8, 0.1 + 2.0 / 3.0),
            (11, 0.1 + 2.0 / 9.0),
            (50, 0.1 + 2.0 / 9.0),
        ];
        assert_rates(&rex, 4, &expected);
        let plain = Schedule::new(&schedule(ScheduleKind::Rex, |_| ()), 0.3, 1);
        assert_rates(&plain, 3, &[(0, 0.3), (1, 0.24), (2, 0.15)]);
    }

    #[test]
    fn one_cycle_is_that_of_pytorch() {
        // OneCycleLR(max_lr=1, total_steps=20, pct_start=0.3): rises over steps 0..5, falls over 5..19.
        let config = schedule(ScheduleKind::OneCycle, |_| ());
        let last = 0.04 / 1e4;
        let wave = |from: f64, to: f64, angle: f64| to + (from - to) / 2.0 * (1.0 + angle.to_radians().cos());
        let expected = [
            (0, 0.04),
            (1, wave(0.04, 1.0, 36.0)),
            (5, 1.0),
            (12, (1.0 + last) / 2.0),
            (19, last),
            (100, last),
        ];
        assert_rates(&Schedule::new(&config, 1.0, 5), 4, &expected);

        let config = schedule(ScheduleKind::OneCycle, |config| {
            config.anneal = Some(Anneal::Linear);
            config.peak_fraction = Some(0.25);
            config.initial_divisor = Some(10.0);
            config.final_divisor = Some(100.0);
        });
        // total_steps=10: the peak lies between the steps, at 1.5; the end is step 9, 7.5 later.
        let fall = |step: f64| 2.0 + (0.002 - 2.0) * (step - 1.5) / 7.5;
        let expected = [(0, 0.2), (1, 1.4), (2, fall(2.0)), (5, fall(5.0)), (9, 0.002)];
        assert_rates(&Schedule::new(&config, 2.0, 10), 1, &expected);
    }

    #[test]
    fn few_steps_give_finite_rates() {
        for &kind in ScheduleKind::ALL {
            let config = schedule(kind, |_| ());
            for (epochs, steps_per_epoch) in [(1, 1), (2, 1), (1, 3), (10, 1)] {
                for step in 0..=epochs * steps_per_epoch {
                    let rate = Schedule::new(&config, 0.1, epochs).learning_rate(step, steps_per_epoch);
                    assert!(
                        rate.is_finite() && rate > 0.0 && rate <= 0.1,
                        "{kind:?} {epochs} {step}: {rate}"
                    );
                }
            }
        }
        // 0.5 of two steps: the peak is step 0.
        let config = schedule(ScheduleKind::OneCycle, |config| config.peak_fraction = Some(0.5));
        assert_rates(&Schedule::new(&config, 0.1, 2), 1, &[(0, 0.1), (1, 0.1 / 25.0 / 1e4)]);
    }
}
