//! The rate of multiply-adds that the processor sustains when nothing but registers is involved: what kernels are
//! measured against.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::Simd;

use super::simd::{SimdLevel, TileTask, mul_add};

/// How long a burst lasts at least. Shorter ones are dominated by waking the threads.
const BURST: Duration = Duration::from_millis(5);
/// Rounds of the first attempt.
const ROUNDS: u64 = 1 << 16;

/// Floating-point operations per second, 2 for a multiply-add, of one burst of multiply-adds on every thread of the
/// current rayon pool, from the first thread's start to the last one's end.
///
/// A burst that other processes disturb is slower: the best of several is the machine's peak.
pub fn peak(level: SimdLevel) -> f64 {
    let mut rounds = ROUNDS;
    loop {
        let started = Instant::now();
        let flops: u64 = rayon::broadcast(|_| level.run(Burst { rounds })).into_iter().sum();
        let elapsed = started.elapsed();
        if elapsed >= BURST {
            return flops as f64 / elapsed.as_secs_f64();
        }
        let missing = BURST.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        rounds = (rounds as f64 * (1.2 * missing).clamp(2.0, 100.0)) as u64;
    }
}

/// Rounds of one multiply-add on each register of a tile kernel's accumulators. Returns the operations.
struct Burst {
    rounds: u64,
}

impl TileTask for Burst {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> u64 {
        // Towards the fixed point 1, so that values neither overflow nor become subnormal.
        let factor = simd.splat_f32s(black_box(0.5));
        let term = simd.splat_f32s(black_box(0.5));
        let mut accumulators = [[simd.splat_f32s(black_box(2.0)); V]; R];
        for _ in 0..self.rounds {
            for row in &mut accumulators {
                for value in row {
                    *value = mul_add(simd, *value, factor, term);
                }
            }
        }
        black_box(&accumulators);
        self.rounds * (2 * R * V * S::F32_LANES) as u64
    }
}
