//! The inner loops on AVX-512: a tile of 8 rows and up to 48 columns of a product is kept in 24 registers while its
//! factors stream by, one step of k at a time: three vectors of b, and each of the 8 rows of a broadcast against them.
//!
//! Both precisions see their operands as lanes of 32 bits, one f32 or a pair of bf16 that stand one after the other along k.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::Finished;

/// Rows of a tile.
pub(super) const ROWS: usize = 8;
/// Columns of a tile: three vectors.
pub(super) const COLUMNS: usize = 3 * LANES;
/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// Rows between one that is packed and one that is fetched from memory: they are pages apart, which the processor does not
/// foresee.
const AHEAD: usize = 16;

/// Some rows of one panel of columns of a product.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// Steps of k.
    pub(super) depth: usize,
    pub(super) rows: usize,
    /// At most [`COLUMNS`].
    pub(super) width: usize,
    /// Lane (i, p) lies at `i * a_row + p * a_step`.
    pub(super) a: *const u32,
    pub(super) a_row: usize,
    pub(super) a_step: usize,
    /// Lane (p, j) lies at `p * b_step + j`.
    pub(super) b: *const u32,
    pub(super) b_step: usize,
    /// Unless it is null, b is copied to here, [`COLUMNS`] lanes a step, by the first tile, whose loads it takes, and read
    /// from here by those after.
    pub(super) pack: *mut u32,
    /// Unless it is null, the elements of b that the next panel is made of, which are fetched meanwhile.
    pub(super) next: *const f32,
    /// From one of their rows to the next.
    pub(super) next_row: usize,
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

/// The lanes of the last vector of a panel.
fn last_lanes(width: usize) -> __mmask16 {
    let lanes = width - (width - 1) / LANES * LANES;
    (u32::MAX >> (32 - lanes)) as __mmask16
}

/// A kernel's loops over a panel. They are the same for both precisions but for the instruction in the middle, and for the
/// processors that have it.
macro_rules! kernel {
    ($name:ident, $features:literal, $per_lane:literal, $multiply_add:ident) => {
        /// # Safety
        /// The processor has the features; all lanes that the panel describes may be read, all elements of `out` written and,
        /// if `add`, read, those of `second` and `pack` written unless they are null, and nobody else touches those.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name<F: Fn(Finished<'_>)>(panel: Panel, finish: &F) {
            // SAFETY: the caller's promises.
            unsafe {
                match panel.width.div_ceil(LANES) {
                    1 => strips::<1, F>(panel, finish),
                    2 => strips::<2, F>(panel, finish),
                    _ => strips::<3, F>(panel, finish),
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn strips<const V: usize, F: Fn(Finished<'_>)>(mut panel: Panel, finish: &F) {
                // The tiles that pack nothing share the fetching.
                let fetching =
                    (panel.rows / ROWS).saturating_sub(usize::from(!panel.pack.is_null()));
                let vectors = if panel.next.is_null() { 0 } else { V };
                let at_a_time = vectors.div_ceil(fetching.max(1));
                let (mut row, mut fetched) = (0, 0);
                while row < panel.rows {
                    let rows = ROWS.min(panel.rows - row);
                    // SAFETY: rows `row..row + rows` of the panel.
                    unsafe {
                        match rows {
                            1 => tile::<1, V, false, false>(&panel, row, 0..0),
                            2 => tile::<2, V, false, false>(&panel, row, 0..0),
                            3 => tile::<3, V, false, false>(&panel, row, 0..0),
                            4 => tile::<4, V, false, false>(&panel, row, 0..0),
                            5 => tile::<5, V, false, false>(&panel, row, 0..0),
                            6 => tile::<6, V, false, false>(&panel, row, 0..0),
                            7 => tile::<7, V, false, false>(&panel, row, 0..0),
                            _ if !panel.pack.is_null() => {
                                tile::<ROWS, V, true, false>(&panel, row, 0..0);
                                (panel.b, panel.b_step) = (panel.pack, COLUMNS);
                                panel.pack = std::ptr::null_mut();
                            }
                            _ if fetched < vectors => {
                                let fetch = fetched..(fetched + at_a_time).min(vectors);
                                fetched = fetch.end;
                                tile::<ROWS, V, false, true>(&panel, row, fetch);
                            }
                            _ => tile::<ROWS, V, false, false>(&panel, row, 0..0),
                        }
                    }
                    if panel.last {
                        for row in row..row + rows {
                            // SAFETY: a row of the panel that has just been written, and the second result's.
                            unsafe { finished(&panel, row, finish) };
                        }
                    }
                    row += rows;
                }
            }

            /// `R` rows from `first` on; packs b if `PACK`, and fetches those vectors of the next panel's rows if `FETCH`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn tile<const R: usize, const V: usize, const PACK: bool, const FETCH: bool>(
                panel: &Panel,
                first: usize,
                fetch: Range<usize>,
            ) {
                let lanes = last_lanes(panel.width);
                let mut sums = [[_mm512_setzero_ps(); V]; R];
                // SAFETY: lanes of a and b, elements of out within the panel, as its caller promised; the last vector is
                // masked to the panel's width. A step of `pack` has room for all vectors; prefetching touches nothing,
                // whatever the address.
                unsafe {
                    let a = panel.a.add(first * panel.a_row);
                    for p in 0..panel.depth {
                        if FETCH {
                            for row in p * $per_lane..(p + 1) * $per_lane {
                                let row = panel.next.wrapping_add(row * panel.next_row);
                                for v in fetch.clone() {
                                    let vector = row.wrapping_add(v * LANES);
                                    _mm_prefetch::<_MM_HINT_T1>(vector.cast());
                                }
                            }
                        }
                        let row = panel.b.add(p * panel.b_step);
                        let mut b = [_mm512_setzero_si512(); V];
                        for (v, b) in b.iter_mut().enumerate() {
                            let from = row.add(v * LANES).cast();
                            *b = if v + 1 == V {
                                _mm512_maskz_loadu_epi32(lanes, from)
                            } else {
                                _mm512_loadu_epi32(from)
                            };
                            if PACK {
                                let ahead = row.wrapping_add(AHEAD * panel.b_step + v * LANES);
                                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                                let to = panel.pack.add(p * COLUMNS + v * LANES);
                                _mm512_storeu_epi32(to.cast(), *b);
                            }
                        }
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let a = _mm512_set1_epi32(
                                *a.add(i * panel.a_row + p * panel.a_step) as i32
                            );
                            for (sum, &b) in sums.iter_mut().zip(&b) {
                                *sum = $multiply_add(*sum, a, b);
                            }
                        }
                    }
                    let scale = _mm512_set1_ps(panel.scale);
                    for (i, sums) in sums.iter().enumerate() {
                        let out = panel.out.add((first + i) * panel.out_row);
                        for (v, &sum) in sums.iter().enumerate() {
                            let to = out.add(v * LANES);
                            let lanes = if v + 1 == V { lanes } else { __mmask16::MAX };
                            let old = if panel.add {
                                _mm512_maskz_loadu_ps(lanes, to)
                            } else {
                                _mm512_setzero_ps()
                            };
                            _mm512_mask_storeu_ps(to, lanes, _mm512_fmadd_ps(sum, scale, old));
                        }
                    }
                }
            }
        }
    };
}

kernel!(panel_f32, "avx512f", 1, multiply_add_f32);
kernel!(panel_bf16, "avx512f,avx512bf16", 2, multiply_add_bf16);

#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add_f32(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_add_bf16(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: both types are 512 bits, any of which are values of either.
    let [a, b] = [a, b].map(|x| unsafe { std::mem::transmute::<__m512i, __m512bh>(x) });
    _mm512_dpbf16_ps(sum, a, b)
}

/// # Safety
/// Row `row` of the panel is written, and nobody else touches it or the second result's.
#[inline(always)]
unsafe fn finished<F: Fn(Finished<'_>)>(panel: &Panel, row: usize, finish: &F) {
    // SAFETY: the caller's promise.
    let values =
        unsafe { std::slice::from_raw_parts_mut(panel.out.add(row * panel.out_row), panel.width) };
    let second: &mut [MaybeUninit<f32>] = if panel.second.is_null() {
        &mut []
    } else {
        // SAFETY: the same.
        unsafe {
            let pointer = panel.second.add(row * panel.second_row);
            std::slice::from_raw_parts_mut(pointer, panel.width)
        }
    };
    finish(Finished {
        row: panel.first_row + row,
        column: panel.first_column,
        values,
        second,
    });
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

/// Steps of k as lanes, each `width` lanes long and `pitch` from the next, of a matrix that is contiguous across k.
///
/// # Safety
/// The processor has the features; the source may be read, and `to` has room for its steps.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn copy_f32(source: Source, to: *mut u32, pitch: usize) {
    for p in 0..source.k {
        // SAFETY: row p of the source and step p of the target. Prefetching touches nothing, whatever the address.
        unsafe {
            let (from, to) = (source.pointer.add(p * source.stride), to.add(p * pitch));
            let ahead = from.wrapping_add(AHEAD * source.stride);
            let mut column = 0;
            while column < source.width {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(column).cast());
                let lanes = first(source.width - column);
                let values = _mm512_maskz_loadu_ps(lanes, from.add(column));
                _mm512_mask_storeu_ps(to.add(column).cast(), lanes, values);
                column += LANES;
            }
        }
    }
}

/// The same in bf16: rows 2p and 2p + 1 become the pairs of step p; behind an odd last row stand zeros.
///
/// # Safety
/// As [`copy_f32`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn copy_bf16(source: Source, to: *mut u32, pitch: usize) {
    for step in 0..source.k.div_ceil(2) {
        let mut column = 0;
        while column < source.width {
            let lanes = last_lanes((source.width - column).min(LANES));
            // SAFETY: up to 16 columns of two rows of the source, or one and zeros, and of one step of the target. Prefetching
            // touches nothing, whatever the address.
            unsafe {
                let from = source.pointer.add(2 * step * source.stride + column);
                let ahead = from.wrapping_add(AHEAD * source.stride);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(source.stride).cast());
                let even = _mm512_maskz_loadu_ps(lanes, from);
                let odd = if 2 * step + 1 < source.k {
                    _mm512_maskz_loadu_ps(lanes, from.add(source.stride))
                } else {
                    _mm512_setzero_ps()
                };
                let (even, odd) = (rounded(even), rounded(odd));
                let pairs = _mm512_or_epi32(even, _mm512_slli_epi32::<16>(odd));
                _mm512_mask_storeu_epi32(to.add(step * pitch + column).cast(), lanes, pairs);
            }
            column += LANES;
        }
    }
}

/// As bf16, in the low halves of lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn rounded(x: __m512) -> __m512i {
    // SAFETY: both types are 256 bits, any of which are values of either.
    let x = unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) };
    _mm512_cvtepu16_epi32(x)
}

/// A mask of the first `count` of 16.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    if count >= LANES {
        __mmask16::MAX
    } else {
        (1 << count) - 1
    }
}

/// 16 lanes of a column that is contiguous along k, of which `left` elements are left; zeros beyond.
///
/// # Safety
/// The processor has the features, and the elements that are left may be read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_f32(from: *const f32, left: usize) -> __m512i {
    // SAFETY: no more than are left.
    unsafe { _mm512_maskz_loadu_epi32(first(left), from.cast()) }
}

/// The same as pairs of bf16.
///
/// # Safety
/// As [`load_f32`].
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn load_bf16(from: *const f32, left: usize) -> __m512i {
    // SAFETY: no more than are left; both types of the last line are 512 bits, any of which are values of either.
    unsafe {
        let low = _mm512_maskz_loadu_ps(first(left), from);
        let high = if left > LANES {
            _mm512_maskz_loadu_ps(first(left - LANES), from.add(LANES))
        } else {
            _mm512_setzero_ps()
        };
        std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
    }
}

macro_rules! transposing {
    ($transpose:ident, $features:literal, $per_lane:literal, $load:ident) => {
        /// Steps of k as lanes, `pitch` from one to the next, of a matrix that is contiguous along k: sixteen columns at a time
        /// are turned in registers.
        ///
        /// # Safety
        /// As [`copy_f32`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $transpose(source: Source, to: *mut u32, pitch: usize) {
            let steps = source.k.div_ceil($per_lane);
            let whole_steps = source.k / $per_lane / LANES * LANES;
            let mut column = 0;
            while column < source.width {
                let columns = LANES.min(source.width - column);
                let mut step = 0;
                while step < steps {
                    // SAFETY: a square of lanes of the source, as far as there are, and of the target.
                    unsafe {
                        let start = step * $per_lane;
                        let part = Source {
                            pointer: source.pointer.add(column * source.stride + start),
                            k: source.k - start,
                            width: columns,
                            ..source
                        };
                        let to = to.add(step * pitch + column);
                        if columns == LANES && step < whole_steps {
                            square::<true>(part, to, pitch, LANES);
                        } else {
                            square::<false>(part, to, pitch, steps - step);
                        }
                    }
                    step += LANES;
                }
                column += LANES;
            }

            /// Up to 16 lanes of up to 16 columns; `WHOLE` where there are as many of both.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn square<const WHOLE: bool>(
                source: Source,
                to: *mut u32,
                pitch: usize,
                steps: usize,
            ) {
                let mut lines = [_mm512_setzero_si512(); LANES];
                for j in 0..LANES {
                    if WHOLE || j < source.width {
                        // SAFETY: what is left of a column of the source.
                        lines[j] = unsafe {
                            let left = if WHOLE { LANES * $per_lane } else { source.k };
                            $load(source.pointer.add(j * source.stride), left)
                        };
                    }
                }
                let lines = transposed(lines);
                let lanes = if WHOLE {
                    __mmask16::MAX
                } else {
                    first(source.width)
                };
                for p in 0..LANES {
                    if WHOLE || p < steps {
                        // SAFETY: lanes of a step of the target.
                        unsafe {
                            _mm512_mask_storeu_epi32(to.add(p * pitch).cast(), lanes, lines[p])
                        };
                    }
                }
            }
        }
    };
}

transposing!(transpose_f32, "avx512f", 1, load_f32);
transposing!(transpose_bf16, "avx512f,avx512bf16", 2, load_bf16);

/// The columns of a matrix that is contiguous along k as pairs along k, `pitch` lanes from one column to the next.
///
/// # Safety
/// As [`copy_f32`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn rows_bf16(source: Source, to: *mut u32, pitch: usize) {
    let steps = source.k.div_ceil(2);
    for column in 0..source.width {
        let mut step = 0;
        while step < steps {
            // SAFETY: what is left of a column of the source, and of the target's.
            unsafe {
                let from = source.pointer.add(column * source.stride + 2 * step);
                let lanes = load_bf16(from, source.k - 2 * step);
                let to = to.add(column * pitch + step);
                _mm512_mask_storeu_epi32(to.cast(), first(steps - step), lanes);
            }
            step += LANES;
        }
    }
}

/// Sixteen vectors as the columns of sixteen vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(x: [__m512i; LANES]) -> [__m512i; LANES] {
    // Squares of 2, 4, 8 and 16 lanes in turn: in each pair of lines that lie `distance` apart, two halves are exchanged.
    let mut y = x;
    for i in 0..8 {
        y[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        y[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    let mut z = y;
    for i in 0..4 {
        for j in 0..2 {
            z[4 * i + 2 * j] = _mm512_unpacklo_epi64(y[4 * i + j], y[4 * i + j + 2]);
            z[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(y[4 * i + j], y[4 * i + j + 2]);
        }
    }
    // z[4 i + j] holds columns j, j + 4, j + 8, j + 12 of lines 4 i to 4 i + 3.
    let mut out = x;
    for j in 0..4 {
        let (a, b, c, d) = (z[j], z[4 + j], z[8 + j], z[12 + j]);
        let (ab_even, cd_even) = (
            _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b),
            _mm512_shuffle_i32x4::<0b10_00_10_00>(c, d),
        );
        let (ab_odd, cd_odd) = (
            _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d),
        );
        out[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_even, cd_even);
        out[j + 8] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_even, cd_even);
        out[j + 4] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_odd, cd_odd);
        out[j + 12] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_odd, cd_odd);
    }
    out
}
