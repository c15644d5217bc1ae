//! Matrix products, by the `gemm` crate.

use gemm::Parallelism;
use ndarray::{ArrayView2, ArrayViewMut2};

/// How many threads one product uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// This one: inside a task that has siblings.
    One,
    /// All.
    All,
}

/// What becomes of the old content of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Replace,
    Add,
}

/// `out = scale * a b`, or added to it. Views may be transposed or strided: packing takes care of that.
///
/// # Shapes
/// a `[m, k]`, b `[k, n]`, out `[m, n]`
pub(super) fn product(
    mut out: ArrayViewMut2<'_, f32>,
    write: Write,
    scale: f32,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    threads: Threads,
) {
    let ((m, k), (inner, n)) = (a.dim(), b.dim());
    assert_eq!((k, (m, n)), (inner, out.dim()), "the shapes of a product");
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    let [out_rows, out_columns] = strides(out.strides());
    let [a_rows, a_columns] = strides(a.strides());
    let [b_rows, b_columns] = strides(b.strides());
    // SAFETY: the pointers and strides are those of views that live through the call, whose element (i, j) lies at
    // i * rows + j * columns for every i and j of their dimensions, and gemm touches no others: the dimensions are the
    // views' own, checked above to fit together. `out` is borrowed mutably and thus overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_columns,
            out_rows,
            write == Write::Add,
            a.as_ptr(),
            a_columns,
            a_rows,
            b.as_ptr(),
            b_columns,
            b_rows,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn strides(of: &[isize]) -> [isize; 2] {
    [of[0], of[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    fn values(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 7 + j * 3) % 11) as f32 - 5.0
        })
    }

    #[test]
    fn strided_and_transposed_operands_give_what_ndarray_gives() {
        let (a, b) = (values(13, 9), values(5, 9));
        for threads in [Threads::One, Threads::All] {
            let mut out = Array2::from_elem((13, 12), 1.0);
            let columns = out.slice_mut(s![.., 4..9]);
            product(columns, Write::Add, 0.5, a.view(), b.t(), threads);
            let mut expected = Array2::from_elem((13, 12), 1.0);
            let mut columns = expected.slice_mut(s![.., 4..9]);
            columns += &(a.dot(&b.t()) * 0.5);
            assert_eq!(out, expected);

            let mut out = Array2::from_elem((9, 9), f32::NAN);
            product(
                out.view_mut(),
                Write::Replace,
                1.0,
                b.t(),
                b.view(),
                threads,
            );
            assert_eq!(out, b.t().dot(&b));
        }
    }
}
