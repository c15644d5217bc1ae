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
/// # Errors
/// [`Error::Backend`] where this program or this machine lacks the backend; the job's own otherwise.
pub fn run_on<J: Job>(config: &BackendConfig, job: J) -> Result<J::Output> {
    match config {
        BackendConfig::Ndarray { compute } => run_ndarray(*compute, job),
        BackendConfig::Wgpu { device } => run_wgpu(*device, job),
    }
}

/// Whether jobs can be done on the configured backend: for refusing it before work that comes first.
///
/// # Errors
/// [`Error::Backend`] as [`run_on`].
pub fn check(config: &BackendConfig) -> Result<()> {
    struct Nothing;
    impl Job for Nothing {
        type Output = ();

        fn run<B: BertAutodiffBackend>(self, _: B::Device) -> Result<()> {
            Ok(())
        }
    }
    run_on(config, Nothing)
}

#[cfg(feature = "ndarray")]
fn run_ndarray<J: Job>(compute: Compute, job: J) -> Result<J::Output> {
    use burn_autodiff::Autodiff;
    use burn_ndarray::{NdArray, NdArrayDevice};
    crate::ops::ndarray::set_compute(compute)?;
    let run = || job.run::<Autodiff<NdArray<f32>>>(NdArrayDevice::Cpu);
    if rayon::current_num_threads() > 1 {
        // As one of the threads that share the work: from outside, every operation would wait for two of them to wake.
        rayon::scope(|_| run())
    } else {
        // The only one, which others may be waiting for too.
        run()
    }
}

#[cfg(not(feature = "ndarray"))]
fn run_ndarray<J: Job>(_compute: Compute, _job: J) -> Result<J::Output> {
    Err(not_built("ndarray"))
}

#[cfg(feature = "wgpu")]
fn run_wgpu<J: Job>(configured: WgpuDevice, job: J) -> Result<J::Output> {
    use burn_autodiff::Autodiff;
    use burn_wgpu::{Wgpu, WgpuDevice as Device};
    let device = match configured {
        WgpuDevice::Default => Device::DefaultDevice,
        WgpuDevice::Cpu => Device::Cpu,
        WgpuDevice::Discrete(number) => Device::DiscreteGpu(number),
        WgpuDevice::Integrated(number) => Device::IntegratedGpu(number),
        WgpuDevice::Virtual(number) => Device::VirtualGpu(number),
    };
    probe::<Wgpu>(configured, &device)?;
    // The runtime panics where the device is lost or its memory ends.
    let run = std::panic::AssertUnwindSafe(|| job.run::<Autodiff<Wgpu>>(device));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        Err(Error::Backend {
            backend: "wgpu",
            problem: format!("the device gave up: {}", panic_message(&*panic)),
            help: "where its memory is too small, give it fewer tokens at a time, or use --backend ndarray"
                .into(),
        })
    })
}

/// Opens the device once. The runtime panics where no adapter fits, which is the user's machine and not our mistake.
#[cfg(feature = "wgpu")]
fn probe<B: burn::tensor::backend::Backend>(
    configured: WgpuDevice,
    device: &B::Device,
) -> Result<()> {
    use std::panic::AssertUnwindSafe;
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
        help: "install a Vulkan, Metal or DirectX 12 driver (Debian: mesa-vulkan-drivers), choose another \
               backend.device, or use --backend ndarray"
            .into(),
    })
}

#[cfg(not(feature = "wgpu"))]
fn run_wgpu<J: Job>(_device: WgpuDevice, _job: J) -> Result<J::Output> {
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
