//! Names and descriptions of devices.

mod common;

use scn_ops::{DeviceError, DeviceRequest, adapter_available, describe, open};

#[test]
fn names_are_parsed_back() {
    for request in DeviceRequest::ALL {
        assert_eq!(DeviceRequest::parse(request.name()), Ok(request));
    }
    let error = DeviceRequest::parse("cuda").expect_err("no such device");
    assert!(
        error.to_string().contains("cuda") && error.to_string().contains("auto, cpu, wgpu or ndarray"),
        "{error}"
    );
}

#[test]
fn devices_are_opened_without_autodiff_and_described() {
    for (name, device) in common::devices() {
        assert!(!device.is_autodiff());
        let description = describe(&device);
        println!("{name}: {description}");
        let backend = if name == "wgpu" { "wgpu: " } else { "cpu: " };
        assert!(description.starts_with(backend), "{name} is described as {description}");
        assert_eq!(describe(&device.autodiff()), description);
    }
    assert!(open(DeviceRequest::Auto).is_ok());
}

#[test]
fn a_missing_adapter_is_an_error_that_says_what_to_install() {
    if !adapter_available() && cfg!(feature = "wgpu") {
        let error = open(DeviceRequest::Wgpu).expect_err("no adapter");
        assert_eq!(error, DeviceError::NoAdapter);
    }
    assert!(DeviceError::NoAdapter.to_string().contains("mesa-vulkan-drivers"));
    assert!(
        DeviceError::NotBuilt { name: "wgpu" }
            .to_string()
            .contains("--features wgpu")
    );
}
