//! How a product is cut up. Columns of b are packed panel by panel, so that the inner loop reads them in order; a is read
//! where it lies if its rows are contiguous, from a packed or rounded copy otherwise. k is cut so that a panel and a block
//! of rows stay in a core's second-level cache.
//!
//! With many rows, all threads pack b, then a task is a block of rows against all panels. With few rows, a task is some
//! panels, each packed by the task that needs it: by the first tile, as it computes, where nothing has to be turned or
//! rounded. Tiles fetch the next panel, or what it is made of, so that memory and multiplication overlap.
//!
//! Every element is summed up by one task in the order of k, so neither tasks nor threads change a bit of it.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::factors::{Factors, Lanes, Operand, Shared, even_runs, runs, sized};
use super::kernel::{Kernel, Lines, Panel};
use super::{Finished, Out, Product, Threads};

/// Lanes of b packed at a time, 12 MiB of the third-level cache.
const PACKED: usize = 3 << 20;
/// Fewer rows than these are few. From twice as many on, packing b apart measured as fast or faster.
const MANY_ROWS: usize = 512;
/// The least of few rows that are parted.
const PART_ROWS: usize = 128;
/// Multiplications below which other threads are not worth waking.
const SMALL: usize = 1 << 19;
/// Tiles up to which waiting for b takes longer than adding to the result once more.
const FEW_TILES: usize = 8;
/// Tiles up to which b is not worth packing.
const UNPACKED_TILES: usize = 2;

/// Whether these operands are for this file.
pub(super) fn applies(product: &Product<'_>) -> bool {
    let (a, b) = (Operand::of(product.a), Operand::of(product.b));
    let empty = product.a.is_empty() || product.b.is_empty();
    !empty && a.is_some() && b.is_some()
}

/// A product, ready to be cut.
struct Plan<'a, K, F> {
    factors: Factors<K>,
    scale: f32,
    add: bool,
    out: Out<'a>,
    second: Option<Out<'a>>,
    finish: &'a F,
}

/// A panel of b, for a run of k.
struct Columns {
    lanes: Lanes,
    /// Null, or scratch memory of the task for the run: see [`Panel::pack`].
    pack: *mut u32,
    /// See [`Panel::next`].
    next: Lines,
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
    let threads = if m * n * k < SMALL {
        Threads::One
    } else {
        product.threads
    };
    // SAFETY: the caller's promise.
    let Some(factors) = (unsafe { Factors::<K>::of(product, threads) }) else {
        unreachable!("`applies` said so")
    };
    let plan = Plan {
        factors,
        scale: product.scale,
        add,
        out,
        second,
        finish,
    };
    let mut shared = SHARED.take();
    if m < MANY_ROWS || threads == Threads::One {
        plan.few_rows(&mut shared);
    } else {
        plan.many_rows(&mut shared);
    }
    SHARED.set(shared);
}

impl<K: Kernel, F: Fn(Finished<'_>) + Sync> Plan<'_, K, F> {
    fn few_rows(&self, shared: &mut Vec<u32>) {
        let factors = &self.factors;
        let are_lanes = K::PER_LANE == 1 && factors.b.rows_are_contiguous;
        let packs = factors.threads == Threads::All || K::PACKS_ALONE;
        let in_place = factors.m <= UNPACKED_TILES * K::ROWS || !packs;
        let steps_at_a_time = match factors.m.div_ceil(K::ROWS) {
            _ if factors.threads == Threads::One => K::STEPS,
            tiles if tiles <= UNPACKED_TILES => K::STEPS_UNPACKED,
            tiles if tiles <= FEW_TILES => K::STEPS_OF_FEW,
            _ => K::STEPS,
        };
        let a = Shared(factors.all_lanes_of_a(shared));
        let groups = self.groups(1);
        let parts = self.row_parts(groups);
        factors.threads.each(groups * parts, |task| {
            let tiles = share(factors.m.div_ceil(K::ROWS), task % parts, parts);
            let rows = tiles.start * K::ROWS..(tiles.end * K::ROWS).min(factors.m);
            let mut packed = OWN.take();
            let panels = share(factors.panels.count(), task / parts, groups);
            // A run of k by all panels before the next run, so that a's part of it stays in the cache.
            for steps in even_runs(factors.steps, steps_at_a_time) {
                for panel in panels.clone() {
                    let nowhere = std::ptr::null_mut();
                    let whole = factors.panels.columns(panel).len().is_multiple_of(K::LANES);
                    let (lanes, pack) = if !are_lanes || !(whole || K::READS_PARTS) {
                        (factors.packed_b(panel, &steps, &mut packed), nowhere)
                    } else if in_place {
                        (factors.b_in_place(panel, steps.start), nowhere)
                    } else {
                        let pack = sized(&mut packed, steps.len() * K::COLUMNS);
                        (factors.b_in_place(panel, steps.start), pack.as_mut_ptr())
                    };
                    let mut a = *a.get();
                    a.pointer = a
                        .pointer
                        .wrapping_add(rows.start / K::ROWS * a.tile + steps.start * a.step);
                    let next = factors.next(panel, &panels, &steps);
                    let b = Columns { lanes, pack, next };
                    self.compute(a, b, rows.clone(), panel, &steps);
                }
            }
            OWN.set(packed);
        });
    }

    fn many_rows(&self, shared: &mut Vec<u32>) {
        let factors = &self.factors;
        let panels_at_a_time = (PACKED / (factors.steps.min(K::STEPS) * K::COLUMNS)).max(1);
        for panels in runs(factors.panels.count(), panels_at_a_time) {
            let steps_at_a_time = PACKED / (panels.len() * K::COLUMNS) / K::STEPS * K::STEPS;
            for steps in even_runs(factors.steps, steps_at_a_time.max(K::STEPS)) {
                self.many_rows_of(panels.clone(), steps, shared);
            }
        }
    }

    fn many_rows_of(&self, panels: Range<usize>, steps: Range<usize>, shared: &mut Vec<u32>) {
        let factors = &self.factors;
        let panel_lanes = steps.len() * K::COLUMNS;
        let packed = Shared(sized(shared, panels.len() * panel_lanes).as_mut_ptr());
        let pack = |index: usize| {
            let source = factors.columns_of_b(panels.start + index, &steps);
            // SAFETY: panel number `index` of the memory just sized, which one task packs.
            unsafe { factors.pack(source, packed.get().add(index * panel_lanes)) };
        };
        factors.threads.each(panels.len(), pack);
        let lanes = |index: usize, step: usize| {
            let at = index * panel_lanes + step * K::WIDTH;
            Lanes::packed(packed.get().wrapping_add(at), K::WIDTH, steps.len())
        };
        let row_blocks = factors.m.div_ceil(K::BLOCK);
        let groups = self.groups(row_blocks).min(panels.len());
        factors.threads.each(row_blocks * groups, |task| {
            let start = task / groups * K::BLOCK;
            let rows = start..(start + K::BLOCK).min(factors.m);
            let group = share(panels.len(), task % groups, groups);
            let mut copy = OWN.take();
            for part in even_runs(steps.len(), K::STEPS) {
                let at = steps.start + part.start..steps.start + part.end;
                let a = factors.lanes_of_a(rows.clone(), &at, &mut copy);
                for index in group.clone() {
                    // The panel after the last is the first for the next part of k.
                    let (next, step) = if index + 1 < group.end {
                        (index + 1, part.start)
                    } else {
                        (group.start, part.end)
                    };
                    let b = Columns {
                        lanes: lanes(index, part.start),
                        pack: std::ptr::null_mut(),
                        next: if K::FETCHES && step < steps.len() {
                            let Lanes { pointer, tile, .. } = lanes(next, step);
                            let tiles = K::COLUMNS / K::WIDTH;
                            Lines::of_rows(pointer, tiles, part.len() * K::WIDTH, tile)
                        } else {
                            Lines::NONE
                        },
                    };
                    self.compute(a, b, rows.clone(), panels.start + index, &at);
                }
            }
            OWN.set(copy);
        });
    }

    /// Into how many groups the panels go, so that there are enough tasks for all threads.
    fn groups(&self, row_blocks: usize) -> usize {
        match self.factors.threads {
            Threads::One => 1,
            Threads::All => (4 * rayon::current_num_threads())
                .div_ceil(row_blocks)
                .min(self.factors.panels.count()),
        }
    }

    /// Into how many parts few rows go where there are fewer groups of panels than threads could do. Every part reads, and
    /// maybe packs, all of its panels.
    fn row_parts(&self, groups: usize) -> usize {
        match self.factors.threads {
            Threads::One => 1,
            Threads::All => (4 * rayon::current_num_threads())
                .div_ceil(groups)
                .min(self.factors.m / PART_ROWS)
                .max(1),
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
        let columns = self.factors.panels.columns(panel);
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
            a_tile: a.tile,
            b: b.lanes.pointer,
            b_step: b.lanes.step,
            b_tile: b.lanes.tile,
            pack: b.pack,
            next: b.next,
            out: self.out.pointer.wrapping_add(at),
            out_row: self.out.stride,
            second,
            second_row,
            scale: self.scale,
            add: self.add || steps.start > 0,
            last: steps.end == self.factors.steps,
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
