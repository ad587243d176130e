//! The whitening of Olshausen & Field (Vision Research 37, 1997): images are filtered by `R(f) = f·exp(−(f/f₀)⁴)`, which
//! makes the spectrum of natural scenes, about 1/f, flat, and cuts off the highest frequencies, which pixels sample badly.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::Image;

/// f₀ in cycles a pixel: 200 cycles over the 512 pixels of their images.
const CUT_OFF: f32 = 200.0 / 512.0;

/// The filtered image; one without pixels stays as it is.
pub(super) fn filter(image: &Image) -> Image {
    let (height, width) = (image.height, image.width);
    let mut planner = FftPlanner::new();
    let [forward, inverse] = [
        [width, height].map(|n| planner.plan_fft_forward(n)),
        [width, height].map(|n| planner.plan_fft_inverse(n)),
    ];
    let mut values = Vec::with_capacity(image.values.len());
    for plane in image.values.chunks_exact((height * width).max(1)) {
        let mut rows: Vec<Complex<f32>> = plane.iter().map(|&value| value.into()).collect();
        forward[0].process(&mut rows);
        let mut columns = transposed(&rows, height, width);
        forward[1].process(&mut columns);
        for (x, column) in columns.chunks_exact_mut(height).enumerate() {
            for (y, value) in column.iter_mut().enumerate() {
                *value *= response(frequency(y, height).hypot(frequency(x, width)));
            }
        }
        inverse[1].process(&mut columns);
        let mut rows = transposed(&columns, width, height);
        inverse[0].process(&mut rows);
        let scale = 1.0 / (height * width) as f32;
        values.extend(rows.iter().map(|value| scale * value.re));
    }
    Image { height, width, values }
}

/// R at a frequency in cycles a pixel.
fn response(frequency: f32) -> f32 {
    frequency * (-(frequency / CUT_OFF).powi(4)).exp()
}

/// The frequency of coefficient `index` out of `count`, in cycles a pixel, without its sign.
fn frequency(index: usize, count: usize) -> f32 {
    index.min(count - index) as f32 / count as f32
}

/// `[rows, columns]` to `[columns, rows]`.
fn transposed(values: &[Complex<f32>], rows: usize, columns: usize) -> Vec<Complex<f32>> {
    let column = |x: usize| (0..rows).map(move |y| values[y * columns + x]);
    (0..columns).flat_map(column).collect()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    /// A wave keeps its form and is multiplied by the response at its frequency; a constant vanishes.
    #[test]
    fn waves_are_multiplied_by_the_response_at_their_frequency() {
        let (height, width) = (12, 15);
        for (v, u) in [(0, 0), (1, 0), (0, 2), (3, 5), (6, 7), (5, 1)] {
            let phase = |y: usize, x: usize| TAU * ((v * y) as f32 / height as f32 + (u * x) as f32 / width as f32);
            let values: Vec<f32> = (0..height * width).map(|i| phase(i / width, i % width).cos()).collect();
            let wave = Image { height, width, values };
            let radius = (v as f32 / height as f32).hypot(u as f32 / width as f32);
            let expected = radius * (-(radius / 0.390_625).powi(4)).exp();
            for (found, value) in filter(&wave).values.iter().zip(&wave.values) {
                assert!((found - expected * value).abs() < 1e-5, "{v}, {u}: {found}");
            }
        }
    }
}
