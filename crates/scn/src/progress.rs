//! How training shows itself: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::io::IsTerminal;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scn_train::{Evaluation, Figures, Progress, Step};
use tracing::info;

use crate::stderr::say;

const TEMPLATE: &str = "{prefix} {bar:30} {pos}/{len} {msg}, {eta} left";
/// Where there is no bar: no line for so long, and one says how far training is. Below the 30 s that are promised.
const SILENCE: Duration = Duration::from_secs(25);

/// Writes to standard error and to the log.
pub(crate) struct Console {
    bar: Option<ProgressBar>,
    standing: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

impl Console {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar
        });
        let standing = Arc::new(Shared::default());
        let ticker = bar.is_none().then(|| {
            let standing = Arc::clone(&standing);
            thread::spawn(move || standing.tell_in_silence(SILENCE, |line| say!("{line}")))
        });
        Self { bar, standing, ticker }
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => {
                say!("{text}");
                self.standing.lock().last_line = Instant::now();
            }
        }
    }
}

impl Console {
    /// An epoch begins or goes on.
    fn begin(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize) {
        self.standing.lock().epoch_started(epoch, epochs, batch, batches);
        if let Some(bar) = &self.bar {
            bar.set_length(batches as u64);
            bar.set_position(batch as u64);
            bar.reset_eta();
            bar.set_prefix(format!("epoch {epoch}/{epochs}"));
        }
    }

    /// So many batches of the epoch are done, with these figures.
    fn advance(&mut self, batch: usize, figures: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(batch as u64);
            bar.set_message(figures.clone());
        }
        self.standing.lock().step = Some((batch, figures));
    }

    /// Tells and logs something.
    fn tell(&self, message: &str) {
        info!("{message}");
        self.line(message);
    }
}

impl Progress for Console {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize) {
        self.begin(epoch, epochs, batch, batches);
    }

    fn step(&mut self, step: &Step) {
        self.advance(step.batch, figures(step));
    }

    fn evaluating(&mut self, split: &'static str) {
        self.standing.lock().evaluating = Some(split);
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
        let capped = capped(train);
        let epochs = self.standing.lock().epochs;
        let line = format!(
            "epoch {epoch}/{epochs}: loss {:.4}, top-1 {:.2} %, {images_per_second:.0} images/s{validation}{capped}",
            train.loss, train.top1
        );
        self.tell(&line);
    }

    fn notice(&mut self, message: &str) {
        self.tell(message);
    }
}

impl scn_dictionary::Progress for Console {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize) {
        self.begin(epoch, epochs, batch, batches);
    }

    fn step(&mut self, batch: usize, figures: &scn_dictionary::Figures, patches_per_second: f64) {
        let objective = figures.objective;
        self.advance(
            batch,
            format!("{patches_per_second:.0} patches/s, objective {objective:.5}"),
        );
    }

    fn epoch_finished(
        &mut self,
        epoch: usize,
        train: &scn_dictionary::Figures,
        evaluation: &scn_dictionary::Figures,
        patches_per_second: f64,
    ) {
        let epochs = self.standing.lock().epochs;
        self.tell(&format!(
            "epoch {epoch}/{epochs}: objective {:.5}, {:.1} % active, {patches_per_second:.0} patches/s; evaluation \
             objective {:.5}",
            train.objective,
            100.0 * train.activity,
            evaluation.objective
        ));
    }

    fn notice(&mut self, message: &str) {
        self.tell(message);
    }
}

impl Drop for Console {
    /// Leaves standard error to the results.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.standing.lock().over = true;
        self.standing.changed.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // It has said all that it had to say if it panicked.
            let _ = ticker.join();
        }
    }
}

fn figures(step: &Step) -> String {
    let Step {
        loss,
        top1,
        images_per_second,
        ..
    } = step;
    format!("{images_per_second:.0} images/s, loss {loss:.4}, top-1 {top1:.2} %")
}

/// How far training is, for the thread that tells it.
#[derive(Default)]
struct Shared {
    standing: Mutex<Standing>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how far training is whenever there was no line for as long as `silence`, until it is over.
    fn tell_in_silence(&self, silence: Duration, tell: impl Fn(&str)) {
        let mut standing = self.lock();
        while !standing.over {
            let now = Instant::now();
            let quiet = now.saturating_duration_since(standing.last_line);
            if quiet >= silence {
                let line = standing.line(now);
                standing.last_line = now;
                drop(standing);
                tell(&line);
                standing = self.lock();
                continue;
            }
            let waited = self.changed.wait_timeout(standing, silence - quiet);
            standing = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How far training is.
struct Standing {
    epoch: usize,
    epochs: usize,
    batches: usize,
    /// Batches done and their figures.
    step: Option<(usize, String)>,
    /// The split that is evaluated.
    evaluating: Option<&'static str>,
    /// When training began in this process, and the batches of all epochs that were done then.
    began: Option<(Instant, usize)>,
    last_line: Instant,
    over: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            epoch: 0,
            epochs: 0,
            batches: 0,
            step: None,
            evaluating: None,
            began: None,
            last_line: Instant::now(),
            over: false,
        }
    }
}

impl Standing {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize) {
        let done = (epoch - 1) * batches + batch;
        self.began.get_or_insert((Instant::now(), done));
        *self = Self {
            epoch,
            epochs,
            batches,
            step: None,
            evaluating: None,
            ..*self
        };
    }

    /// Progress, rate and the time left of the whole run.
    fn line(&self, now: Instant) -> String {
        if self.epoch == 0 {
            return match self.evaluating {
                Some(split) => format!("evaluating the {split} images"),
                None => "reading the data and building the model".to_owned(),
            };
        }
        let batch = self.step.as_ref().map_or(0, |(batch, _)| *batch);
        let mut line = format!("epoch {}/{}, batch {batch}/{}", self.epoch, self.epochs, self.batches);
        if let Some(split) = self.evaluating {
            line += &format!(", evaluating the {split} images");
        }
        if let Some((_, figures)) = &self.step {
            line += &format!(": {figures}");
        }
        if let Some(left) = self.left(now) {
            line += &format!(", {} left", duration(left));
        }
        line
    }

    /// Seconds left, at the mean speed since training began here, validation and saving included.
    fn left(&self, now: Instant) -> Option<f64> {
        let (began, before) = self.began?;
        let done = (self.epoch - 1) * self.batches + self.step.as_ref()?.0;
        let made = done.checked_sub(before).filter(|&made| made > 0)?;
        let left = (self.epochs * self.batches).saturating_sub(done);
        Some(now.saturating_duration_since(began).as_secs_f64() / made as f64 * left as f64)
    }
}

/// Seconds in two units at most: `45 s`, `3 min`, `1 h 12 min`, `2 d 5 h`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Says where solves ended at their caps, above their tolerances; nothing where none did.
fn capped(train: &Figures) -> String {
    let layers = || train.layers.iter();
    let forward: u64 = layers().map(|layer| layer.capped).sum();
    let backward: u64 = layers()
        .filter_map(|layer| layer.backward)
        .map(|solves| solves.capped)
        .sum();
    match (forward, backward) {
        (0, 0) => String::new(),
        _ => format!("; at the cap: {forward} solves, {backward} backward"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const STEP: Step = Step {
        batch: 20,
        loss: 1.25,
        top1: 50.0,
        images_per_second: 812.3,
    };

    #[test]
    fn a_line_has_progress_rate_and_the_time_left_of_the_whole_run() {
        let mut standing = Standing::default();
        let now = Instant::now();
        assert_eq!(standing.line(now), "reading the data and building the model");
        // Resumed in the third of ten epochs of a hundred batches, ten of which were done.
        standing.epoch_started(3, 10, 10, 100);
        assert_eq!(standing.line(now), "epoch 3/10, batch 0/100");
        let began = standing.began.unwrap().0;
        standing.step = Some((STEP.batch, figures(&STEP)));
        // Ten batches in 50 s; 780 are left.
        assert_eq!(
            standing.line(began + Duration::from_secs(50)),
            "epoch 3/10, batch 20/100: 812 images/s, loss 1.2500, top-1 50.00 %, 1 h 5 min left"
        );
        standing.evaluating = Some("validation");
        assert_eq!(
            standing.line(began + Duration::from_secs(50)),
            "epoch 3/10, batch 20/100, evaluating the validation images: 812 images/s, loss 1.2500, top-1 50.00 %, \
             1 h 5 min left"
        );
        // The beginning stays that of the process.
        standing.epoch_started(4, 10, 0, 100);
        assert_eq!((standing.began.unwrap(), standing.evaluating), ((began, 210), None));
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (0.4, "0 s"),
            (59.4, "59 s"),
            (59.6, "1 min"),
            (3599.0, "59 min"),
            (3600.0, "1 h 0 min"),
            (86_399.0, "23 h 59 min"),
            (190_000.0, "2 d 4 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn silence_is_broken_again_and_again_until_training_is_over() {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = channel();
        let ticker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.tell_in_silence(Duration::from_millis(5), |line| sender.send(line.to_owned()).unwrap());
            })
        };
        assert_eq!(receiver.recv().unwrap(), "reading the data and building the model");
        shared.lock().epoch_started(1, 2, 0, 30);
        while receiver.recv().unwrap() != "epoch 1/2, batch 0/30" {}
        shared.lock().step = Some((STEP.batch, figures(&STEP)));
        let told = "epoch 1/2, batch 20/30: 812 images/s, loss 1.2500, top-1 50.00 %";
        while !receiver.recv().unwrap().starts_with(told) {}
        shared.lock().over = true;
        shared.changed.notify_all();
        ticker.join().unwrap();
    }
}
