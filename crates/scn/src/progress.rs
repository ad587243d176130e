//! How training shows itself: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scn_train::{Evaluation, Figures, Progress, Step};
use tracing::info;

const TEMPLATE: &str = "{prefix} {bar:30} {pos}/{len} {msg}, {eta} left";

/// Writes to standard error and to the log.
pub(crate) struct Console {
    bar: Option<ProgressBar>,
    epochs: usize,
}

impl Console {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar
        });
        Self { bar, epochs: 0 }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Progress for Console {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize) {
        self.epochs = epochs;
        if let Some(bar) = &self.bar {
            bar.set_length(batches as u64);
            bar.set_position(batch as u64);
            bar.reset_eta();
            bar.set_prefix(format!("epoch {epoch}/{epochs}"));
        }
    }

    fn step(&mut self, step: &Step) {
        if let Some(bar) = &self.bar {
            bar.set_position(step.batch as u64);
            let Step {
                loss,
                top1,
                images_per_second,
                ..
            } = step;
            bar.set_message(format!(
                "{images_per_second:.0} images/s, loss {loss:.4}, top-1 {top1:.2} %"
            ));
        }
    }

    fn epoch_finished(
        &mut self,
        epoch: usize,
        train: &Figures,
        validation: Option<&Evaluation>,
        images_per_second: f64,
    ) {
        let validation = validation.map_or_else(String::new, |found| {
            let Figures { loss, top1, .. } = found.figures;
            format!("; validation loss {loss:.4}, top-1 {top1:.2} %")
        });
        let line = format!(
            "epoch {epoch}/{}: loss {:.4}, top-1 {:.2} %, {images_per_second:.0} images/s{validation}",
            self.epochs, train.loss, train.top1
        );
        info!("{line}");
        self.line(&line);
    }

    fn notice(&mut self, message: &str) {
        info!("{message}");
        self.line(message);
    }
}

impl Drop for Console {
    /// Leaves the terminal to the results.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
