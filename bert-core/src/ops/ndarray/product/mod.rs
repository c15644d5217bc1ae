//! Matrix products: our own on processors with AVX-512 or AVX2, the `gemm` crate's on all others.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | what the operations call, and the choice |
//! | `blocked.rs` | our own: how a product is cut into blocks and tasks |
//! | `factors.rs` | its factors as the inner loops read them, in place or packed |
//! | `kernel.rs` | the inner loops, and what they ask of a processor |
//! | `avx512.rs`, `avx2.rs` | the same in instructions |
//! | `precision.rs` | f32 or bf16, and which the processor has |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod blocked;
#[cfg(target_arch = "x86_64")]
mod factors;
#[cfg(target_arch = "x86_64")]
mod kernel;
mod precision;

use std::mem::MaybeUninit;

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

pub(super) use precision::Precision;
pub use precision::{check_compute, set_compute};

#[cfg(target_arch = "x86_64")]
use super::instructions;
use super::math::vectorized;
use super::rows::rows_per_task;

/// How many threads one product uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// This one: inside a task that has siblings.
    One,
    /// All.
    All,
}

impl Threads {
    /// Does tasks by number.
    fn each(self, tasks: usize, task: impl Fn(usize) + Sync + Send) {
        match self {
            Self::All if tasks > 1 => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
            _ => (0..tasks).for_each(task),
        }
    }
}

/// `scale * a b`. The result of an element is a function of the operands alone, whatever the number of threads.
///
/// Views may be transposed or strided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product<'a> {
    /// `[m, k]`
    pub(super) a: ArrayView2<'a, f32>,
    /// `[k, n]`
    pub(super) b: ArrayView2<'a, f32>,
    pub(super) scale: f32,
    pub(super) threads: Threads,
    pub(super) precision: Precision,
}

/// A part of one row of a product, complete and still in the cache.
pub(super) struct Finished<'a> {
    pub(super) row: usize,
    /// The column of its first element.
    pub(super) column: usize,
    pub(super) values: &'a mut [f32],
    /// The same elements of the second result, to be written; empty where there is none.
    pub(super) second: &'a mut [MaybeUninit<f32>],
}

impl<'a> Product<'a> {
    /// By all threads, in f32.
    pub(super) fn new(a: ArrayView2<'a, f32>, b: ArrayView2<'a, f32>) -> Self {
        Self {
            a,
            b,
            scale: 1.0,
            threads: Threads::All,
            precision: Precision::F32,
        }
    }

    /// By this thread alone.
    pub(super) fn alone(self) -> Self {
        Self {
            threads: Threads::One,
            ..self
        }
    }

    pub(super) fn scaled(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    pub(super) fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// `[m, n]`
    fn dim(&self) -> (usize, usize) {
        (self.a.nrows(), self.b.ncols())
    }

    /// The product as a new row-major matrix; `finish` is handed every element once, in parts of rows.
    pub(super) fn new_matrix(&self, finish: impl Fn(Finished<'_>) + Sync) -> Vec<f32> {
        let (m, n) = self.dim();
        let mut out = Box::new_uninit_slice(m * n);
        self.run(Out::new(&mut out, m, n), None, false, &finish);
        // SAFETY: `run` wrote every element of the product's dimensions, which are all there are.
        unsafe { out.assume_init() }.into_vec()
    }

    /// The same with a second result of the same shape, all of which `finish` must write: it is handed all of it once.
    ///
    /// # Safety
    /// `finish` writes every element of `Finished::second`.
    pub(super) unsafe fn new_matrices(
        &self,
        finish: impl Fn(Finished<'_>) + Sync,
    ) -> [Vec<f32>; 2] {
        let (m, n) = self.dim();
        let mut out = Box::new_uninit_slice(m * n);
        let mut second = Box::new_uninit_slice(m * n);
        let (first_view, second_view) = (Out::new(&mut out, m, n), Out::new(&mut second, m, n));
        self.run(first_view, Some(second_view), false, &finish);
        // SAFETY: `run` wrote every element of the first; `finish` has been handed every element of the second and wrote
        // it, as its caller promised.
        unsafe {
            [
                out.assume_init().into_vec(),
                second.assume_init().into_vec(),
            ]
        }
    }

    /// `out = product`.
    pub(super) fn write(&self, out: ArrayViewMut2<'_, f32>) {
        self.run(Out::of(out), None, false, &|_| {});
    }

    /// The same where nothing has been written yet. Afterwards all of `out` is.
    pub(super) fn write_new(&self, out: ArrayViewMut2<'_, MaybeUninit<f32>>) {
        self.write_new_and(out, |_| {});
    }

    /// The same, with `finish`.
    pub(super) fn write_new_and(
        &self,
        out: ArrayViewMut2<'_, MaybeUninit<f32>>,
        finish: impl Fn(Finished<'_>) + Sync,
    ) {
        self.run(Out::of(out), None, false, &finish);
    }

    /// `out += product`.
    pub(super) fn add_to(&self, out: ArrayViewMut2<'_, f32>) {
        self.run(Out::of(out), None, true, &|_| {});
    }

    fn run<F: Fn(Finished<'_>) + Sync>(
        &self,
        out: Out<'_>,
        second: Option<Out<'_>>,
        add: bool,
        finish: &F,
    ) {
        assert_eq!(self.a.ncols(), self.b.nrows(), "the shapes of a product");
        assert_eq!(self.dim(), (out.rows, out.columns), "the shape of a result");
        if let Some(second) = &second {
            assert_eq!(self.dim(), (second.rows, second.columns));
        }
        #[cfg(target_arch = "x86_64")]
        if blocked::applies(self) {
            // SAFETY: the instructions are there, as asked just before or, for bf16, when it was configured.
            unsafe {
                if self.precision == Precision::Bf16 {
                    return blocked::run::<avx512::Bf16, F>(self, out, second, add, finish);
                }
                if instructions::have_avx512() {
                    return blocked::run::<avx512::F32, F>(self, out, second, add, finish);
                }
                if instructions::have_avx2() {
                    return blocked::run::<avx2::F32, F>(self, out, second, add, finish);
                }
            }
        }
        let empty = self.a.is_empty() || self.b.is_empty();
        assert!(
            self.precision == Precision::F32 || empty,
            "bf16 was found possible"
        );
        by_gemm(self, &out, add);
        by_rows(out, second, self.threads, finish);
    }
}

/// A matrix with contiguous rows, to be written.
struct Out<'a> {
    pointer: *mut f32,
    rows: usize,
    columns: usize,
    /// Elements from one row to the next.
    stride: usize,
    borrowed: std::marker::PhantomData<&'a mut f32>,
}

// SAFETY: a mutable borrow that the tasks of one product share, each of which has rows or columns of its own.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    fn new(elements: &'a mut [MaybeUninit<f32>], rows: usize, columns: usize) -> Self {
        assert_eq!(elements.len(), rows * columns);
        Self {
            pointer: elements.as_mut_ptr().cast(),
            rows,
            columns,
            stride: columns,
            borrowed: std::marker::PhantomData,
        }
    }

    /// `T` is `f32` or `MaybeUninit<f32>`.
    fn of<T: 'a>(mut view: ArrayViewMut2<'a, T>) -> Self {
        let (rows, columns) = view.dim();
        let &[stride, step] = view.strides() else {
            unreachable!("a matrix has two strides")
        };
        assert!(columns < 2 || step == 1, "rows of a result are contiguous");
        Self {
            pointer: view.as_mut_ptr().cast(),
            rows,
            columns,
            stride: if rows < 2 { columns } else { stride as usize },
            borrowed: std::marker::PhantomData,
        }
    }
}

impl Out<'_> {
    /// One row.
    ///
    /// # Safety
    /// `T` is `f32` where the row is written, or `MaybeUninit<f32>`, and nobody else has the row.
    #[allow(clippy::mut_from_ref, reason = "rows of a borrow that tasks share")]
    unsafe fn row<T>(&self, row: usize) -> &mut [T] {
        debug_assert!(row < self.rows);
        // SAFETY: a row of a matrix that is borrowed mutably, and nobody else's, the caller says.
        unsafe {
            let pointer = self.pointer.add(row * self.stride).cast();
            std::slice::from_raw_parts_mut(pointer, self.columns)
        }
    }
}

/// By the `gemm` crate, which chooses instructions at run time on every processor.
fn by_gemm(product: &Product<'_>, out: &Out<'_>, add: bool) {
    let ((m, k), n) = (product.a.dim(), product.b.ncols());
    let parallelism = match product.threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    let [a_rows, a_columns] = strides(&product.a);
    let [b_rows, b_columns] = strides(&product.b);
    // SAFETY: the pointers and strides are those of views that live through the call, whose element (i, j) lies at
    // i * rows + j * columns for every i and j of their dimensions, and gemm touches no others: the dimensions are the
    // views' own, checked by the caller to fit together. `out` is borrowed mutably and thus overlaps neither `a` nor `b`;
    // where it may not have been written yet, `add` is false and gemm does not read it.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.pointer,
            1,
            out.stride as isize,
            add,
            product.a.as_ptr(),
            a_columns,
            a_rows,
            product.b.as_ptr(),
            b_columns,
            b_rows,
            1.0,
            product.scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn strides(of: &ArrayView2<'_, f32>) -> [isize; 2] {
    [of.strides()[0], of.strides()[1]]
}

/// Hands whole rows to `finish`.
fn by_rows<F: Fn(Finished<'_>) + Sync>(
    out: Out<'_>,
    second: Option<Out<'_>>,
    threads: Threads,
    finish: &F,
) {
    let row = |row: usize| {
        // SAFETY: all rows are written, and each is the row of one task.
        let values = unsafe { out.row(row) };
        let second: &mut [MaybeUninit<f32>] = match &second {
            // SAFETY: the same, as memory that need not have been written.
            Some(second) => unsafe { second.row(row) },
            None => &mut [],
        };
        finish(Finished {
            row,
            column: 0,
            values,
            second,
        });
    };
    let step = rows_per_task(out.columns);
    let task = |task: usize| {
        let range = task * step..((task + 1) * step).min(out.rows);
        vectorized(
            #[inline(always)]
            || range.for_each(row),
        );
    };
    threads.each(out.rows.div_ceil(step), task);
}

#[cfg(test)]
mod tests {
    use super::super::instructions;
    use super::*;
    use ndarray::{Array2, s};

    /// Small integers, whose products and sums are exact in both precisions.
    fn values(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 7 + j * 3) % 11) as f32 - 5.0
        })
    }

    fn precisions() -> Vec<Precision> {
        let mut all = vec![Precision::F32];
        if instructions::have_avx512_bf16() {
            all.push(Precision::Bf16);
        }
        all
    }

    /// Edges of tiles, panels, blocks of rows and of k, of what is packed at a time, and few rows, or parts of a tile, of a
    /// large factor.
    const SHAPES: [[usize; 3]; 17] = [
        [1, 1, 1],
        [1, 5, 3],
        [13, 9, 5],
        [8, 16, 48],
        [9, 33, 49],
        [17, 64, 64],
        [64, 31, 130],
        [255, 40, 100],
        [511, 20, 100],
        [540, 70, 97],
        [70, 2100, 50],
        [540, 1030, 60],
        [1, 1030, 600],
        [7, 700, 150],
        [32, 400, 150],
        [20, 1024, 3100],
        [130, 1100, 150],
    ];

    #[test]
    fn every_layout_gives_what_ndarray_gives() {
        for [m, k, n] in SHAPES {
            let (a, b) = (values(m, k), values(k, n));
            let (a_turned, b_turned) = (
                a.t().as_standard_layout().into_owned(),
                b.t().as_standard_layout().into_owned(),
            );
            let expected = a.dot(&b);
            for precision in precisions() {
                for a in [a.view(), a_turned.t()] {
                    for b in [b.view(), b_turned.t()] {
                        let product = Product::new(a, b).in_precision(precision);
                        for product in [product, product.alone()] {
                            let out = product.new_matrix(|_| {});
                            let out = Array2::from_shape_vec((m, n), out).unwrap();
                            assert_eq!(out, expected, "{m} x {k} x {n}, {precision:?}");
                        }
                    }
                }
            }
        }
    }

    /// On a processor with AVX-512 no other test comes here.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_agrees_whatever_else_the_processor_has() {
        if !instructions::have_avx2() {
            return;
        }
        for [m, k, n] in SHAPES {
            let (a, b) = (values(m, k), values(k, n));
            let turned = |x: &Array2<f32>| x.t().as_standard_layout().into_owned();
            let (a_turned, b_turned) = (turned(&a), turned(&b));
            let expected = a.dot(&b);
            let mut out = Array2::<f32>::zeros((m, n));
            let mut sums = 0.0;
            for a in [a.view(), a_turned.t()] {
                for b in [b.view(), b_turned.t()] {
                    for product in [Product::new(a, b), Product::new(a, b).alone()] {
                        let out = Out::of(out.view_mut());
                        // SAFETY: the instructions are there, and rows or columns are contiguous.
                        unsafe { blocked::run::<avx2::F32, _>(&product, out, None, true, &|_| {}) };
                        sums += 1.0;
                    }
                    assert_eq!(out, &expected * sums, "{m} x {k} x {n}");
                }
            }
        }
    }

    #[test]
    fn products_are_scaled_and_added_into_parts_of_larger_matrices() {
        let (a, b) = (values(21, 9), values(50, 9));
        for precision in precisions() {
            let mut out = Array2::from_elem((23, 60), 1.0);
            let part = out.slice_mut(s![2.., 4..54]);
            Product::new(a.view(), b.t())
                .scaled(0.5)
                .in_precision(precision)
                .add_to(part);
            let mut expected = Array2::from_elem((23, 60), 1.0);
            let mut part = expected.slice_mut(s![2.., 4..54]);
            part += &(a.dot(&b.t()) * 0.5);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn finish_sees_every_element_once_and_complete() {
        for [m, k, n] in SHAPES {
            let (a, b) = (values(m, k), values(k, n));
            let expected = a.dot(&b);
            for precision in precisions() {
                let product = Product::new(a.view(), b.view()).in_precision(precision);
                // SAFETY: the closure writes as many elements of `second` as there are of `values`, all of them.
                let [out, second] = unsafe {
                    product.new_matrices(|part| {
                        for (j, value) in part.values.iter_mut().enumerate() {
                            assert_eq!(*value, expected[[part.row, part.column + j]]);
                            part.second[j].write(*value + 1.0);
                            *value *= 2.0;
                        }
                    })
                };
                assert_eq!(
                    Array2::from_shape_vec((m, n), out).unwrap(),
                    &expected * 2.0
                );
                assert_eq!(
                    Array2::from_shape_vec((m, n), second).unwrap(),
                    &expected + 1.0
                );
            }
        }
    }

    #[test]
    fn the_portable_path_agrees() {
        for [m, k, n] in SHAPES {
            let (a, b) = (values(m, k), values(k, n));
            let mut out = Array2::from_elem((m, n), f32::NAN);
            let product = Product::new(a.view(), b.view());
            by_gemm(&product, &Out::of(out.view_mut()), false);
            assert_eq!(out, a.dot(&b));
            by_rows(
                Out::of(out.view_mut()),
                None,
                Threads::All,
                &|part: Finished<'_>| {
                    assert_eq!((part.column, part.values.len()), (0, n));
                    part.values.iter_mut().for_each(|x| *x += part.row as f32);
                },
            );
            let rows = Array2::from_shape_fn((m, n), |(i, _)| i as f32);
            assert_eq!(out, a.dot(&b) + rows);
        }
    }

    #[test]
    fn bf16_rounds_each_factor_to_nearest() {
        if !instructions::have_avx512_bf16() {
            return;
        }
        // 1 + 2^-8 lies halfway and goes to even; 1 + 3 * 2^-9 is nearer to 1 + 2^-7.
        for (x, rounded) in [
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 512.0, 1.0 + 1.0 / 128.0),
        ] {
            let (a, b) = (Array2::from_elem((3, 5), x), Array2::from_elem((5, 4), 1.0));
            let out = Product::new(a.view(), b.view())
                .in_precision(Precision::Bf16)
                .new_matrix(|_| {});
            assert!(out.iter().all(|&y| y == 5.0 * rounded), "{out:?}");
        }
    }
}
