//! What a checkpoint claims of its network is held against its weights before anything is made of it.

use burn::tensor::Device;
use scn_study::{StudyError, Trained};
use scn_train::checkpoint::Checkpoint;

use crate::common::checkpoint;

fn network(change: impl FnOnce(&mut Checkpoint)) -> Result<(), StudyError> {
    let mut checkpoint = checkpoint("scn", 1);
    change(&mut checkpoint);
    let trained = Trained {
        path: "run/checkpoints/last".into(),
        checkpoint,
    };
    let description = &trained.checkpoint.description;
    let image = description.data.image_shape();
    trained.network(&description.model, image, &Device::flex()).map(|_| ())
}

#[test]
fn a_description_of_more_than_the_weights_is_refused() {
    network(|_| {}).unwrap();
    let message = |change: fn(&mut Checkpoint)| network(change).unwrap_err().to_string();
    assert_eq!(
        message(|checkpoint| checkpoint.description.model.classes = Some(1 << 40)),
        "run/checkpoints/last/model.json: claims 1099511627776 classes, its weights are of 10"
    );
    assert_eq!(
        message(|checkpoint| {
            checkpoint.model.remove("classifier.weight");
        }),
        "run/checkpoints/last: its tensors are not those of the model: `classifier.weight` is missing"
    );
}
