//! What the timings come to, as JSON and as people read it.

use serde_json::{Value, json};

use super::job::Times;
use super::work::Work;

/// The timings of all batches, and what was done in them.
pub(super) struct Figures {
    pub(super) tokens: usize,
    pub(super) iters: usize,
    pub(super) times: Times,
    pub(super) work: Work,
}

impl Figures {
    fn per_second(&self, milliseconds: f64) -> f64 {
        self.tokens as f64 / milliseconds * 1e3
    }

    /// GFLOPS of inference and of a training step.
    fn gflops(&self) -> [f64; 2] {
        let Self { times, work, .. } = self;
        [(work.infer, times.infer), (work.train, times.train)]
            .map(|(operations, milliseconds)| operations / milliseconds / 1e6)
    }

    pub(super) fn json(&self) -> Value {
        let times = &self.times;
        let [infer, train] = self.gflops();
        json!({
            "tokens": self.tokens,
            "infer_ms": times.infer,
            "train_ms": times.train,
            "forward_ms": times.forward,
            "backward_ms": times.backward,
            "optimizer_ms": times.optimizer,
            "embedding_ms": times.embedding,
            "attention_ms": times.attention,
            "feed_forward_ms": times.feed_forward,
            "head_ms": times.head,
            "infer_tokens_per_second": self.per_second(times.infer),
            "train_tokens_per_second": self.per_second(times.train),
            "infer_gflops": infer,
            "train_gflops": train,
            "product_gflops": times.product_gflops,
            "infer_fraction": infer / times.product_gflops,
            "train_fraction": train / times.product_gflops,
        })
    }

    pub(super) fn readable(&self) -> String {
        let Self {
            tokens,
            iters,
            times,
            ..
        } = self;
        let [infer, train] = self.gflops();
        let line = |name: &str, milliseconds: f64| format!("{name:<16}{milliseconds:>10.1} ms");
        let whole = |name, milliseconds, gflops| {
            format!(
                "{}{:>12.0} tokens/s{gflops:>10.0} GFLOPS, {:.0} % of a product's",
                line(name, milliseconds),
                self.per_second(milliseconds),
                100.0 * gflops / times.product_gflops
            )
        };
        [
            format!(
                "{tokens} tokens, medians of {iters}; one large product: {:.0} GFLOPS",
                times.product_gflops
            ),
            whole("infer", times.infer, infer),
            whole("train", times.train, train),
            line("  forward", times.forward),
            line("  backward", times.backward),
            line("  optimizer", times.optimizer),
            "each part alone, forward and backward:".into(),
            line("  embedding", times.embedding),
            line("  attention", times.attention),
            line("  feed-forward", times.feed_forward),
            line("  head", times.head),
        ]
        .join("\n")
    }
}
