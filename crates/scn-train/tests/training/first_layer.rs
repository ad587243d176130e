//! Which weight is that of the first layer, and that it can be left as it is.

use burn::tensor::Device;
use scn_models::{Model, ModelConfig, ModelKind};
use scn_train::first_weight;
use scn_train::tensors::from_module;

#[test]
fn the_first_weight_of_every_kind_sees_the_channels_of_images() {
    for kind in ModelKind::all() {
        let image = [3, 32, 32];
        let model = Model::empty(&ModelConfig::new(kind), image, 10, &Device::flex()).unwrap();
        let name = first_weight(&model, image).unwrap_or_else(|| panic!("{}: none", kind.name()));
        let shape = &from_module(&model)[&name].shape;
        assert!(shape.len() == 4 && shape[1] == 3, "{}: {name} {shape:?}", kind.name());
        assert_eq!(shape[2], shape[3], "{}: {name}", kind.name());
    }
}
