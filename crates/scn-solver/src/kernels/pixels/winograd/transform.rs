//! The transforms of F(4×4, 3×3): `Y = Aᵀ[(G W Gᵀ) ⊙ (Bᵀ X B)]A` makes 4×4 output pixels of a block of 6×6 input pixels with
//! 36 products for each channel in place of 144 (Lavin & Gray, arXiv:1509.09308, section 4).
//!
//! The polynomials behind it are interpolated at 0, ±5/8, ±3/2 and ∞. With the usual 0, ±1, ±2 and ∞ the errors of f32 are
//! four times those of the direct product; here they are less than twice those (points as in Barabasz et al.,
//! arXiv:1803.10986, chosen by size). All constants below are exact in f32.

use pulp::Simd;

use crate::kernels::simd::{mul_add, subtract};

/// Side of a block of output pixels.
pub(crate) const OUTPUT: usize = 4;
/// Side of the block of input pixels that they depend on.
pub(crate) const INPUT: usize = 6;
/// Side of the kernel.
pub(crate) const KERNEL: usize = 3;

/// The points ±P and ±Q.
const P: f32 = 5.0 / 8.0;
const Q: f32 = 3.0 / 2.0;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;

/// `Bᵀd`: row k holds the coefficients of the product of `x − t` over all points t but the k-th.
#[inline(always)]
fn input_line<S: Simd>(simd: S, d: &[S::f32s; INPUT]) -> [S::f32s; INPUT] {
    // Closures, as those of `map` are, would be compiled without the instructions of the level.
    let (p, p2) = (simd.splat_f32s(P), simd.splat_f32s(P2));
    let (q, q2) = (simd.splat_f32s(Q), simd.splat_f32s(Q2));
    let (sum, product) = (simd.splat_f32s(P2 + Q2), simd.splat_f32s(P2 * Q2));
    let (even, odd) = (subtract(simd, q2, d[2], d[4]), subtract(simd, q2, d[1], d[3]));
    let (even_q, odd_q) = (subtract(simd, p2, d[2], d[4]), subtract(simd, p2, d[1], d[3]));
    [
        mul_add(simd, product, d[0], subtract(simd, sum, d[2], d[4])),
        mul_add(simd, p, odd, even),
        subtract(simd, p, odd, even),
        mul_add(simd, q, odd_q, even_q),
        subtract(simd, q, odd_q, even_q),
        mul_add(simd, product, d[1], subtract(simd, sum, d[3], d[5])),
    ]
}

/// `Aᵀm`: row i holds the i-th powers of the points.
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: &[S::f32s; INPUT]) -> [S::f32s; OUTPUT] {
    let (p, p2, p3) = (simd.splat_f32s(P), simd.splat_f32s(P2), simd.splat_f32s(P2 * P));
    let (q, q2, q3) = (simd.splat_f32s(Q), simd.splat_f32s(Q2), simd.splat_f32s(Q2 * Q));
    let (even, odd) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (even_q, odd_q) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(even, even_q)),
        mul_add(simd, p, odd, simd.mul_f32s(q, odd_q)),
        mul_add(simd, p2, even, simd.mul_f32s(q2, even_q)),
        mul_add(simd, p3, odd, mul_add(simd, q3, odd_q, m[5])),
    ]
}

/// `Gw` of `R` kernels at once: the values of their polynomials at the points, over the factors that `Bᵀ` leaves out.
#[inline(always)]
fn kernel_line<const R: usize>(w: &[[f64; R]; KERNEL]) -> [[f64; R]; INPUT] {
    let [p, q] = [f64::from(P), f64::from(Q)];
    let [p2, q2] = [p * p, q * q];
    let (zero, at_p, at_q) = (
        1.0 / (p2 * q2),
        1.0 / (2.0 * p2 * (p2 - q2)),
        1.0 / (2.0 * q2 * (q2 - p2)),
    );
    let mut line = [[0.0; R]; INPUT];
    for r in 0..R {
        let [w0, w1, w2] = [w[0][r], w[1][r], w[2][r]];
        let (even, odd) = (w0 + p2 * w2, p * w1);
        let (even_q, odd_q) = (w0 + q2 * w2, q * w1);
        line[0][r] = zero * w0;
        line[1][r] = at_p * (even + odd);
        line[2][r] = at_p * (even - odd);
        line[3][r] = at_q * (even_q + odd_q);
        line[4][r] = at_q * (even_q - odd_q);
        line[5][r] = w2;
    }
    line
}

/// `Bᵀ X B`, of columns of X: its columns.
#[inline(always)]
pub(crate) fn input<S: Simd>(simd: S, x: &[[S::f32s; INPUT]; INPUT]) -> [[S::f32s; INPUT]; INPUT] {
    let zero = simd.splat_f32s(0.0);
    let mut rows = [[zero; INPUT]; INPUT];
    for j in 0..INPUT {
        let column = input_line(simd, &x[j]);
        for i in 0..INPUT {
            rows[i][j] = column[i];
        }
    }
    let mut columns = [[zero; INPUT]; INPUT];
    for i in 0..INPUT {
        let row = input_line(simd, &rows[i]);
        for j in 0..INPUT {
            columns[j][i] = row[j];
        }
    }
    columns
}

/// `Aᵀ M A`, of columns of M: its rows.
#[inline(always)]
pub(crate) fn output<S: Simd>(simd: S, m: &[[S::f32s; INPUT]; INPUT]) -> [[S::f32s; OUTPUT]; OUTPUT] {
    let zero = simd.splat_f32s(0.0);
    let mut rows = [[zero; INPUT]; OUTPUT];
    for j in 0..INPUT {
        let column = output_line(simd, &m[j]);
        for i in 0..OUTPUT {
            rows[i][j] = column[i];
        }
    }
    let mut pixels = [[zero; OUTPUT]; OUTPUT];
    for i in 0..OUTPUT {
        pixels[i] = output_line(simd, &rows[i]);
    }
    pixels
}

/// `G W Gᵀ` of `R` kernels at once, in f64, of rows of W: its columns.
#[inline(always)]
pub(crate) fn kernel<const R: usize>(w: &[[[f64; R]; KERNEL]; KERNEL]) -> [[[f64; R]; INPUT]; INPUT] {
    let mut columns = [[[0.0; R]; KERNEL]; INPUT];
    for i in 0..KERNEL {
        let row = kernel_line(&w[i]);
        for j in 0..INPUT {
            columns[j][i] = row[j];
        }
    }
    let mut transformed = [[[0.0; R]; INPUT]; INPUT];
    for j in 0..INPUT {
        transformed[j] = kernel_line(&columns[j]);
    }
    transformed
}

/// `Ag`: the transpose of [`output_line`].
#[inline(always)]
fn gradient_line<S: Simd>(simd: S, g: &[S::f32s; OUTPUT]) -> [S::f32s; INPUT] {
    let (p, p2, p3) = (simd.splat_f32s(P), simd.splat_f32s(P2), simd.splat_f32s(P2 * P));
    let (q, q2, q3) = (simd.splat_f32s(Q), simd.splat_f32s(Q2), simd.splat_f32s(Q2 * Q));
    let (even, odd) = (
        mul_add(simd, p2, g[2], g[0]),
        mul_add(simd, p3, g[3], simd.mul_f32s(p, g[1])),
    );
    let (even_q, odd_q) = (
        mul_add(simd, q2, g[2], g[0]),
        mul_add(simd, q3, g[3], simd.mul_f32s(q, g[1])),
    );
    [
        g[0],
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(even_q, odd_q),
        simd.sub_f32s(even_q, odd_q),
        g[3],
    ]
}

/// `Gᵀu`: the transpose of [`kernel_line`].
#[inline(always)]
fn kernel_gradient_line<S: Simd>(simd: S, u: &[S::f32s; INPUT]) -> [S::f32s; KERNEL] {
    const AT_P: f32 = 1.0 / (2.0 * P2 * (P2 - Q2));
    const AT_Q: f32 = 1.0 / (2.0 * Q2 * (Q2 - P2));
    let zero = simd.splat_f32s(1.0 / (P2 * Q2));
    let (at_p, at_p1, at_p2) = (
        simd.splat_f32s(AT_P),
        simd.splat_f32s(AT_P * P),
        simd.splat_f32s(AT_P * P2),
    );
    let (at_q, at_q1, at_q2) = (
        simd.splat_f32s(AT_Q),
        simd.splat_f32s(AT_Q * Q),
        simd.splat_f32s(AT_Q * Q2),
    );
    let (even, odd) = (simd.add_f32s(u[1], u[2]), simd.sub_f32s(u[1], u[2]));
    let (even_q, odd_q) = (simd.add_f32s(u[3], u[4]), simd.sub_f32s(u[3], u[4]));
    [
        mul_add(simd, zero, u[0], mul_add(simd, at_p, even, simd.mul_f32s(at_q, even_q))),
        mul_add(simd, at_p1, odd, simd.mul_f32s(at_q1, odd_q)),
        mul_add(simd, at_p2, even, mul_add(simd, at_q2, even_q, u[5])),
    ]
}

/// `A Γ Aᵀ`, of columns of Γ: its columns.
#[inline(always)]
pub(crate) fn gradient<S: Simd>(simd: S, pixels: &[[S::f32s; OUTPUT]; OUTPUT]) -> [[S::f32s; INPUT]; INPUT] {
    let zero = simd.splat_f32s(0.0);
    let mut rows = [[zero; OUTPUT]; INPUT];
    for x in 0..OUTPUT {
        let column = gradient_line(simd, &pixels[x]);
        for i in 0..INPUT {
            rows[i][x] = column[i];
        }
    }
    let mut columns = [[zero; INPUT]; INPUT];
    for i in 0..INPUT {
        let row = gradient_line(simd, &rows[i]);
        for j in 0..INPUT {
            columns[j][i] = row[j];
        }
    }
    columns
}

/// `Gᵀ U G`, of columns of U: its rows.
#[inline(always)]
pub(crate) fn kernel_gradient<S: Simd>(simd: S, u: &[[S::f32s; INPUT]; INPUT]) -> [[S::f32s; KERNEL]; KERNEL] {
    let zero = simd.splat_f32s(0.0);
    let mut rows = [[zero; INPUT]; KERNEL];
    for j in 0..INPUT {
        let column = kernel_gradient_line(simd, &u[j]);
        for i in 0..KERNEL {
            rows[i][j] = column[i];
        }
    }
    let mut kernel = [[zero; KERNEL]; KERNEL];
    for i in 0..KERNEL {
        kernel[i] = kernel_gradient_line(simd, &rows[i]);
    }
    kernel
}
