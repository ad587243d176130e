//! What the tests share.

use burn::tensor::Device;
use scn_data::{DatasetKind, Normalization};
use scn_interop::tensors::{Arrays, from_module};
use scn_models::{Model, ModelConfig};
use scn_train::checkpoint::{Checkpoint, Description, State};
use scn_train::{DataConfig, TestTime};

/// A checkpoint of an untrained network for the digits.
pub fn checkpoint(kind: &str, seed: u64) -> Checkpoint {
    let config = ModelConfig::new(kind.parse().unwrap()).with_defaults(10);
    let model = Model::new(&config, [1, 8, 8], 10, seed, &Device::flex()).unwrap();
    Checkpoint {
        model: from_module(&model),
        unaveraged: None,
        optimizer: Arrays::new(),
        state: State::start(),
        description: Description {
            model: config,
            data: DataConfig {
                test_images: Some(8),
                ..DataConfig::new(DatasetKind::Digits)
            },
            seed,
            normalization: Normalization::given([1, 8, 8], 16, vec![0.5], vec![0.25]).unwrap(),
            test_time: TestTime::None,
        },
        origin: None,
    }
}
