//! The factors of a product as its inner loops read them: lanes where they lie, or packed, turned or rounded copies of them.

use std::marker::PhantomData;
use std::ops::Range;

use ndarray::ArrayView2;

use super::kernel::{Kernel, Lines, Source};
use super::{Product, Threads};

/// Steps of a panel that are packed for one tile's columns before the next's.
const PACKED_TOGETHER: usize = 64;

/// One factor: a matrix whose rows or columns are contiguous.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pointer: *const f32,
    /// From one row to the next, or from one column to the next.
    pub(super) stride: usize,
    pub(super) rows_are_contiguous: bool,
}

// SAFETY: an operand is the pointer of a view that lives through the product, and is only read from.
unsafe impl Sync for Operand {}

impl Operand {
    /// `None` where rows and columns both lie apart.
    pub(super) fn of(view: ArrayView2<'_, f32>) -> Option<Self> {
        let (rows, columns) = view.dim();
        let &[row, column] = view.strides() else {
            unreachable!("a matrix has two strides")
        };
        let rows_are_contiguous = columns == 1 || column == 1;
        let (stride, other) = if rows_are_contiguous {
            (if rows == 1 { columns as isize } else { row }, 1)
        } else {
            (column, if rows == 1 { 1 } else { row })
        };
        (other == 1 && stride > 0).then_some(Self {
            pointer: view.as_ptr(),
            stride: stride as usize,
            rows_are_contiguous,
        })
    }

    /// Element (row, column), which is within the matrix.
    fn at(self, row: usize, column: usize) -> *const f32 {
        let (major, minor) = if self.rows_are_contiguous {
            (row, column)
        } else {
            (column, row)
        };
        self.pointer.wrapping_add(major * self.stride + minor)
    }
}

/// Both factors, and their sizes.
pub(super) struct Factors<K> {
    pub(super) m: usize,
    k: usize,
    /// k in lanes.
    pub(super) steps: usize,
    a: Operand,
    pub(super) b: Operand,
    pub(super) panels: Panels<K>,
    pub(super) threads: Threads,
}

/// Where the lanes of a factor lie.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    pub(super) pointer: *const u32,
    /// From one row of a, or one column of b, to the next of its tile.
    pub(super) across: usize,
    /// From one step of k to the next.
    pub(super) step: usize,
    /// From one tile's rows or columns to the next.
    pub(super) tile: usize,
}

impl Lanes {
    /// Packed tile by tile, each so many lanes a step.
    pub(super) fn packed(pointer: *const u32, lanes: usize, steps: usize) -> Self {
        Self {
            pointer,
            across: 1,
            step: lanes,
            tile: steps * lanes,
        }
    }
}

/// The columns of a product in panels. Where no more than a vector would be left for the last and a tile has three, it takes
/// one from the panel before.
pub(super) struct Panels<K> {
    n: usize,
    kernel: PhantomData<fn() -> K>,
}

impl<K: Kernel> Panels<K> {
    fn of(n: usize) -> Self {
        Self {
            n,
            kernel: PhantomData,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.n.div_ceil(K::COLUMNS)
    }

    pub(super) fn columns(&self, panel: usize) -> Range<usize> {
        self.start(panel)..self.start(panel + 1)
    }

    fn start(&self, panel: usize) -> usize {
        let rest = self.n % K::COLUMNS;
        let wide_tiles = K::WIDTH > 2 * K::LANES;
        let narrow = wide_tiles && self.n > K::COLUMNS && (1..=K::LANES).contains(&rest);
        let start = panel * K::COLUMNS;
        if narrow && panel + 1 == self.count() {
            start - K::LANES
        } else {
            start.min(self.n)
        }
    }
}

impl<K: Kernel> Factors<K> {
    /// Those of a product, which `threads` compute; `None` where rows and columns of one both lie apart.
    ///
    /// # Safety
    /// The processor has the kernel's instructions.
    pub(super) unsafe fn of(product: &Product<'_>, threads: Threads) -> Option<Self> {
        let (m, k) = product.a.dim();
        Some(Self {
            m,
            k,
            steps: k.div_ceil(K::PER_LANE),
            a: Operand::of(product.a)?,
            b: Operand::of(product.b)?,
            panels: Panels::of(product.b.ncols()),
            threads,
        })
    }

    /// Whether a can be read where it lies, at whatever price.
    fn a_in_place(&self) -> Option<Lanes> {
        let (row, step) = if self.a.rows_are_contiguous {
            (self.a.stride, 1)
        } else {
            (1, self.a.stride)
        };
        (K::PER_LANE == 1).then_some(Lanes {
            pointer: self.a.pointer.cast(),
            across: row,
            step,
            tile: K::ROWS * row,
        })
    }

    /// All lanes of a, for tasks that share them: rounded in bf16.
    pub(super) fn all_lanes_of_a(&self, shared: &mut Vec<u32>) -> Lanes {
        if self.packs_a() && self.threads == Threads::All {
            return self.tiles_of_a(shared);
        }
        if let Some(lanes) = self.a_in_place() {
            return lanes;
        }
        let lanes = sized(shared, self.steps * self.m);
        let to = Shared(lanes.as_mut_ptr());
        let (row, step) = self.strides_of_copy(self.m, self.steps);
        let runs: Vec<_> = runs(self.steps, K::STEPS / 4).collect();
        self.threads.each(runs.len(), |index| {
            let steps = &runs[index];
            let source = self.rows_of_a(0..self.m, steps);
            // SAFETY: steps of the memory just sized, which this task alone writes.
            unsafe { self.copy_a(source, to.get().add(steps.start * step), row.max(step)) };
        });
        Lanes {
            pointer: lanes.as_ptr(),
            across: row,
            step,
            tile: K::ROWS * row,
        }
    }

    /// Whether a is packed: so many panels read it that this takes a small part of the time.
    fn packs_a(&self) -> bool {
        K::PACKS_A && !self.a.rows_are_contiguous && self.panels.count() > 2
    }

    /// All lanes of a, one tile's rows after the other's.
    fn tiles_of_a(&self, shared: &mut Vec<u32>) -> Lanes {
        let tile = self.steps * K::ROWS;
        let lanes = sized(shared, self.m.div_ceil(K::ROWS) * tile);
        let to = Shared(lanes.as_mut_ptr());
        let runs: Vec<_> = runs(self.steps, PACKED_TOGETHER).collect();
        self.threads.each(runs.len(), |index| {
            let steps = &runs[index];
            let source = self.rows_of_a(0..self.m, steps);
            // SAFETY: steps of the memory just sized, which this task alone writes; `of`'s caller spoke for the instructions.
            unsafe { K::copy_tiles(source, to.get().add(steps.start * K::ROWS), tile) };
        });
        Lanes::packed(lanes.as_ptr(), K::ROWS, self.steps)
    }

    /// Lanes of some rows of a, for one task.
    pub(super) fn lanes_of_a(
        &self,
        rows: Range<usize>,
        steps: &Range<usize>,
        copy: &mut Vec<u32>,
    ) -> Lanes {
        if self.packs_a() {
            let tile = steps.len() * K::ROWS;
            let lanes = sized(copy, rows.len().div_ceil(K::ROWS) * tile);
            // SAFETY: the memory just sized for it; `of`'s caller spoke for the instructions.
            unsafe { K::copy_tiles(self.rows_of_a(rows, steps), lanes.as_mut_ptr(), tile) };
            return Lanes::packed(lanes.as_ptr(), K::ROWS, steps.len());
        }
        if self.a.rows_are_contiguous
            && let Some(lanes) = self.a_in_place()
        {
            return Lanes {
                pointer: self.a.at(rows.start, steps.start).cast(),
                ..lanes
            };
        }
        let (row, step) = self.strides_of_copy(rows.len(), steps.len());
        let lanes = sized(copy, rows.len() * steps.len());
        // SAFETY: the memory just sized for it.
        unsafe {
            self.copy_a(
                self.rows_of_a(rows, steps),
                lanes.as_mut_ptr(),
                row.max(step),
            )
        };
        Lanes {
            pointer: lanes.as_ptr(),
            across: row,
            step,
            tile: K::ROWS * row,
        }
    }

    /// A copy of a keeps rows contiguous, or columns, as they were.
    fn strides_of_copy(&self, rows: usize, steps: usize) -> (usize, usize) {
        if self.a.rows_are_contiguous {
            (steps, 1)
        } else {
            (1, rows)
        }
    }

    /// # Safety
    /// `to` has room for the source, and nobody else touches it.
    unsafe fn copy_a(&self, source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the source is a part of a, the caller speaks for the target, and `of`'s for the instructions.
        unsafe {
            if self.a.rows_are_contiguous {
                K::convert(source, to, pitch);
            } else {
                K::copy(source, to, pitch);
            }
        }
    }

    fn rows_of_a(&self, rows: Range<usize>, steps: &Range<usize>) -> Source {
        let k = self.elements(steps);
        Source {
            pointer: self.a.at(rows.start, k.start),
            stride: self.a.stride,
            k: k.len(),
            width: rows.len(),
        }
    }

    /// A panel's columns for a run of steps, to be packed.
    pub(super) fn columns_of_b(&self, panel: usize, steps: &Range<usize>) -> Source {
        let (k, columns) = (self.elements(steps), self.panels.columns(panel));
        Source {
            pointer: self.b.at(k.start, columns.start),
            stride: self.b.stride,
            k: k.len(),
            width: columns.len(),
        }
    }

    /// The elements of k in a run of steps.
    fn elements(&self, steps: &Range<usize>) -> Range<usize> {
        steps.start * K::PER_LANE..(steps.end * K::PER_LANE).min(self.k)
    }

    /// What comes after a run of steps of one of a task's panels, where it lies in b: its next panel, the next run of its first,
    /// or the panel after all of its, which is likely this thread's next task's. Nothing where there is none, where columns, not
    /// rows, are contiguous, and where one thread works alone, in a task of attention or on a small product, whose factors are
    /// at hand.
    pub(super) fn next(&self, panel: usize, panels: &Range<usize>, steps: &Range<usize>) -> Lines {
        let (panel, step) = if panel + 1 < panels.end {
            (panel + 1, steps.start)
        } else if steps.end < self.steps {
            (panels.start, steps.end)
        } else {
            (panel + 1, 0)
        };
        let far = self.b.rows_are_contiguous && self.threads == Threads::All;
        if !far || panel >= self.panels.count() {
            return Lines::NONE;
        }
        let lanes = self.b_in_place(panel, step * K::PER_LANE);
        let (rows, width) = (steps.len() * K::PER_LANE, self.panels.columns(panel).len());
        Lines::of_rows(lanes.pointer, rows, width, self.b.stride)
    }

    /// A panel of b, whose rows are contiguous, where it lies, from a row on. Where an element is a lane it can be read so.
    pub(super) fn b_in_place(&self, panel: usize, row: usize) -> Lanes {
        Lanes {
            pointer: self.b.at(row, self.panels.start(panel)).cast(),
            across: 1,
            step: self.b.stride,
            tile: K::WIDTH,
        }
    }

    /// A panel of b, packed, turned or rounded for one task.
    pub(super) fn packed_b(
        &self,
        panel: usize,
        steps: &Range<usize>,
        packed: &mut Vec<u32>,
    ) -> Lanes {
        let packed = sized(packed, steps.len() * K::COLUMNS);
        // SAFETY: the memory just sized for it.
        unsafe { self.pack(self.columns_of_b(panel, steps), packed.as_mut_ptr()) };
        Lanes::packed(packed.as_ptr(), K::WIDTH, steps.len())
    }

    /// Packs a part of a panel, one tile's columns after the other's.
    ///
    /// # Safety
    /// `to` has room for it, and nobody else touches it.
    pub(super) unsafe fn pack(&self, source: Source, to: *mut u32) {
        let (along, across) = if self.b.rows_are_contiguous {
            (source.stride, 1)
        } else {
            (1, source.stride)
        };
        let steps = source.k.div_ceil(K::PER_LANE);
        // Where columns lie apart, what is fetched for one tile's belongs to the others' too.
        for run in runs(steps, PACKED_TOGETHER) {
            let k = self.elements(&run);
            for column in (0..source.width).step_by(K::WIDTH) {
                let part = Source {
                    pointer: source
                        .pointer
                        .wrapping_add(k.start * along + column * across),
                    k: k.end.min(source.k) - k.start,
                    width: (source.width - column).min(K::WIDTH),
                    ..source
                };
                let to = to.wrapping_add(column * steps + run.start * K::WIDTH);
                // SAFETY: the source is a part of b, the caller speaks for the target, and `of`'s for the instructions.
                unsafe {
                    if self.b.rows_are_contiguous {
                        K::copy(part, to, K::WIDTH);
                    } else {
                        K::transpose(part, to, K::WIDTH);
                    }
                }
            }
        }
    }
}

/// `0..length` in runs of `most`.
pub(super) fn runs(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length)
        .step_by(most)
        .map(move |start| start..(start + most).min(length))
}

/// `0..length` in as few runs of at most `most` as there can be, about equally long.
pub(super) fn even_runs(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let run = length
        .div_ceil(length.div_ceil(most))
        .next_multiple_of(8)
        .min(most);
    runs(length, run)
}

/// Raw pointers that several threads may use because each touches elements of its own.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) T);

impl<T> Shared<T> {
    /// A method, so that closures capture the whole.
    pub(super) fn get(&self) -> &T {
        &self.0
    }
}

// SAFETY: whoever wraps pointers says why no two threads touch the same element.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

/// The first `length` lanes of scratch memory, which grows if it must. What they hold is of no meaning.
pub(super) fn sized(scratch: &mut Vec<u32>, length: usize) -> &mut [u32] {
    if scratch.len() < length {
        // Not `resize`, which would move what nobody needs.
        *scratch = vec![0; length];
    }
    &mut scratch[..length]
}

#[cfg(test)]
mod tests {
    use super::super::{avx2, avx512};
    use super::*;

    fn check<K: Kernel>(narrowest: usize) {
        for n in 1..400 {
            let panels = Panels::<K>::of(n);
            let mut next = 0;
            for panel in (0..panels.count()).map(|panel| panels.columns(panel)) {
                assert_eq!(panel.start, next);
                assert!((1..=K::COLUMNS).contains(&panel.len()));
                assert!(panel.len() >= narrowest.min(n), "{n}");
                next = panel.end;
            }
            assert_eq!(next, n);
        }
    }

    #[test]
    fn panels_cover_the_columns_and_none_is_narrow_that_need_not_be() {
        check::<avx512::F32>(avx512::F32::LANES + 1);
        check::<avx2::F32>(1);
    }

    #[test]
    fn even_runs_are_as_few_as_they_can_be() {
        for length in 1..2000 {
            for most in [8, 512, 768] {
                let runs: Vec<_> = even_runs(length, most).collect();
                assert_eq!(runs.len(), length.div_ceil(most), "{length} by {most}");
                assert!(runs.iter().all(|run| (1..=most).contains(&run.len())));
                assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert_eq!((runs[0].start, runs[runs.len() - 1].end), (0, length));
            }
        }
    }
}
