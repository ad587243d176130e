//! How many layers a mixed-scale network has, and what each sees.

use scn_keys::Value;

use crate::Misfit;

/// More channels than this are a mistake: a 1×1 convolution of them has 16 million weights.
const MOST_CHANNELS: usize = 4096;

/// The plan of a mixed-scale network.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Channels of the convolution in front.
    pub channels: usize,
    /// Blocks; every block but the first has images of half the side, rounded down.
    pub blocks: usize,
    /// Layers of a block.
    pub depth: usize,
    /// Channels that a layer adds.
    pub growth: usize,
    /// The dilations of a block's layers, repeated.
    pub dilations: Vec<usize>,
    /// Whether batch norm follows convolutions.
    pub batch_norm: bool,
}

impl Plan {
    /// Channels in front of a block, or behind the last.
    pub(crate) fn block_channels(&self, block: usize) -> usize {
        self.channels + block * self.depth * self.growth
    }

    /// Input channels and dilation of each layer of a block in front of which there are so many channels.
    pub(crate) fn layers(&self, channels: usize) -> impl Iterator<Item = (usize, usize)> {
        let dilations = self.dilations.iter().copied().cycle();
        (0..self.depth)
            .zip(dilations)
            .map(move |(layer, dilation)| (channels + layer * self.growth, dilation))
    }

    /// What images `[channels, height, width]` do not allow: blocks without pixels, and dilations that leave of a window only
    /// its middle.
    pub(crate) fn misfit(&self, [_, height, width]: [usize; 3]) -> Option<Misfit> {
        let channels = self.block_channels(self.blocks);
        if channels > MOST_CHANNELS {
            let (blocks, depth) = (self.blocks, self.depth);
            return Some(Misfit {
                key: "growth".into(),
                found: self.growth.to_string(),
                with: format!("{blocks} blocks of {depth} layers then end with {channels} channels"),
                expected: format!("a plan of at most {MOST_CHANNELS}"),
            });
        }
        let halvings = self.blocks - 1;
        let [rows, columns] = [height, width].map(|side| side >> halvings);
        let smallest = rows.min(columns);
        let pixels = format!("images of {height}×{width} pixels");
        if smallest == 0 {
            return Some(Misfit {
                key: "blocks".into(),
                found: self.blocks.to_string(),
                with: format!("{halvings} halvings leave nothing of {pixels}"),
                expected: format!("at most {}", height.min(width).max(1).ilog2() + 1),
            });
        }
        let used = &self.dilations[..self.depth.min(self.dilations.len())];
        if used.iter().any(|&dilation| dilation > 1 && dilation >= smallest) {
            return Some(Misfit {
                key: "dilations".into(),
                found: self.dilations.shown(),
                with: format!(
                    "the last of {} blocks has {rows}×{columns} pixels of {pixels}, where windows so wide see their middle alone",
                    self.blocks
                ),
                expected: format!("dilations of at most {}", (smallest - 1).max(1)),
            });
        }
        None
    }
}
