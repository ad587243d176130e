//! The sparse-coding layer: the codes of every output pixel, and their implicit gradient.

mod backward;
mod forward;
mod solve_sums;

pub use backward::{Gradients, backward};
pub use forward::{Solution, forward};
pub use solve_sums::{SolveSums, solve_sums};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{backward, forward};
    use crate::{ConvGeometry, SimdLevel};

    const BATCH: usize = 128;
    const THREADS: usize = 32;

    /// The layers of SCN-4 on CIFAR: channels, atoms, side of the input, stride.
    const SCN_4: [[usize; 4]; 9] = [
        [3, 16, 32, 1],
        [16, 64, 32, 1],
        [64, 16, 32, 1],
        [64, 32, 32, 2],
        [32, 128, 16, 1],
        [128, 32, 16, 1],
        [128, 64, 16, 2],
        [64, 256, 8, 1],
        [256, 64, 8, 1],
    ];

    /// The share of the threads' time that they work, if each takes the next task when it is done with one.
    fn utilization(tasks: &[usize]) -> f64 {
        let mut busy_until = [0; THREADS];
        for task in tasks {
            let next = (0..THREADS).min_by_key(|&thread| busy_until[thread]);
            busy_until[next.unwrap()] += task;
        }
        let end = busy_until.iter().max().unwrap();
        tasks.iter().sum::<usize>() as f64 / (end * THREADS) as f64
    }

    /// The layer with stride 2 before the smallest images has fewer tasks than threads backward, 22 groups of six images.
    #[test]
    fn threads_do_not_wait_for_want_of_tasks() {
        for level in SimdLevel::available() {
            let (mut work, mut time) = (0.0, 0.0);
            for [channels, atoms, side, stride] in SCN_4 {
                let image = [BATCH, channels, side, side];
                let geometry = ConvGeometry::new(image, [atoms, channels, 3, 3], stride).unwrap();
                for (pass, images) in [
                    ("forward", forward::images_of_task(&geometry, level.shape())),
                    ("backward", backward::images_of_task(&geometry, level.shape())),
                ] {
                    let whole = BATCH / images;
                    let mut tasks = vec![images; whole];
                    tasks.extend((!BATCH.is_multiple_of(images)).then_some(BATCH % images));
                    let (count, used) = (tasks.len(), utilization(&tasks));
                    let told =
                        format!("{level:?}, {pass} of {channels}→{atoms} at {side}: {count} tasks, {used:.2} used");
                    assert!(used > 0.65, "{told}");
                    let operations = (geometry.pixels() * atoms * (geometry.patch() + atoms)) as f64;
                    work += operations;
                    time += operations / used;
                }
            }
            assert!(
                work / time > 0.95,
                "{level:?}: {:.2} of the threads' time is used",
                work / time
            );
        }
    }

    #[test]
    fn a_schedule_is_as_long_as_its_longest_thread() {
        assert_eq!(utilization(&[1; THREADS]), 1.0);
        assert_eq!(utilization(&[1; THREADS + 1]), 33.0 / 64.0);
        assert_eq!(utilization(&[3; 8]), 0.25);
    }
}
