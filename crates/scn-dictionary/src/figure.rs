//! A picture of dictionaries: their atoms as squares, sorted by spatial frequency, the lowest first.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use crate::error::DictionaryError;
use crate::frequency::Spectrum;

/// Pixels of the picture for a pixel of an atom.
const SCALE: usize = 4;
/// Pixels between atoms, and between dictionaries.
const GAP: usize = 2;
const MARGIN: usize = 24;
/// Dictionaries beside each other at most.
const ACROSS: usize = 5;
const BACKGROUND: u8 = 255;
/// What a value of 0 is drawn as.
const MIDDLE: f32 = 128.0;

/// A picture of dictionaries `[n, c, k, k]`, each with its values and `[n, c, k]`, from left to right and then downwards.
/// Every atom is scaled by its largest magnitude, with 0 in the middle of black and white. Returns a PNG file.
///
/// # Errors
/// [`DictionaryError::Picture`].
///
/// # Panics
/// For channels other than 1 and 3.
pub fn draw(dictionaries: &[(&[f32], [usize; 3])]) -> Result<Vec<u8>, DictionaryError> {
    let panels: Vec<Panel> = dictionaries
        .iter()
        .map(|&(weight, shape)| Panel::new(weight, shape))
        .collect();
    let [width, height] = [0, 1].map(|axis| panels.iter().map(|panel| panel.size()[axis]).max().unwrap_or(0));
    let (across, down) = (panels.len().min(ACROSS), panels.len().div_ceil(ACROSS));
    let columns = (width + MARGIN) * across - MARGIN.min(width) + 2 * GAP;
    let rows = (height + MARGIN) * down - MARGIN.min(height) + 2 * GAP;
    let mut picture = RgbImage::from_pixel(columns as u32, rows as u32, image::Rgb([BACKGROUND; 3]));
    for (index, panel) in panels.iter().enumerate() {
        let left = GAP + index % ACROSS * (width + MARGIN);
        let top = GAP + index / ACROSS * (height + MARGIN);
        panel.draw(&mut picture, left, top);
    }
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|source| DictionaryError::Picture { columns, rows, source })?;
    Ok(bytes.into_inner())
}

/// The atoms of one dictionary in a square.
struct Panel<'a> {
    atoms: Vec<&'a [f32]>,
    channels: usize,
    side: usize,
    /// Atoms in a row.
    across: usize,
}

impl<'a> Panel<'a> {
    fn new(weight: &'a [f32], shape: [usize; 3]) -> Self {
        let [count, channels, side] = shape;
        assert!([1, 3].contains(&channels), "{channels} channels");
        let spectra = Spectrum::of_all(weight, channels, side);
        let mut atoms: Vec<_> = weight.chunks_exact(channels * side * side).zip(spectra).collect();
        atoms.sort_by(|(_, a), (_, b)| a.frequency.total_cmp(&b.frequency));
        Self {
            atoms: atoms.into_iter().map(|(atom, _)| atom).collect(),
            channels,
            side,
            across: (1..=count).find(|across| across * across >= count).unwrap_or(1),
        }
    }

    /// Columns and rows.
    fn size(&self) -> [usize; 2] {
        let cells = [self.across, self.atoms.len().div_ceil(self.across)];
        cells.map(|count| count * (self.side * SCALE + GAP) - GAP)
    }

    fn draw(&self, picture: &mut RgbImage, left: usize, top: usize) {
        let (side, cell) = (self.side, self.side * SCALE + GAP);
        for (index, atom) in self.atoms.iter().enumerate() {
            let (left, top) = (left + index % self.across * cell, top + index / self.across * cell);
            let largest = atom
                .iter()
                .fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
            for (y, x) in (0..side * SCALE).flat_map(|y| (0..side * SCALE).map(move |x| (y, x))) {
                let place = y / SCALE * side + x / SCALE;
                let color = [0, 1, 2].map(|channel| {
                    let value = atom[channel.min(self.channels - 1) * side * side + place];
                    // Casts saturate.
                    (MIDDLE + (MIDDLE - 1.0) * value / largest) as u8
                });
                picture.put_pixel((left + x) as u32, (top + y) as u32, image::Rgb(color));
            }
        }
    }
}
