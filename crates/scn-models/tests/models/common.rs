//! What the tests share.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use scn_models::sc_cnn::ScCnn;
use scn_models::scn::Scn;
use scn_models::sdnet::Sdnet;
use scn_models::{Model, ModelConfig, ModelKind};
use scn_ops::{DeviceRequest, adapter_available, open};

/// The devices that train here, by name. Without an adapter wgpu is left out, and said so; where the environment variable
/// `SCN_REQUIRE_WGPU` is set that is a failure.
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut requests = vec![DeviceRequest::Cpu];
    if adapter_available() {
        requests.push(DeviceRequest::Wgpu);
    } else {
        assert!(
            std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
            "SCN_REQUIRE_WGPU is set, but there is no adapter"
        );
        println!("skipped on wgpu: there is no adapter");
    }
    let opened = |request: DeviceRequest| (request.name(), open(request).unwrap());
    requests.into_iter().map(opened).collect()
}

/// The shortest `model` table.
pub fn config(kind: &str) -> ModelConfig {
    ModelConfig::new(kind.parse::<ModelKind>().unwrap())
}

/// A `model` table as files write it.
pub fn table(text: &str) -> ModelConfig {
    scn_keys::toml::from_str(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

pub fn scn_config(width: usize, first_width: usize) -> ModelConfig {
    table(&format!("kind = \"scn\"\nwidth = {width}\nfirst_width = {first_width}"))
}

/// A model with 10 classes on the CPU, without autodiff.
pub fn model(config: &ModelConfig, channels: usize) -> Model {
    Model::new(config, [channels, 32, 32], 10, 0, &Device::flex()).unwrap()
}

pub fn scn(model: &mut Model) -> &mut Scn {
    match model {
        Model::Scn(scn) => scn,
        _ => panic!("no SCN"),
    }
}

pub fn sc_cnn(model: &mut Model) -> &mut ScCnn {
    match model {
        Model::ScCnn(network) => network,
        _ => panic!("no sc-cnn"),
    }
}

pub fn sdnet(model: Model) -> Sdnet {
    match model {
        Model::Sdnet(sdnet) => sdnet,
        _ => panic!("no SDNet"),
    }
}

/// Independent normal values.
pub fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| StandardNormal.sample(&mut random)).collect()
}

pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn images(shape: [usize; 4], seed: u64, device: &Device) -> Tensor<4> {
    tensor(normal(shape.iter().product(), seed), shape, device)
}

pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// Values of the tensors that training changes.
pub fn trainable(module: &impl Module) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.val().dims().iter().product::<usize>();
            }
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

/// Moves every parameter of a module by normal values of this deviation.
pub fn shaken<M: Module>(module: M, deviation: f64, seed: u64) -> M {
    struct Shake(f64, u64);
    impl ModuleMapper for Shake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.1 += 1;
            let moved = normal(param.dims().iter().product(), self.1);
            let (deviation, tracked) = (self.0, param.is_require_grad());
            param.map(|value| {
                let moved = tensor(moved, value.dims(), &value.device());
                (value + moved * deviation).detach().set_require_grad(tracked)
            })
        }
    }
    module.map(&mut Shake(deviation, seed))
}
