//! Which device a run computes on: the CPU (flex with the tile kernels), a GPU through wgpu, or NdArray.

use burn::tensor::Device;

use crate::workgroup::DeviceLimits;

/// A device as experiment files and the command line name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceRequest {
    /// A real GPU where there is one, else the CPU. A software adapter is no real GPU.
    #[default]
    Auto,
    /// burn's flex backend with the SIMD kernels of the solver crate.
    Cpu,
    /// The best adapter that wgpu finds, a software adapter included.
    Wgpu,
    /// burn's NdArray backend; slow, and deprecated upstream.
    NdArray,
}

impl DeviceRequest {
    /// Every request, in the order of their documentation.
    pub const ALL: [DeviceRequest; 4] = [
        DeviceRequest::Auto,
        DeviceRequest::Cpu,
        DeviceRequest::Wgpu,
        DeviceRequest::NdArray,
    ];

    /// The name in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            DeviceRequest::Auto => "auto",
            DeviceRequest::Cpu => "cpu",
            DeviceRequest::Wgpu => "wgpu",
            DeviceRequest::NdArray => "ndarray",
        }
    }

    /// The request of that [`name`](Self::name).
    ///
    /// # Errors
    /// [`DeviceError::Unknown`] for any other word.
    pub fn parse(name: &str) -> Result<Self, DeviceError> {
        let found = Self::ALL.into_iter().find(|request| request.name() == name);
        found.ok_or_else(|| DeviceError::Unknown { name: name.to_owned() })
    }
}

/// Why a device could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has that name.
    #[error("there is no device `{name}`: choose auto, cpu, wgpu or ndarray")]
    Unknown {
        /// The word given.
        name: String,
    },
    /// The program was built without the backend.
    #[error("this program was built without the device `{name}`: build it with `--features {name}`")]
    NotBuilt {
        /// The device asked for, which is also the feature's name.
        name: &'static str,
    },
    /// wgpu finds no adapter at all.
    #[error(
        "wgpu finds no adapter, neither a GPU nor a software one: install the driver of the GPU, or a software \
         adapter (on Debian and Ubuntu the package mesa-vulkan-drivers), or compute on the device `cpu`"
    )]
    NoAdapter,
    /// The environment variable that picks the adapter names none of this machine's.
    #[error("{} is `{wanted}`, but wgpu finds only {}", ADAPTER_VARIABLE, found.join(", "))]
    NoSuchAdapter {
        /// The variable's value.
        wanted: String,
        /// What it could have been.
        found: Vec<String>,
    },
}

/// CubeCL's variable that picks an adapter, as in `DiscreteGpu(1)` or `Cpu`.
const ADAPTER_VARIABLE: &str = "CUBECL_WGPU_DEFAULT_DEVICE";

/// Opens a device, without autodiff.
///
/// # Errors
/// [`DeviceError::NotBuilt`], [`DeviceError::NoAdapter`] or [`DeviceError::NoSuchAdapter`].
pub fn open(request: DeviceRequest) -> Result<Device, DeviceError> {
    match request {
        DeviceRequest::Auto => Ok(wgpu::real_gpu().unwrap_or_else(Device::flex)),
        DeviceRequest::Cpu => Ok(Device::flex()),
        DeviceRequest::Wgpu => wgpu::best_adapter(),
        DeviceRequest::NdArray => ndarray(),
    }
}

/// Whether wgpu finds an adapter, a software one included; it never opens it.
pub fn adapter_available() -> bool {
    wgpu::best_adapter().is_ok()
}

/// Whether the device computes the layers with the tile kernels of the solver crate, of which
/// [`scn_solver::profile`] tells.
pub fn has_tile_kernels(device: &Device) -> bool {
    *device == Device::flex()
}

/// The device in words, as in `cpu: flex, avx512` or `wgpu: NVIDIA L4 (discrete GPU)`. Opens a wgpu device.
pub fn describe(device: &Device) -> String {
    match wgpu::describe(device) {
        Some(adapter) => adapter,
        None if has_tile_kernels(device) => format!("cpu: flex, {}", scn_solver::SimdLevel::detect().name()),
        None => "cpu: NdArray".to_owned(),
    }
}

/// What the device lends to one workgroup of the wgpu kernels, or `None` where it is no wgpu device. Opens it.
pub fn workgroup_limits(device: &Device) -> Option<DeviceLimits> {
    wgpu::workgroup_limits(device)
}

#[cfg(feature = "ndarray")]
#[allow(deprecated)] // The backend is upstream's to deprecate and the caller's to choose.
fn ndarray() -> Result<Device, DeviceError> {
    Ok(Device::ndarray())
}

#[cfg(not(feature = "ndarray"))]
fn ndarray() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt {
        name: DeviceRequest::NdArray.name(),
    })
}

#[cfg(feature = "wgpu")]
mod wgpu {
    //! CubeCL panics where it is asked for an adapter that does not exist, so adapters are listed first.

    use burn::backend::DispatchDevice;
    use burn::tensor::Device;
    use cubecl::device::{WgpuDevice, WgpuDeviceKind};

    use super::{ADAPTER_VARIABLE, DeviceError, DeviceLimits};

    pub(super) fn real_gpu() -> Option<Device> {
        let adapter = choose().ok()?;
        (adapter.kind != WgpuDeviceKind::Cpu).then(|| Device::new(adapter))
    }

    pub(super) fn best_adapter() -> Result<Device, DeviceError> {
        choose().map(Device::new)
    }

    /// The adapter that the environment names, else the best.
    fn choose() -> Result<WgpuDevice, DeviceError> {
        let mut adapters: Vec<WgpuDevice> = cubecl::Device::enumerate_all()
            .into_iter()
            .filter_map(|device| match device {
                cubecl::Device::Wgpu(adapter) => Some(adapter),
                _ => None,
            })
            .collect();
        adapters.sort_by_key(|adapter| rank(&adapter.kind));
        let spelled = |adapter: &WgpuDevice| format!("{:?}", adapter.kind);
        match std::env::var(ADAPTER_VARIABLE) {
            Ok(wanted) if !adapters.is_empty() => {
                let found = adapters.iter().map(spelled).collect();
                let named = adapters.into_iter().find(|adapter| spelled(adapter) == wanted);
                named.ok_or(DeviceError::NoSuchAdapter { wanted, found })
            }
            _ => adapters.into_iter().next().ok_or(DeviceError::NoAdapter),
        }
    }

    /// The best first; adapters of one kind stay in wgpu's order.
    fn rank(kind: &WgpuDeviceKind) -> usize {
        match kind {
            WgpuDeviceKind::DiscreteGpu(_) => 0,
            WgpuDeviceKind::IntegratedGpu(_) => 1,
            WgpuDeviceKind::VirtualGpu(_) => 2,
            WgpuDeviceKind::Cpu => 4,
            _ => 3,
        }
    }

    fn adapter(device: &Device) -> Option<WgpuDevice> {
        match device.as_dispatch().clone().inner() {
            DispatchDevice::Cube(cubecl::Device::Wgpu(adapter)) => Some(adapter),
            _ => None,
        }
    }

    pub(super) fn workgroup_limits(device: &Device) -> Option<DeviceLimits> {
        let client = cubecl::Device::Wgpu(adapter(device)?).client();
        Some(crate::backends::limits_of(&client))
    }

    pub(super) fn describe(device: &Device) -> Option<String> {
        let adapter = adapter(device)?;
        let kind = match adapter.kind {
            WgpuDeviceKind::DiscreteGpu(_) => "discrete GPU",
            WgpuDeviceKind::IntegratedGpu(_) => "integrated GPU",
            WgpuDeviceKind::VirtualGpu(_) => "virtual GPU",
            WgpuDeviceKind::Cpu => "software adapter",
            _ => "adapter of unknown kind",
        };
        let client = cubecl::Device::Wgpu(adapter).client();
        Some(format!(
            "wgpu: {} ({kind}, {})",
            client.properties().identity.name,
            client.name()
        ))
    }
}

#[cfg(not(feature = "wgpu"))]
mod wgpu {
    use burn::tensor::Device;

    use super::{DeviceError, DeviceLimits, DeviceRequest};

    pub(super) fn real_gpu() -> Option<Device> {
        None
    }

    pub(super) fn best_adapter() -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt {
            name: DeviceRequest::Wgpu.name(),
        })
    }

    pub(super) fn describe(_: &Device) -> Option<String> {
        None
    }

    pub(super) fn workgroup_limits(_: &Device) -> Option<DeviceLimits> {
        None
    }
}
