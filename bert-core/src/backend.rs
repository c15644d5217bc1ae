//! From a configuration to a concrete backend: with `ops/`, the only place that names one. Everything else is
//! generic; another backend is an arm here, its `BertBackend` implementation and a Cargo feature.

use crate::config::{BackendConfig, Compute, WgpuDevice};
#[cfg(feature = "wgpu")]
use crate::error::panic_message;
use crate::error::{Error, Result};
use crate::ops::BertAutodiffBackend;

/// Work that is generic over the backend.
pub trait Job: Send {
    /// What it comes to.
    type Output: Send;

    /// Does it on a device.
    ///
    /// # Errors
    /// The job's own.
    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output>;
}

/// Does a job on the configured backend.
///
/// On the CPU it runs as a task of rayon's global pool, whose threads its operations share: it should not block waiting for
/// another job, nor for anything else that needs the pool. Precision (`compute`) is one setting for the process, that of
/// the job begun last: jobs that run at the same time should have the same.
///
/// # Errors
/// [`Error::Backend`] where this program or this machine lacks the backend; the job's own otherwise.
pub fn run_on<J: Job>(config: &BackendConfig, job: J) -> Result<J::Output> {
    match config {
        BackendConfig::Ndarray { compute } => run_on_cpu(*compute, job),
        BackendConfig::Wgpu { device } => run_wgpu(*device, job),
    }
}

/// Does a job on the CPU, as [`run_on`] does. A program that calls this and not [`run_on`] compiles minutes faster: the GPU
/// backend's kernels are generic, and compiled anew in every crate that can reach them.
///
/// # Errors
/// [`Error::Backend`] where this program lacks the backend, or the processor the precision; the job's own otherwise.
pub fn run_on_cpu<J: Job>(compute: Compute, job: J) -> Result<J::Output> {
    run_ndarray(compute, job)
}

/// Calls a function as [`run_on`] does a job: for using again what a job has made on this backend, such as a loaded model.
///
/// # Errors
/// [`Error::Backend`] as [`run_on`]; the function's own otherwise.
pub fn within<R: Send>(config: &BackendConfig, f: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    match config {
        BackendConfig::Ndarray { compute } => within_ndarray(*compute, f),
        BackendConfig::Wgpu { .. } => within_wgpu(f),
    }
}

/// Whether jobs can be done on the configured backend: for refusing it before work that comes first. A job that runs
/// meanwhile is left as it is.
///
/// # Errors
/// [`Error::Backend`] as [`run_on`].
#[inline] // compiled where it is called: this crate need not compile the GPU backend's kernels
pub fn check(config: &BackendConfig) -> Result<()> {
    match config {
        BackendConfig::Ndarray { compute } => check_ndarray(*compute),
        BackendConfig::Wgpu { device } => check_wgpu(*device),
    }
}

#[cfg(feature = "ndarray")]
fn check_ndarray(compute: Compute) -> Result<()> {
    crate::ops::ndarray::check_compute(compute)
}

#[cfg(not(feature = "ndarray"))]
fn check_ndarray(_compute: Compute) -> Result<()> {
    Err(not_built("ndarray"))
}

#[cfg(feature = "wgpu")]
#[inline]
fn check_wgpu(configured: WgpuDevice) -> Result<()> {
    probe::<burn_wgpu::Wgpu>(configured, &wgpu_device(configured))
}

#[cfg(not(feature = "wgpu"))]
fn check_wgpu(_device: WgpuDevice) -> Result<()> {
    Err(not_built("wgpu"))
}

#[cfg(feature = "ndarray")]
fn run_ndarray<J: Job>(compute: Compute, job: J) -> Result<J::Output> {
    use burn_autodiff::Autodiff;
    use burn_ndarray::{NdArray, NdArrayDevice};
    within_ndarray(compute, || {
        job.run::<Autodiff<NdArray<f32>>>(NdArrayDevice::Cpu)
    })
}

#[cfg(feature = "ndarray")]
fn within_ndarray<R: Send>(compute: Compute, f: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    crate::ops::ndarray::set_compute(compute)?;
    if rayon::current_num_threads() > 1 {
        // As one of the threads that share the work: from outside, every operation would wait for two of them to wake.
        rayon::scope(|_| f())
    } else {
        // The only one, which others may be waiting for too.
        f()
    }
}

#[cfg(not(feature = "ndarray"))]
fn run_ndarray<J: Job>(_compute: Compute, _job: J) -> Result<J::Output> {
    Err(not_built("ndarray"))
}

#[cfg(not(feature = "ndarray"))]
fn within_ndarray<R>(_compute: Compute, _f: impl FnOnce() -> Result<R>) -> Result<R> {
    Err(not_built("ndarray"))
}

#[cfg(feature = "wgpu")]
fn run_wgpu<J: Job>(configured: WgpuDevice, job: J) -> Result<J::Output> {
    use burn_autodiff::Autodiff;
    use burn_wgpu::Wgpu;
    let device = wgpu_device(configured);
    probe::<Wgpu>(configured, &device)?;
    within_wgpu(|| job.run::<Autodiff<Wgpu>>(device))
}

#[cfg(feature = "wgpu")]
fn within_wgpu<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // The runtime panics where the device is lost or its memory ends.
    let f = std::panic::AssertUnwindSafe(f);
    std::panic::catch_unwind(f).unwrap_or_else(|panic| {
        Err(Error::Backend {
            backend: "wgpu",
            problem: format!("the device gave up: {}", panic_message(&*panic)),
            help: "where its memory is too small, give it fewer tokens at a time, or use --backend ndarray"
                .into(),
        })
    })
}

#[cfg(feature = "wgpu")]
fn wgpu_device(configured: WgpuDevice) -> burn_wgpu::WgpuDevice {
    use burn_wgpu::WgpuDevice as Device;
    match configured {
        WgpuDevice::Default => Device::DefaultDevice,
        WgpuDevice::Cpu => Device::Cpu,
        WgpuDevice::Discrete(number) => Device::DiscreteGpu(number),
        WgpuDevice::Integrated(number) => Device::IntegratedGpu(number),
        WgpuDevice::Virtual(number) => Device::VirtualGpu(number),
    }
}

/// Opens the device once. The runtime panics where no adapter fits, which is the user's machine and not our mistake.
#[cfg(feature = "wgpu")]
fn probe<B: burn::tensor::backend::Backend>(
    configured: WgpuDevice,
    device: &B::Device,
) -> Result<()> {
    use std::panic::AssertUnwindSafe;
    use std::sync::{Mutex, PoisonError};
    // The hook is the process's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let zeros = burn::tensor::Tensor::<B, 1>::zeros([1], device);
        zeros.into_data().iter::<f32>().next() == Some(0.0)
    }));
    std::panic::set_hook(quiet);
    if opened.unwrap_or(false) {
        return Ok(());
    }
    Err(Error::Backend {
        backend: "wgpu",
        problem: format!("no usable graphics adapter for device \"{configured}\""),
        help: "install a Vulkan or Metal driver (Debian: mesa-vulkan-drivers), choose another backend.device, or \
               use --backend ndarray"
            .into(),
    })
}

#[cfg(not(feature = "wgpu"))]
fn run_wgpu<J: Job>(_device: WgpuDevice, _job: J) -> Result<J::Output> {
    Err(not_built("wgpu"))
}

#[cfg(not(feature = "wgpu"))]
fn within_wgpu<R>(_f: impl FnOnce() -> Result<R>) -> Result<R> {
    Err(not_built("wgpu"))
}

#[cfg(not(all(feature = "ndarray", feature = "wgpu")))]
fn not_built(backend: &'static str) -> Error {
    Error::Backend {
        backend,
        problem: "this program was built without it".into(),
        help: format!("build with --features {backend}"),
    }
}
