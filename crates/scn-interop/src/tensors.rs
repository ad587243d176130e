//! A module's tensors as named arrays on the host, and as safetensors.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::ModuleSnapshot;
use burn::store::bridge;
use burn::tensor::{Shape, Tensor, TensorData};
use safetensors::tensor::TensorView;

use crate::archive::{Archive, ArchiveError, Dtype, decode};

/// Why a file's tensors are not those of the model.
#[derive(Debug, thiserror::Error)]
pub enum TensorsError {
    /// Not a safetensors file, or one that claims what it does not hold.
    #[error("not a safetensors file ({0})")]
    Format(#[from] ArchiveError),
    /// A type other than f32.
    #[error("tensor `{name}` is {found}, expected F32")]
    Type {
        /// Name of the tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
    /// Names or shapes that differ.
    #[error("its tensors are not those of the model: {}", .0.join("; "))]
    Mismatch(Vec<String>),
}

/// Values in row-major order, with their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
}

/// Arrays by name, in the order of their names.
pub type Arrays = BTreeMap<String, Array>;

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The shapes of arrays.
pub fn shapes(arrays: &Arrays) -> Shapes {
    arrays
        .iter()
        .map(|(name, array)| (name.clone(), array.shape.clone()))
        .collect()
}

/// All tensors of a module, running statistics included, by their path: `layers.0.coding.weight`.
pub fn from_module(module: &impl Module) -> Arrays {
    module
        .collect(None, None, true)
        .into_iter()
        .map(|tensor| {
            let name = tensor.name.clone();
            let data = match bridge::into_data(tensor) {
                Ok(data) => data,
                Err(error) => panic!("a tensor in memory cannot be read: {error}"),
            };
            (
                name,
                Array {
                    shape: data.shape().to_vec(),
                    values: floats(data),
                },
            )
        })
        .collect()
}

/// The values of a tensor of any float type.
pub fn floats(data: TensorData) -> Vec<f32> {
    data.convert::<f32>()
        .try_into_vec()
        .unwrap_or_else(|error| panic!("data converted to f32 is f32: {error:?}"))
}

/// The module with the values of `arrays`.
///
/// # Errors
/// [`TensorsError::Mismatch`] with every missing, unknown or ill-shaped tensor.
pub fn into_module<M: Module>(mut module: M, arrays: &Arrays) -> Result<M, TensorsError> {
    check(&shapes_of(&module), arrays)?;
    let tensors = arrays.iter().map(|(name, array)| {
        let data = TensorData::new::<f32, Shape>(array.values.clone(), array.shape.clone().into());
        bridge::from_data(data, name.clone(), None)
    });
    let result = module.apply(tensors.collect(), None, None, true);
    if result.errors.is_empty() {
        Ok(module)
    } else {
        Err(TensorsError::Mismatch(
            result.errors.iter().map(ToString::to_string).collect(),
        ))
    }
}

/// The shapes of all tensors of a module, by their path as in [`from_module`]. Nothing is allocated: a description may
/// claim more than there is memory for.
fn shapes_of(module: &impl Module) -> Shapes {
    #[derive(Default)]
    struct Collector {
        path: Vec<String>,
        shapes: Shapes,
    }

    /// Which of two variants a module is stands in no name.
    fn is_named(container: &str) -> bool {
        !container.starts_with("Enum:")
    }

    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, container: &str) {
            if is_named(container) {
                self.path.push(name.to_owned());
            }
        }

        fn exit_module(&mut self, _: &str, container: &str) {
            if is_named(container) {
                self.path.pop();
            }
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.shapes.insert(self.path.join("."), param.lazy_shape().to_vec());
        }
    }

    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.shapes
}

/// Checks that arrays have the expected names and shapes.
///
/// # Errors
/// [`TensorsError::Mismatch`] with all of [`differences`].
pub fn check(expected: &Shapes, found: &Arrays) -> Result<(), TensorsError> {
    let problems = differences(expected, &shapes(found));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(TensorsError::Mismatch(problems))
    }
}

/// Every missing, ill-shaped or unknown tensor, in words.
pub fn differences(expected: &Shapes, found: &Shapes) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, shape) in expected {
        match found.get(name) {
            None => problems.push(format!("`{name}` is missing")),
            Some(found) if found != shape => {
                problems.push(format!("`{name}` has shape {found:?}, expected {shape:?}"));
            }
            Some(_) => {}
        }
    }
    problems.extend(
        found
            .keys()
            .filter(|name| !expected.contains_key(*name))
            .map(|name| format!("`{name}` is unknown")),
    );
    problems
}

/// The bytes of a safetensors file.
pub fn to_safetensors(arrays: &Arrays) -> Vec<u8> {
    let bytes: BTreeMap<_, Vec<u8>> = arrays
        .iter()
        .map(|(name, array)| (name, array.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = arrays.iter().map(|(name, array)| {
        let view = TensorView::new(Dtype::F32, array.shape.clone(), &bytes[name]);
        (
            name,
            view.unwrap_or_else(|error| panic!("an array fits its shape: {error}")),
        )
    });
    safetensors::serialize(views, None).unwrap_or_else(|error| panic!("f32 arrays serialize: {error}"))
}

/// Reads the bytes of a safetensors file of f32 tensors.
///
/// # Errors
/// [`TensorsError::Format`] and [`TensorsError::Type`].
pub fn from_safetensors(bytes: &[u8]) -> Result<Arrays, TensorsError> {
    Archive::parse(bytes)?
        .into_iter()
        .map(|(name, view)| {
            if view.dtype != Dtype::F32 {
                let found = view.dtype;
                return Err(TensorsError::Type { name, found });
            }
            let (shape, values) = (view.shape, decode(view.bytes, f32::from_le_bytes));
            Ok((name, Array { shape, values }))
        })
        .collect()
}
