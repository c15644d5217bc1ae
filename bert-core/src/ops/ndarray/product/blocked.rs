//! How a product is cut up. Columns of b are packed panel by panel, so that the inner loop reads them in order; a is read
//! where it lies if its rows are contiguous, from a packed or rounded copy otherwise. k is cut so that a panel and a block
//! of rows stay in a core's second-level cache.
//!
//! With many rows, all threads pack b, then a task is a block of rows against all panels. With few rows, a task is some
//! panels, each packed by the task that needs it: by the first tile, as it computes, where nothing has to be turned or
//! rounded. The tiles after it fetch what the next panel is made of, so that memory and multiplication overlap.
//!
//! Every element is summed up by one task in the order of k, so neither tasks nor threads change a bit of it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::kernel::{Kernel, Panel, Source};
use super::{Finished, Out, Product, Threads};

/// Lanes of b packed at a time, 12 MiB of the third-level cache.
const PACKED: usize = 3 << 20;
/// Fewer rows than these are few. From twice as many on, packing b apart measured as fast or faster.
const MANY_ROWS: usize = 512;
/// The least of few rows that are parted.
const PART_ROWS: usize = 128;
/// Steps of a panel that are packed for one tile's columns before the next's.
const PACKED_TOGETHER: usize = 64;
/// Multiplications below which other threads are not worth waking.
const SMALL: usize = 1 << 19;
/// Tiles up to which b is not worth packing. Within a task of attention it never is: k is the length of a sequence there.
const UNPACKED_TILES: usize = 2;

/// Whether these operands are for this file.
pub(super) fn applies(product: &Product<'_>) -> bool {
    let (a, b) = (operand(product.a), operand(product.b));
    let empty = product.a.is_empty() || product.b.is_empty();
    !empty && a.is_some() && b.is_some()
}

/// One factor: a matrix whose rows or columns are contiguous.
#[derive(Clone, Copy)]
struct Operand {
    pointer: *const f32,
    /// From one row to the next, or from one column to the next.
    stride: usize,
    rows_are_contiguous: bool,
}

// SAFETY: an operand is the pointer of a view that lives through the product, and is only read from.
unsafe impl Sync for Operand {}

fn operand(view: ndarray::ArrayView2<'_, f32>) -> Option<Operand> {
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
    (other == 1 && stride > 0).then_some(Operand {
        pointer: view.as_ptr(),
        stride: stride as usize,
        rows_are_contiguous,
    })
}

impl Operand {
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

/// A product, ready to be cut.
struct Plan<'a, K, F> {
    m: usize,
    k: usize,
    /// k in lanes.
    steps: usize,
    a: Operand,
    b: Operand,
    panels: Panels<K>,
    scale: f32,
    add: bool,
    out: Out<'a>,
    second: Option<Out<'a>>,
    threads: Threads,
    finish: &'a F,
}

/// Where the lanes of a factor lie.
#[derive(Clone, Copy)]
struct Lanes {
    pointer: *const u32,
    /// From one row of a, or one tile's columns of b, to the next.
    across: usize,
    /// From one step of k to the next.
    step: usize,
}

/// A panel of b, for a run of k.
struct Columns {
    lanes: Lanes,
    /// Null, or scratch memory of the task for the run: see [`Panel::pack`].
    pack: *mut u32,
    /// See [`Panel::next`].
    next: *const f32,
}

thread_local! {
    /// Packed lanes, of what a product shares among its tasks and of a task's own. Taken out while they are used: a thread
    /// that waits for its tasks may be given one of another product.
    static SHARED: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
    static OWN: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// # Safety
/// The processor has the kernel's instructions, and [`applies`] said yes.
pub(super) unsafe fn run<K: Kernel, F: Fn(Finished<'_>) + Sync>(
    product: &Product<'_>,
    out: Out<'_>,
    second: Option<Out<'_>>,
    add: bool,
    finish: &F,
) {
    let ((m, k), n) = (product.a.dim(), product.b.ncols());
    let (Some(a), Some(b)) = (operand(product.a), operand(product.b)) else {
        unreachable!("`applies` said so")
    };
    let small = m * n * k < SMALL;
    let plan = Plan {
        m,
        k,
        steps: k.div_ceil(K::PER_LANE),
        a,
        b,
        panels: Panels::<K>::of(n),
        scale: product.scale,
        add,
        out,
        second,
        threads: if small { Threads::One } else { product.threads },
        finish,
    };
    let mut shared = SHARED.take();
    if m < MANY_ROWS || plan.threads == Threads::One {
        plan.few_rows(&mut shared);
    } else {
        plan.many_rows(&mut shared);
    }
    SHARED.set(shared);
}

/// The columns of a product in panels. Where no more than a vector would be left for the last and a tile has three, it takes
/// one from the panel before.
struct Panels<K> {
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

    fn count(&self) -> usize {
        self.n.div_ceil(K::COLUMNS)
    }

    fn columns(&self, panel: usize) -> Range<usize> {
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

/// `0..length` in runs of `most`.
fn runs(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length)
        .step_by(most)
        .map(move |start| start..(start + most).min(length))
}

impl<K: Kernel, F: Fn(Finished<'_>) + Sync> Plan<'_, K, F> {
    fn few_rows(&self, shared: &mut Vec<u32>) {
        let are_lanes = K::PER_LANE == 1 && self.b.rows_are_contiguous;
        let in_place = self.m <= UNPACKED_TILES * K::ROWS || self.threads == Threads::One;
        let a = Shared(self.all_lanes_of_a(shared));
        let groups = self.groups(1);
        let parts = self.row_parts(groups);
        self.each(groups * parts, |task| {
            let tiles = share(self.m.div_ceil(K::ROWS), task % parts, parts);
            let rows = tiles.start * K::ROWS..(tiles.end * K::ROWS).min(self.m);
            let mut packed = OWN.take();
            let panels = share(self.panels.count(), task / parts, groups);
            // A run of k by all panels before the next run, so that a's part of it stays in the cache.
            for steps in runs(self.steps, K::STEPS) {
                for panel in panels.clone() {
                    let nowhere = std::ptr::null_mut();
                    let whole = self.panels.columns(panel).len().is_multiple_of(K::LANES);
                    let (lanes, pack) = if !are_lanes || !(whole || K::READS_PARTS) {
                        (self.packed_b(panel, &steps, &mut packed), nowhere)
                    } else if in_place {
                        (self.b_in_place(panel, &steps), nowhere)
                    } else {
                        let pack = sized(&mut packed, steps.len() * K::COLUMNS);
                        (self.b_in_place(panel, &steps), pack.as_mut_ptr())
                    };
                    let mut a = *a.get();
                    a.pointer = a
                        .pointer
                        .wrapping_add(rows.start * a.across + steps.start * a.step);
                    let next = self.next(panel, &panels, &steps);
                    let b = Columns { lanes, pack, next };
                    self.compute(a, b, rows.clone(), panel, &steps);
                }
            }
            OWN.set(packed);
        });
    }

    fn many_rows(&self, shared: &mut Vec<u32>) {
        let panels_at_a_time = (PACKED / (self.steps.min(K::STEPS) * K::COLUMNS)).max(1);
        for panels in runs(self.panels.count(), panels_at_a_time) {
            let steps_at_a_time = PACKED / (panels.len() * K::COLUMNS) / K::STEPS * K::STEPS;
            for steps in runs(self.steps, steps_at_a_time.max(K::STEPS)) {
                self.many_rows_of(panels.clone(), steps, shared);
            }
        }
    }

    fn many_rows_of(&self, panels: Range<usize>, steps: Range<usize>, shared: &mut Vec<u32>) {
        let panel_lanes = steps.len() * K::COLUMNS;
        let packed = Shared(sized(shared, panels.len() * panel_lanes).as_mut_ptr());
        let pack = |index: usize| {
            let source = self.columns_of_b(panels.start + index, &steps);
            // SAFETY: panel number `index` of the memory just sized, which one task packs.
            unsafe { self.pack(source, packed.get().add(index * panel_lanes)) };
        };
        self.each(panels.len(), pack);
        let row_blocks = self.m.div_ceil(K::BLOCK);
        let groups = self.groups(row_blocks).min(panels.len());
        self.each(row_blocks * groups, |task| {
            let start = task / groups * K::BLOCK;
            let rows = start..(start + K::BLOCK).min(self.m);
            let group = share(panels.len(), task % groups, groups);
            let mut copy = OWN.take();
            for part in runs(steps.len(), K::STEPS) {
                let at = steps.start + part.start..steps.start + part.end;
                let a = self.lanes_of_a(rows.clone(), &at, &mut copy);
                for index in group.clone() {
                    let first = index * panel_lanes + part.start * K::WIDTH;
                    let b = Columns {
                        lanes: Lanes {
                            pointer: packed.get().wrapping_add(first),
                            across: steps.len() * K::WIDTH,
                            step: K::WIDTH,
                        },
                        pack: std::ptr::null_mut(),
                        next: std::ptr::null(),
                    };
                    self.compute(a, b, rows.clone(), panels.start + index, &at);
                }
            }
            OWN.set(copy);
        });
    }

    /// Into how many groups the panels go, so that there are enough tasks for all threads.
    fn groups(&self, row_blocks: usize) -> usize {
        match self.threads {
            Threads::One => 1,
            Threads::All => (4 * rayon::current_num_threads())
                .div_ceil(row_blocks)
                .min(self.panels.count()),
        }
    }

    /// Into how many parts few rows go where there are fewer groups of panels than threads could do. Every part reads, and
    /// maybe packs, all of its panels.
    fn row_parts(&self, groups: usize) -> usize {
        match self.threads {
            Threads::One => 1,
            Threads::All => (4 * rayon::current_num_threads())
                .div_ceil(groups)
                .min(self.m / PART_ROWS)
                .max(1),
        }
    }

    fn each(&self, tasks: usize, task: impl Fn(usize) + Sync + Send) {
        match self.threads {
            Threads::All if tasks > 1 => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
            _ => (0..tasks).for_each(task),
        }
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
        })
    }

    /// All lanes of a, for tasks that share them: rounded in bf16.
    fn all_lanes_of_a(&self, shared: &mut Vec<u32>) -> Lanes {
        if let Some(lanes) = self.a_in_place() {
            return lanes;
        }
        let lanes = sized(shared, self.steps * self.m);
        let to = Shared(lanes.as_mut_ptr());
        let (row, step) = self.strides_of_copy(self.m, self.steps);
        let runs: Vec<_> = runs(self.steps, K::STEPS / 4).collect();
        self.each(runs.len(), |index| {
            let steps = &runs[index];
            let source = self.rows_of_a(0..self.m, steps);
            // SAFETY: steps of the memory just sized, which this task alone writes.
            unsafe { self.copy_a(source, to.get().add(steps.start * step), row.max(step)) };
        });
        Lanes {
            pointer: lanes.as_ptr(),
            across: row,
            step,
        }
    }

    /// Lanes of some rows of a, for one task.
    fn lanes_of_a(&self, rows: Range<usize>, steps: &Range<usize>, copy: &mut Vec<u32>) -> Lanes {
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
        // SAFETY: the source is a part of a, the caller speaks for the target, and `run`'s for the instructions.
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

    fn columns_of_b(&self, panel: usize, steps: &Range<usize>) -> Source {
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

    /// What comes after a run of steps of one of a task's panels: its next panel, the next run of its first, or the panel after
    /// all of its, which is likely this thread's next task's. Null where there is none, where columns, not rows, are
    /// contiguous, and where one thread works alone, in a task of attention or on a small product, whose factors are at hand.
    fn next(&self, panel: usize, panels: &Range<usize>, steps: &Range<usize>) -> *const f32 {
        let (panel, step) = if panel + 1 < panels.end {
            (panel + 1, steps.start)
        } else if steps.end < self.steps {
            (panels.start, steps.end)
        } else {
            (panel + 1, 0)
        };
        let far = self.b.rows_are_contiguous && self.threads == Threads::All;
        if far && panel < self.panels.count() {
            self.b.at(step * K::PER_LANE, self.panels.start(panel))
        } else {
            std::ptr::null()
        }
    }

    fn b_in_place(&self, panel: usize, steps: &Range<usize>) -> Lanes {
        Lanes {
            pointer: self.b.at(steps.start, self.panels.start(panel)).cast(),
            across: K::WIDTH,
            step: self.b.stride,
        }
    }

    fn packed_b(&self, panel: usize, steps: &Range<usize>, packed: &mut Vec<u32>) -> Lanes {
        let packed = sized(packed, steps.len() * K::COLUMNS);
        // SAFETY: the memory just sized for it.
        unsafe { self.pack(self.columns_of_b(panel, steps), packed.as_mut_ptr()) };
        Lanes {
            pointer: packed.as_ptr(),
            across: steps.len() * K::WIDTH,
            step: K::WIDTH,
        }
    }

    /// Packs a part of a panel, one tile's columns after the other's.
    ///
    /// # Safety
    /// `to` has room for it, and nobody else touches it.
    unsafe fn pack(&self, source: Source, to: *mut u32) {
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
                // SAFETY: the source is a part of b, the caller speaks for the target, and `run`'s for the instructions.
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

    /// Some rows against a panel, for a run of k.
    fn compute(
        &self,
        a: Lanes,
        b: Columns,
        rows: Range<usize>,
        panel: usize,
        steps: &Range<usize>,
    ) {
        let columns = self.panels.columns(panel);
        let (second, second_row) = match &self.second {
            Some(second) => {
                let at = rows.start * second.stride + columns.start;
                let pointer = second.pointer.wrapping_add(at);
                (pointer.cast::<MaybeUninit<f32>>(), second.stride)
            }
            None => (std::ptr::null_mut(), 0),
        };
        let at = rows.start * self.out.stride + columns.start;
        let panel = Panel {
            depth: steps.len(),
            rows: rows.len(),
            width: columns.len(),
            a: a.pointer,
            a_row: a.across,
            a_step: a.step,
            b: b.lanes.pointer,
            b_step: b.lanes.step,
            b_tile: b.lanes.across,
            pack: b.pack,
            next: b.next,
            next_row: self.b.stride,
            out: self.out.pointer.wrapping_add(at),
            out_row: self.out.stride,
            second,
            second_row,
            scale: self.scale,
            add: self.add || steps.start > 0,
            last: steps.end == self.steps,
            first_row: rows.start,
            first_column: columns.start,
        };
        // SAFETY: `a` and `b.lanes` describe lanes of these rows, columns and steps, in the views or in copies of them. Rows
        // and columns lie within the product's dimensions, which `out` and `second` have too; both are borrowed mutably, and
        // no two tasks have rows and columns in common. Where k does not start at 0, this task has written these elements of
        // `out` before, and where `add` is set its caller had. `b.pack` is the task's own, of the run's size; `b.next` is only
        // prefetched. `run`'s caller spoke for the instructions.
        unsafe { K::panel(panel, self.finish) }
    }
}

/// Part `index` of `0..length` cut into `parts`.
fn share(length: usize, index: usize, parts: usize) -> Range<usize> {
    length * index / parts..length * (index + 1) / parts
}

/// Raw pointers that several threads may use because each touches elements of its own.
#[derive(Clone, Copy)]
struct Shared<T>(T);

impl<T> Shared<T> {
    /// A method, so that closures capture the whole.
    fn get(&self) -> &T {
        &self.0
    }
}

// SAFETY: whoever wraps pointers says why no two threads touch the same element.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

/// The first `length` lanes of scratch memory, which grows if it must. What they hold is of no meaning.
fn sized(scratch: &mut Vec<u32>, length: usize) -> &mut [u32] {
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
}
