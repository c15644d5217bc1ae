//! The inner loop of a product: a tile of some rows and columns is kept in registers while its factors stream by, one step
//! of k at a time: some vectors of b, and each of the rows of a broadcast against them. What a tile's size and a vector's
//! operations are, the processor's instructions decide, in a file each.
//!
//! Operands are lanes of 32 bits, one f32 or a pair of bf16 that stand one after the other along k.

use std::mem::MaybeUninit;

use super::Finished;

/// A set of instructions, for factors of one precision.
pub(super) trait Kernel {
    /// Rows of a tile.
    const ROWS: usize;
    /// Columns of a tile.
    const WIDTH: usize;
    /// Columns of a panel, which is one tile wide or more.
    const COLUMNS: usize;
    /// Lanes of a vector.
    const LANES: usize;
    /// Elements along k in one lane.
    const PER_LANE: usize;
    /// Rows of a task among many.
    const BLOCK: usize;
    /// Whether parts of vectors are read as fast as whole ones. Otherwise panels that end in one are read packed.
    const READS_PARTS: bool;
    /// Whether a, where its columns are contiguous, is packed tile by tile: each step of a tile is part of a cache line otherwise,
    /// which every tile fetches anew from another page. Not where that was not measured.
    const PACKS_A: bool;
    /// Whether a thread alone, in a task of attention, packs b: rows of b lie so far apart there that they share few sets of the
    /// caches. Not where that was not measured.
    const PACKS_ALONE: bool;
    /// Whether elements of `out` are fetched while their sums are made, and packed panels before they are read. Not where that
    /// was not measured.
    const FETCHES: bool;
    /// Steps of k at a time: those of a panel and of a block of rows stay in the second-level cache together.
    const STEPS: usize;
    /// The same where rows are few and time goes to waiting for b. The next panel is fetched from where it lies in b, whose rows
    /// share few of the cache's sets, and more of them than this would drive one another out.
    const STEPS_OF_FEW: usize;
    /// The same where rows are too few for packing b. Panels of so few of its rows come in an order that the processor foresees:
    /// each goes on where the one before ended.
    const STEPS_UNPACKED: usize;

    /// Some rows against a panel of columns.
    ///
    /// # Safety
    /// The processor has the instructions; all lanes that the panel describes may be read, all elements of `out` written and,
    /// if `add`, read, those of `second` and `pack` written unless they are null, and nobody else touches those.
    unsafe fn panel<F: Fn(Finished<'_>)>(panel: Panel, finish: &F);

    /// Steps of k as lanes, each `width` lanes long and `pitch` from the next, of a matrix that is contiguous across k.
    ///
    /// # Safety
    /// The processor has the instructions; the source may be read, and `to` has room for its steps.
    unsafe fn copy(source: Source, to: *mut u32, pitch: usize);

    /// The same of a matrix that is contiguous along k.
    ///
    /// # Safety
    /// As [`Self::copy`].
    unsafe fn transpose(source: Source, to: *mut u32, pitch: usize);

    /// As [`Self::copy`], [`Self::ROWS`] lanes at a time: step by step, and those of the next `tile` further. Never called where
    /// a is not [packed](Self::PACKS_A).
    ///
    /// # Safety
    /// As [`Self::copy`].
    unsafe fn copy_tiles(_source: Source, _to: *mut u32, _tile: usize) {
        unreachable!("a is read where it lies")
    }

    /// The lanes of a matrix that is contiguous along k, still so, `pitch` from one column to the next. Where an element is a
    /// lane it is read where it lies, and this is never called.
    ///
    /// # Safety
    /// As [`Self::copy`].
    unsafe fn convert(_source: Source, _to: *mut u32, _pitch: usize) {
        unreachable!("elements are lanes")
    }
}

/// Rows between one that is packed and one that is fetched from memory: they are pages apart, which the processor does not
/// foresee.
pub(super) const AHEAD: usize = 16;
/// Elements of a line of the processor's caches.
pub(super) const LINE: usize = 16;

/// Lines of memory that are fetched one after the other, row by row: a row's lines lie together, the next row's may be pages
/// further, and more prefetches are lost the less lies together.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    line: *const u32,
    /// From here to the end of the row.
    left_in_row: usize,
    in_a_row: usize,
    /// Elements from one row to the next.
    row: usize,
    left: usize,
}

impl Lines {
    pub(super) const NONE: Self = Self::of_rows(std::ptr::null(), 0, 1, 0);

    /// Those of so many rows of `width` elements, the first of them at `first`.
    pub(super) const fn of_rows(first: *const u32, rows: usize, width: usize, row: usize) -> Self {
        let in_a_row = width.div_ceil(LINE);
        Self {
            line: first,
            left_in_row: in_a_row,
            in_a_row,
            row,
            left: rows * in_a_row,
        }
    }

    /// How many there still are.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// So many have been [handed out](Self::next), or more than there were.
    pub(super) fn took(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
    }

    /// The next line; beyond the last, what would follow.
    #[inline(always)]
    pub(super) fn next(&mut self) -> *const u32 {
        let line = self.line;
        self.left_in_row -= 1;
        let (further, left) = if self.left_in_row == 0 {
            (
                self.row.wrapping_sub((self.in_a_row - 1) * LINE),
                self.in_a_row,
            )
        } else {
            (LINE, self.left_in_row)
        };
        self.line = line.wrapping_add(further);
        self.left_in_row = left;
        line
    }
}

/// Some rows of one panel of columns of a product.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// Steps of k.
    pub(super) depth: usize,
    pub(super) rows: usize,
    /// At most [`Kernel::COLUMNS`].
    pub(super) width: usize,
    /// Lane (i, p) lies at `i * a_row + p * a_step`, one of which is 1; where that is `a_row`, i is the row in the first tile, and
    /// lanes of the next lie `a_tile` further.
    pub(super) a: *const u32,
    pub(super) a_row: usize,
    pub(super) a_step: usize,
    pub(super) a_tile: usize,
    /// Lane (p, j) lies at `p * b_step + j` in the columns of the first tile, and `b_tile` further in those of the next.
    pub(super) b: *const u32,
    pub(super) b_step: usize,
    pub(super) b_tile: usize,
    /// Unless it is null, b is copied to here, one tile's columns after the other's and [`Kernel::WIDTH`] lanes a step, by the
    /// first tile, whose loads it takes, and read from here by those after.
    pub(super) pack: *mut u32,
    /// The elements of b that the next panel is made of, or their packed lanes, which are fetched meanwhile.
    pub(super) next: Lines,
    pub(super) out: *mut f32,
    pub(super) out_row: usize,
    pub(super) second: *mut MaybeUninit<f32>,
    pub(super) second_row: usize,
    pub(super) scale: f32,
    /// Whether the product is added to what `out` holds.
    pub(super) add: bool,
    /// Whether it is complete with this.
    pub(super) last: bool,
    /// Where `out` lies in the whole result.
    pub(super) first_row: usize,
    pub(super) first_column: usize,
}

impl Panel {
    /// Hands over a row.
    ///
    /// # Safety
    /// Row `row` of the panel is written, and nobody else touches it or the second result's.
    #[inline(always)]
    pub(super) unsafe fn finish<F: Fn(Finished<'_>)>(&self, row: usize, finish: &F) {
        // SAFETY: the caller's promise.
        let values =
            unsafe { std::slice::from_raw_parts_mut(self.out.add(row * self.out_row), self.width) };
        let second: &mut [MaybeUninit<f32>] = if self.second.is_null() {
            &mut []
        } else {
            // SAFETY: the same.
            unsafe {
                let pointer = self.second.add(row * self.second_row);
                std::slice::from_raw_parts_mut(pointer, self.width)
            }
        };
        finish(Finished {
            row: self.first_row + row,
            column: self.first_column,
            values,
            second,
        });
    }
}

/// A part of a matrix of f32, rows or columns of which are contiguous, that becomes lanes.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// Element (p, j), p along k, lies at `p * stride + j`, or at `j * stride + p` where the columns are contiguous.
    pub(super) pointer: *const f32,
    pub(super) stride: usize,
    /// Elements along k.
    pub(super) k: usize,
    /// Elements across k.
    pub(super) width: usize,
}

/// The loops over a panel, for one set of instructions and one precision. A macro, because only a function of its own can be
/// compiled for a set of instructions.
///
/// The module that calls it has `ROWS`, `WIDTH`, `LANES` and `FETCHES` as in [`Kernel`], and `UNROLL`, the steps of k written
/// out one after the other; a `Vector` of lanes, which is one of sums too, and a `Mask` for the `first` of its lanes; and
/// `zero`, `load`, `load_first`, `load_last`, `store`, `store_first`, `broadcast` and `multiply_add_f32` on these. `rows` are
/// the heights of tiles, `vectors` the widths of those at the edge.
macro_rules! panel_loops {
    (
        $name:ident, $features:literal, $per_lane:literal, $multiply_add:ident,
        rows: [$($rows:literal)*], vectors: [$($vectors:literal)*]
    ) => {
        /// # Safety
        /// As [`Kernel::panel`].
        #[target_feature(enable = $features)]
        unsafe fn $name<F: Fn(Finished<'_>)>(panel: Panel, finish: &F) {
            /// Lines that are fetched while the steps that are written out are done: as few as there are tiles for, since many
            /// at once are lost. With all, one row of tiles has fetched the whole panel.
            const SOME: usize = $per_lane;
            const MORE: usize = 2 * SOME;
            const ALL: usize = UNROLL * $per_lane * WIDTH.div_ceil(LINE);

            // SAFETY: the caller's promises.
            unsafe {
                if panel.a_step == 1 {
                    tiles::<true, F>(panel, finish)
                } else {
                    tiles::<false, F>(panel, finish)
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn tiles<const ALONG: bool, F: Fn(Finished<'_>)>(
                mut panel: Panel,
                finish: &F,
            ) {
                // The tiles that pack nothing share the fetching, if they are enough.
                let fetching = panel.rows.div_ceil(ROWS) - usize::from(!panel.pack.is_null());
                let at_a_time = [SOME, MORE]
                    .into_iter()
                    .find(|at_a_time| fetching * at_a_time >= ALL)
                    .unwrap_or(ALL);
                let mut row = 0;
                while row < panel.rows {
                    // A tile of few rows has too few sums to keep the processor busy: it takes some of the tile's before.
                    let rows = match panel.rows - row {
                        left if ALONG && (ROWS + 1..ROWS + ROWS / 2).contains(&left) => left.div_ceil(2),
                        left => left.min(ROWS),
                    };
                    for column in (0..panel.width).step_by(WIDTH) {
                        // SAFETY: rows `row..row + rows` of the panel, columns from `column` on.
                        unsafe {
                            match WIDTH.min(panel.width - column).div_ceil(LANES) {
                                $($vectors => strip::<$vectors, ALONG>(&mut panel, [row, rows], column, at_a_time),)*
                                _ => strip::<{ WIDTH / LANES }, ALONG>(&mut panel, [row, rows], column, at_a_time),
                            }
                        }
                    }
                    if rows == ROWS && !panel.pack.is_null() {
                        (panel.b, panel.b_step, panel.b_tile) =
                            (panel.pack, WIDTH, panel.depth * WIDTH);
                        panel.pack = std::ptr::null_mut();
                    }
                    if panel.last {
                        for row in row..row + rows {
                            // SAFETY: a row of the panel that has just been written, and the second result's.
                            unsafe { panel.finish(row, finish) };
                        }
                    }
                    row += rows;
                }
            }

            /// `rows` rows of some columns of a panel that make up `V` vectors.
            #[target_feature(enable = $features)]
            unsafe fn strip<const V: usize, const ALONG: bool>(
                panel: &mut Panel,
                [row, rows]: [usize; 2],
                column: usize,
                at_a_time: usize,
            ) {
                let fetch = if panel.next.left() == 0 { 0 } else { at_a_time };
                // SAFETY: the caller's promises.
                unsafe {
                    if rows == ROWS && !panel.pack.is_null() {
                        return tile::<ROWS, V, ALONG, true, 0>(panel, row, column);
                    }
                    match (rows, fetch) {
                        $(
                            ($rows, 0) => tile::<$rows, V, ALONG, false, 0>(panel, row, column),
                            ($rows, SOME) => tile::<$rows, V, ALONG, false, SOME>(panel, row, column),
                            ($rows, MORE) => tile::<$rows, V, ALONG, false, MORE>(panel, row, column),
                            ($rows, _) => tile::<$rows, V, ALONG, false, ALL>(panel, row, column),
                        )*
                        _ => unreachable!("no tile is higher than {ROWS} rows"),
                    }
                }
            }

            /// `R` rows from `row` and `V` vectors from `column` on; packs b if `PACK`, and fetches lines of the next panel,
            /// `FETCH` at a time. `ALONG` says that rows of a are contiguous; otherwise columns are.
            #[inline(never)]
            #[target_feature(enable = $features)]
            unsafe fn tile<
                const R: usize,
                const V: usize,
                const ALONG: bool,
                const PACK: bool,
                const FETCH: usize,
            >(
                panel: &mut Panel,
                row: usize,
                column: usize,
            ) {
                // Copies, which writing through pointers cannot change.
                let Panel { b_step, mut next, .. } = *panel;
                let width = (panel.width - column).min(V * LANES);
                let last = first(width - (V - 1) * LANES);
                let mut sums = [[zero(); V]; R];
                // SAFETY: lanes of a and b, elements of out within the panel, as its caller promised; the last vector is
                // masked to the panel's width. A step of `pack` has room for all vectors; prefetching touches nothing,
                // whatever the address.
                unsafe {
                    let (a, a_row, a_step) = if ALONG {
                        (panel.a.add(row * panel.a_row), panel.a_row, 1)
                    } else {
                        (panel.a.add(row / ROWS * panel.a_tile), 1, panel.a_step)
                    };
                    let b = panel.b.add(column / WIDTH * panel.b_tile);
                    let pack = panel.pack.wrapping_add(column * panel.depth);
                    let out = panel.out.add(row * panel.out_row + column);
                    if FETCHES {
                        for i in 0..R {
                            let row = out.wrapping_add(i * panel.out_row);
                            _mm_prefetch::<_MM_HINT_T0>(row.cast());
                            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(V * LANES - 1).cast());
                        }
                    }
                    let mut step = |p: usize| {
                        let row = b.add(p * b_step);
                        let mut b = [zero(); V];
                        for (v, b) in b.iter_mut().enumerate() {
                            let from = row.add(v * LANES);
                            *b = if v + 1 == V {
                                load_last(last, from)
                            } else {
                                load(from)
                            };
                            if PACK {
                                let ahead = row.wrapping_add(AHEAD * b_step + v * LANES);
                                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                                store(pack.add(p * WIDTH + v * LANES), *b);
                            }
                        }
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let a = broadcast(*a.add(i * a_row + p * a_step));
                            for (sum, &b) in sums.iter_mut().zip(&b) {
                                *sum = $multiply_add(*sum, a, b);
                            }
                        }
                    };
                    let unrolled = if PACK { 0 } else { panel.depth / UNROLL * UNROLL };
                    for p in (0..unrolled).step_by(UNROLL) {
                        for _ in 0..FETCH {
                            _mm_prefetch::<_MM_HINT_T1>(next.next().cast());
                        }
                        for i in 0..UNROLL {
                            step(p + i);
                        }
                    }
                    for p in unrolled..panel.depth {
                        step(p);
                    }
                    if FETCH > 0 {
                        next.took(unrolled / UNROLL * FETCH);
                        panel.next = next;
                    }
                    let scale = broadcast(panel.scale.to_bits());
                    for (i, sums) in sums.iter().enumerate() {
                        let out: *mut u32 = out.add(i * panel.out_row).cast();
                        for (v, &sum) in sums.iter().enumerate() {
                            let to = out.add(v * LANES);
                            let old = match (panel.add, v + 1 == V) {
                                (false, _) => zero(),
                                (true, true) => load_first(last, to),
                                (true, false) => load(to),
                            };
                            let new = multiply_add_f32(old, sum, scale);
                            if v + 1 == V {
                                store_first(last, to, new);
                            } else {
                                store(to, new);
                            }
                        }
                    }
                }
            }
        }
    };
}

pub(super) use panel_loops;
