//! What a task gives the training loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_train::metric::Adaptor;
use burn_train::metric::ItemLazy;
use burn_train::{InferenceStep, TrainStep};
use serde_json::Value;

use super::metrics::StepMetrics;
use crate::ops::BertAutodiffBackend;

/// A batch of a task, on the host.
pub trait TaskBatch: Clone + Send + 'static {
    /// Its number of tokens.
    fn tokens(&self) -> usize;

    /// Where the stream of batches goes on after this one; goes into checkpoints.
    fn resume(&self) -> Value;

    /// Which examples it holds, for messages.
    fn describe(&self) -> String;

    /// All of it, for people who want to know what went wrong with it.
    fn record(&self) -> Value;

    /// Prepares the micro-batches of one optimizer step: each gets a seed for its dropout, and the sizes of the whole
    /// step, so that the gradients of the micro-batches simply add up.
    fn join(batches: &mut [Self], seed: u64);
}

/// A model with its loss: what the loop trains.
pub trait Task<B: BertAutodiffBackend>:
    AutodiffModule<
        B,
        InnerModule: InferenceStep<Input = Self::Batch, Output = StepOutput<B::InnerBackend>>
                         + Sync,
    > + TrainStep<Input = Self::Batch, Output = StepOutput<B>>
    + std::fmt::Display
    + Sync
    + 'static
{
    /// Its batches.
    type Batch: TaskBatch;

    /// Metrics from the summed statistics of training steps. The first is `loss`.
    fn metrics(statistics: &[f64]) -> StepMetrics;
}

/// The result of a step: sums that stay on the device until somebody reads them, or metrics made of them.
#[derive(Debug, Clone)]
pub enum StepOutput<B: Backend> {
    /// Values of a batch, in the task's order: sums in training; what an evaluation is made of otherwise.
    Statistics(Tensor<B, 1>),
    /// What is shown.
    Metrics(StepMetrics),
}

impl<B: Backend> StepOutput<B> {
    /// The sums, read back from the device.
    pub fn into_statistics(self) -> Vec<f64> {
        match self {
            Self::Statistics(sums) => sums.into_data().iter::<f64>().collect(),
            Self::Metrics(_) => Vec::new(),
        }
    }
}

impl<B: Backend> ItemLazy for StepOutput<B> {
    type ItemSync = StepMetrics;

    fn sync(self) -> StepMetrics {
        match self {
            Self::Metrics(metrics) => metrics,
            Self::Statistics(_) => StepMetrics::default(),
        }
    }
}

impl Adaptor<StepMetrics> for StepMetrics {
    fn adapt(&self) -> StepMetrics {
        self.clone()
    }
}

type Source<T> = Arc<dyn Fn() -> Box<dyn Iterator<Item = T> + Send> + Send + Sync>;

/// A stream of batches as Burn's data loader, made ahead of the step by a thread of its own.
pub struct BatchLoader<T> {
    source: Source<T>,
    items: usize,
}

impl<T> BatchLoader<T> {
    /// `source` starts the stream; `items` is how many there are of interest, for progress.
    pub fn new(
        items: usize,
        source: impl Fn() -> Box<dyn Iterator<Item = T> + Send> + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Arc::new(source),
            items,
        }
    }
}

impl<B: Backend, T: Send + 'static> DataLoader<B, T> for BatchLoader<T> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<T> + 'a> {
        // Two batches ahead hide their making; the order is that of the source, whatever the timing.
        let (sender, receiver) = sync_channel(2);
        let source = self.source.clone();
        let maker = std::thread::spawn(move || {
            for batch in source() {
                if sender.send(batch).is_err() {
                    return; // the loop has ended
                }
            }
        });
        Box::new(Ahead {
            receiver,
            maker: Some(maker),
            done: 0,
            items: self.items,
        })
    }

    fn num_items(&self) -> usize {
        self.items
    }

    fn to_device(&self, _device: &B::Device) -> Arc<dyn DataLoader<B, T>> {
        Arc::new(Self {
            source: self.source.clone(),
            items: self.items,
        })
    }

    /// The whole stream: one device trains, and nothing slices.
    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<B, T>> {
        Arc::new(Self {
            source: self.source.clone(),
            items: self.items,
        })
    }
}

struct Ahead<T> {
    receiver: Receiver<T>,
    maker: Option<JoinHandle<()>>,
    done: usize,
    items: usize,
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.done += 1;
        let next = receive(&self.receiver);
        if next.is_none()
            && let Some(Err(panic)) = self.maker.take().map(JoinHandle::join)
        {
            // It did not end: it broke off.
            std::panic::resume_unwind(panic);
        }
        next
    }
}

/// The next of a channel, `None` at its end. A thread of rayon's pool does the pool's work while it waits: it may be the work
/// that it waits for, and with as many trainings at once as the pool has threads nobody else would do it.
fn receive<T>(receiver: &Receiver<T>) -> Option<T> {
    /// Without work to do, how long to wait before looking for some again.
    const PAUSE: Duration = Duration::from_millis(1);
    loop {
        match receiver.try_recv() {
            Err(TryRecvError::Empty) => {}
            next => return next.ok(),
        }
        match rayon::yield_now() {
            None => return receiver.recv().ok(), // not a thread of the pool
            Some(rayon::Yield::Executed) => {}
            Some(rayon::Yield::Idle) => match receiver.recv_timeout(PAUSE) {
                Err(RecvTimeoutError::Timeout) => {}
                next => return next.ok(),
            },
        }
    }
}

impl<T> DataLoaderIterator<T> for Ahead<T> {
    fn progress(&self) -> Progress {
        Progress::new(self.done.min(self.items), self.items)
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use burn_ndarray::NdArray;
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn threads_that_all_wait_for_batches_make_them() {
        let (done, all) = sync_channel(1);
        std::thread::spawn(move || {
            let trainings = 2 * rayon::current_num_threads();
            let sum = |training: usize| -> usize {
                let loader = BatchLoader::new(3, move || {
                    let batch = move |batch: usize| -> usize {
                        let numbers = (0..1000_usize).into_par_iter().with_max_len(1);
                        numbers.map(|number| number + batch + training).sum()
                    };
                    Box::new((0..3).map(batch))
                });
                DataLoader::<NdArray, usize>::iter(&loader).sum()
            };
            let trainings = (0..trainings).into_par_iter().with_max_len(1);
            let sums: Vec<usize> = trainings.map(sum).collect();
            done.send(sums).unwrap();
        });
        let sums = all.recv_timeout(Duration::from_secs(60)).unwrap();
        for (training, sum) in sums.into_iter().enumerate() {
            assert_eq!(sum, 3 * 499_500 + 3 * 1000 + 3 * 1000 * training);
        }
    }
}
