//! The keys that mixed-scale networks share.

/// Declares the table of a mixed-scale family: the keys of the plan and those of its own.
macro_rules! mixed_scale_keys {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        scn_keys::table! {
            $(#[$meta])*
            pub struct $name {
                /// MSD-CSC and MSDNet: channels of the 3x3 convolution in front.
                pub channels: usize = default(16).within(whole(1, 4096)),
                /// MSD-CSC and MSDNet: blocks, with a 1x1 convolution and 2x2 max pooling from each to the next.
                pub blocks: usize = default(2).within(whole(1, 16)),
                /// MSD-CSC and MSDNet: layers of a block.
                pub depth: usize = default(4).within(whole(1, 1000)),
                /// MSD-CSC and MSDNet: channels that a layer adds to all before it.
                pub growth: usize = default(12).within(whole(1, 1024)),
                /// MSD-CSC and MSDNet: dilations of a block's layers, one after the other and again from the first.
                pub dilations: Vec<usize> = default(vec![1, 2, 3]).within(range(
                    "a list of whole numbers from 1 to 1024",
                    |list: &Vec<usize>| !list.is_empty() && list.iter().all(|dilation| (1..=1024).contains(dilation)),
                )),
                #[doc = crate::layers::batch_norm_doc!()]
                pub batch_norm: bool = default(true),
                $($own)*
            }
        }

        impl $name {
            /// The plan that its keys make.
            pub fn plan(&self) -> $crate::layers::mixed_scale::Plan {
                $crate::layers::mixed_scale::Plan {
                    channels: self.channels,
                    blocks: self.blocks,
                    depth: self.depth,
                    growth: self.growth,
                    dilations: self.dilations.clone(),
                    batch_norm: self.batch_norm,
                }
            }
        }
    };
}
pub(crate) use mixed_scale_keys;
