//! What a coordinate-descent sweep of the wgpu kernels can reach at most on a GPU whose figures are published: the rate
//! at which its arithmetic, its shared memory, its cache and its memory could each serve a [`TilePlan`], of which the
//! lowest binds. Nothing here opens a device. `benches/wgpu.md` derives the formulas.

use super::plan::{ATOMS_PER_UNIT, DeviceLimits, PIXELS_PER_UNIT, TilePlan};

/// Units that execute together, on most GPUs.
const SUBGROUP: usize = 32;

/// Bytes that one access of a subgroup to shared memory moves at most.
const SHARED_ACCESS_BYTES: usize = 128;

/// Bytes of one vector, which is what a unit reads at a time.
const VECTOR_BYTES: usize = 16;

/// Sweeps over which the reads and writes of a solve are spread; 6 to 8 are what a training step takes.
const SWEEPS: f64 = 8.0;

/// Numbers that live in registers through a sweep, by solver and unit: r and α, or γ with its active set.
const STATE: usize = 2 * ATOMS_PER_UNIT * PIXELS_PER_UNIT;

/// The same of FISTA: r, α, δ and d.
const STATE_FISTA: usize = 4 * ATOMS_PER_UNIT * PIXELS_PER_UNIT;

/// Registers besides the state: a vector of Q, one of changes, one of usable pixels, and an allowance for addresses,
/// counters and the parameters of the layer.
const OTHER_REGISTERS: usize = 3 * PIXELS_PER_UNIT + 24;

/// Published figures of a GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuFigures {
    /// The maker's name of it.
    pub name: &'static str,
    /// Multiprocessors (compute units), each of which runs whole workgroups.
    pub multiprocessors: usize,
    /// 32-bit multiply-adds a second, of all multiprocessors; half the published FLOP/s.
    pub multiply_adds_per_second: f64,
    /// Bytes a second from the shared memories of all multiprocessors.
    pub shared_bytes_per_second: f64,
    /// Bytes a second from the cache that all multiprocessors share.
    pub cache_bytes_per_second: f64,
    /// Bytes a second from device memory.
    pub memory_bytes_per_second: f64,
}

/// NVIDIA A100 SXM4 40 GB, after NVIDIA's whitepaper on its architecture (2020): 108 multiprocessors at 1.41 GHz with 64
/// multiply-adds a cycle each (19.5 TFLOP/s), 32 banks of 4 bytes of shared memory, 5120 bytes a cycle from the level-2
/// cache, 1555 GB/s from memory.
pub const A100: GpuFigures = GpuFigures {
    name: "NVIDIA A100 SXM4 40 GB",
    multiprocessors: 108,
    multiply_adds_per_second: 108.0 * 64.0 * 1.41e9,
    shared_bytes_per_second: 108.0 * 128.0 * 1.41e9,
    cache_bytes_per_second: 5120.0 * 1.41e9,
    memory_bytes_per_second: 1555e9,
};

/// What binds a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Multiply-adds, those of the owners of a block among them, for which a whole subgroup is busy.
    Arithmetic,
    /// Reads of Q and of changes from shared memory.
    SharedMemory,
    /// The stream of Q, which every cache holds.
    Cache,
    /// Correlations and codes.
    DeviceMemory,
}

impl Limit {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Arithmetic => "arithmetic",
            Limit::SharedMemory => "shared memory",
            Limit::Cache => "cache",
            Limit::DeviceMemory => "device memory",
        }
    }
}

/// What a layer's plan takes from a GPU, and the rate that follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WgpuBound {
    /// The plan.
    pub plan: TilePlan,
    /// 32-bit registers of a unit by coordinate descent or in the backward solve, estimated.
    pub registers: usize,
    /// The same by FISTA.
    pub registers_fista: usize,
    /// Bytes from shared memory per multiply-add, as its accesses count: one that all units of a subgroup make to the
    /// same address moves as little as one unit's.
    pub shared_bytes: f64,
    /// Bytes of Q per multiply-add that come out of device memory or the cache before it.
    pub cache_bytes: f64,
    /// Bytes of correlations and codes per multiply-add, over eight sweeps.
    pub memory_bytes: f64,
    /// Barriers of a sweep.
    pub barriers: usize,
    /// Workgroups.
    pub tiles: usize,
    /// What binds.
    pub limit: Limit,
    /// Useful multiply-adds a second at most: n² a pixel and sweep, padding not counted.
    pub multiply_adds_per_second: f64,
}

/// The bound for sweeps over `pixels` pixels of a layer of `atoms` atoms on `gpu` within `limits`; `None` where the
/// layer runs as plain tensor operations.
pub fn wgpu_bound(atoms: usize, pixels: usize, limits: DeviceLimits, gpu: &GpuFigures) -> Option<WgpuBound> {
    let plan = TilePlan::new(atoms, limits)?;
    let tiles = pixels.div_ceil(plan.pixels());
    let shared_bytes = shared_bytes(&plan);
    let q_bytes = 4.0 / plan.pixels() as f64;
    let cache_bytes = if plan.resident { q_bytes / SWEEPS } else { q_bytes };
    // b is read to start and to certify, codes are written.
    let memory_bytes = 3.0 * 4.0 / (atoms as f64 * SWEEPS);
    let rates = [
        (Limit::Arithmetic, gpu.multiply_adds_per_second * busy_share(&plan)),
        (Limit::SharedMemory, gpu.shared_bytes_per_second / shared_bytes),
        (Limit::Cache, gpu.cache_bytes_per_second / cache_bytes),
        (Limit::DeviceMemory, gpu.memory_bytes_per_second / memory_bytes),
    ];
    let (limit, rate) = rates
        .into_iter()
        .fold((Limit::Arithmetic, f64::INFINITY), |least, rate| {
            if rate.1 < least.1 { rate } else { least }
        });
    // Padding atoms, the last tile's missing pixels, and multiprocessors that wait for those with one more tile.
    let whole = (atoms as f64 / plan.padded_atoms() as f64).powi(2);
    let rounds = tiles.div_ceil(gpu.multiprocessors) * gpu.multiprocessors * plan.pixels();
    Some(WgpuBound {
        plan,
        registers: STATE + OTHER_REGISTERS,
        registers_fista: STATE_FISTA + OTHER_REGISTERS,
        shared_bytes,
        cache_bytes,
        memory_bytes,
        barriers: plan.barriers_per_sweep(),
        tiles,
        limit,
        multiply_adds_per_second: rate * whole * pixels as f64 / rounds.max(1) as f64,
    })
}

/// The share of arithmetic that is the update's, where owners busy whole subgroups.
fn busy_share(plan: &TilePlan) -> f64 {
    // An owner corrects the block's residuals after each of its atoms and takes six more operations a code.
    const OWNER: usize = ATOMS_PER_UNIT * PIXELS_PER_UNIT * (ATOMS_PER_UNIT + 6);
    let useful = plan.units() * ATOMS_PER_UNIT * ATOMS_PER_UNIT * PIXELS_PER_UNIT;
    let update = plan.units().next_multiple_of(SUBGROUP) * ATOMS_PER_UNIT * ATOMS_PER_UNIT * PIXELS_PER_UNIT;
    let owners = plan.pixel_groups.next_multiple_of(SUBGROUP) * OWNER;
    useful as f64 / (update + owners) as f64
}

/// Bytes per multiply-add that the accesses of a subgroup to shared memory are worth.
fn shared_bytes(plan: &TilePlan) -> f64 {
    let groups = plan.pixel_groups.min(SUBGROUP);
    let blocks = SUBGROUP / groups;
    let accesses = |bytes: usize| bytes.div_ceil(SHARED_ACCESS_BYTES);
    // For a row of Q: a vector of changes, and the unit's atoms of the row, whose neighbours' lie further along it.
    let vectors = ATOMS_PER_UNIT * size_of::<f32>() / VECTOR_BYTES;
    let row = accesses(groups * VECTOR_BYTES) + vectors * accesses(blocks * ATOMS_PER_UNIT * size_of::<f32>());
    let reads = (row * SHARED_ACCESS_BYTES) as f64 / (SUBGROUP * ATOMS_PER_UNIT * PIXELS_PER_UNIT) as f64;
    let writes = if plan.resident { 0.0 } else { 4.0 / plan.pixels() as f64 };
    reads + writes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(atoms: usize, pixels: usize, shared: usize) -> WgpuBound {
        let limits = DeviceLimits {
            shared_bytes: shared * 1024,
            units: 256,
        };
        wgpu_bound(atoms, pixels, limits, &A100).unwrap_or_else(|| panic!("no plan for {atoms} atoms"))
    }

    #[test]
    fn no_bound_exceeds_the_peak() {
        for atoms in 8..=512 {
            for shared in [16, 32, 48] {
                for pixels in [1, 64, 8192, 131_072] {
                    let bound = bound(atoms, pixels, shared);
                    let rate = bound.multiply_adds_per_second;
                    assert!(
                        rate > 0.0 && rate < A100.multiply_adds_per_second,
                        "{atoms} atoms: {bound:?}"
                    );
                    assert!(bound.shared_bytes * rate <= A100.shared_bytes_per_second);
                    assert!(bound.cache_bytes * rate <= A100.cache_bytes_per_second);
                    assert!(bound.memory_bytes * rate <= A100.memory_bytes_per_second);
                }
            }
        }
    }

    /// By hand, for n = 64 with all of Q in shared memory: 32 units side by side read 512 bytes of changes and two
    /// vectors of Q that they share, six accesses for 1024 multiply-adds.
    #[test]
    fn the_bound_of_64_atoms_is_that_on_paper() {
        let bound = bound(64, 108 * 128, 48);
        assert_eq!(bound.shared_bytes, 6.0 * 128.0 / 1024.0);
        assert_eq!(bound.cache_bytes, 4.0 / 128.0 / 8.0);
        assert_eq!(bound.tiles, 108);
        assert_eq!(bound.limit, Limit::Arithmetic);
        let share = 65536.0 / (65536.0 + 32.0 * 448.0);
        assert!((bound.multiply_adds_per_second / A100.multiply_adds_per_second - share).abs() < 1e-12);
    }

    /// Prints the tables of `benches/wgpu.md`; run with `--nocapture`.
    #[test]
    fn the_layers_of_scn_4_have_bounds() {
        for shared in [16, 32, 48] {
            println!("{shared} KiB");
            for (atoms, pixels) in [(16, 1024), (64, 1024), (32, 256), (128, 256), (64, 64), (256, 64)] {
                let found = bound(atoms, 128 * pixels, shared);
                let plan = &found.plan;
                println!(
                    "| {atoms} @ {pixels} | {} × {} | {} | {} | {} | {} / {} | {:.4} | {:.4} | {:.3} | {} | {} | {:.1} ({}) |",
                    plan.padded_atoms(),
                    plan.pixels(),
                    plan.units(),
                    if plan.resident {
                        "all".to_owned()
                    } else {
                        plan.slab_rows.to_string()
                    },
                    plan.shared_bytes(),
                    found.registers,
                    found.registers_fista,
                    found.memory_bytes,
                    found.cache_bytes,
                    found.shared_bytes,
                    found.barriers,
                    found.tiles,
                    2e-12 * found.multiply_adds_per_second,
                    found.limit.name(),
                );
                assert!(
                    found.multiply_adds_per_second > 0.3 * A100.multiply_adds_per_second,
                    "{found:?}"
                );
            }
        }
    }
}
