//! Products on AVX-512: tiles of 8 rows and up to 48 columns, which are 24 of 32 registers.

use std::arch::x86_64::*;

use super::Finished;
use super::kernel::{AHEAD, Kernel, LINE, Panel, Source, panel_loops};

const ROWS: usize = 8;
const WIDTH: usize = 3 * LANES;
const COLUMNS: usize = WIDTH;
const UNROLL: usize = 1;
const LANES: usize = 16;
const FETCHES: bool = false;

/// Products in f32, with AVX512F.
pub(super) struct F32;

impl Kernel for F32 {
    const ROWS: usize = ROWS;
    const WIDTH: usize = WIDTH;
    const COLUMNS: usize = COLUMNS;
    const LANES: usize = LANES;
    const PER_LANE: usize = 1;
    const BLOCK: usize = 8 * ROWS;
    const READS_PARTS: bool = true;
    const PACKS_A: bool = false;
    const PACKS_ALONE: bool = false;
    const FETCHES: bool = FETCHES;
    /// 192 KiB of a panel and 256 KiB of a block of rows.
    const STEPS: usize = 1024;
    const STEPS_OF_FEW: usize = Self::STEPS;
    const STEPS_UNPACKED: usize = Self::STEPS;

    unsafe fn panel<F: Fn(Finished<'_>)>(panel: Panel, finish: &F) {
        // SAFETY: the caller's promises.
        unsafe { panel_f32(panel, finish) }
    }

    unsafe fn copy(source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the caller's promises.
        unsafe { copy_f32(source, to, pitch) }
    }

    unsafe fn transpose(source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the caller's promises.
        unsafe { transpose_f32(source, to, pitch) }
    }
}

/// Products in bf16, with AVX512_BF16.
pub(super) struct Bf16;

impl Kernel for Bf16 {
    const ROWS: usize = ROWS;
    const WIDTH: usize = WIDTH;
    const COLUMNS: usize = COLUMNS;
    const LANES: usize = LANES;
    const PER_LANE: usize = 2;
    const BLOCK: usize = F32::BLOCK;
    const READS_PARTS: bool = true;
    const PACKS_A: bool = false;
    const PACKS_ALONE: bool = false;
    const FETCHES: bool = FETCHES;
    const STEPS: usize = F32::STEPS;
    const STEPS_OF_FEW: usize = Self::STEPS;
    const STEPS_UNPACKED: usize = Self::STEPS;

    unsafe fn panel<F: Fn(Finished<'_>)>(panel: Panel, finish: &F) {
        // SAFETY: the caller's promises.
        unsafe { panel_bf16(panel, finish) }
    }

    unsafe fn copy(source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the caller's promises.
        unsafe { copy_bf16(source, to, pitch) }
    }

    unsafe fn transpose(source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the caller's promises.
        unsafe { transpose_bf16(source, to, pitch) }
    }

    unsafe fn convert(source: Source, to: *mut u32, pitch: usize) {
        // SAFETY: the caller's promises.
        unsafe { rows_bf16(source, to, pitch) }
    }
}

panel_loops!(
    panel_f32, "avx512f", 1, multiply_add_f32,
    rows: [1 2 3 4 5 6 7 8], vectors: [1 2]
);
panel_loops!(
    panel_bf16, "avx512f,avx512bf16", 2, multiply_add_bf16,
    rows: [1 2 3 4 5 6 7 8], vectors: [1 2]
);

type Vector = __m512;
type Mask = __mmask16;

#[inline(always)]
fn first(count: usize) -> Mask {
    if count >= LANES {
        Mask::MAX
    } else {
        (1 << count) - 1
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> Vector {
    _mm512_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const u32) -> Vector {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_ps(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_first(lanes: Mask, from: *const u32) -> Vector {
    // SAFETY: the caller's promise, for these lanes alone.
    unsafe { _mm512_maskz_loadu_ps(lanes, from.cast()) }
}

/// The last vector of a panel's row.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_last(lanes: Mask, from: *const u32) -> Vector {
    // SAFETY: the caller's promise, for these lanes alone.
    unsafe { load_first(lanes, from) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(to: *mut u32, vector: Vector) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_storeu_ps(to.cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_first(lanes: Mask, to: *mut u32, vector: Vector) {
    // SAFETY: the caller's promise, for these lanes alone.
    unsafe { _mm512_mask_storeu_ps(to.cast(), lanes, vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(lane: u32) -> Vector {
    _mm512_castsi512_ps(_mm512_set1_epi32(lane as i32))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add_f32(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm512_fmadd_ps(a, b, sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_add_bf16(sum: Vector, a: Vector, b: Vector) -> Vector {
    // SAFETY: both types are 512 bits, any of which are values of either.
    let [a, b] = [a, b].map(|x| unsafe { std::mem::transmute::<Vector, __m512bh>(x) });
    _mm512_dpbf16_ps(sum, a, b)
}

/// Steps of k as lanes, each `width` lanes long and `pitch` from the next, of a matrix that is contiguous across k.
///
/// # Safety
/// The processor has the features; the source may be read, and `to` has room for its steps.
#[target_feature(enable = "avx512f")]
unsafe fn copy_f32(source: Source, to: *mut u32, pitch: usize) {
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
unsafe fn copy_bf16(source: Source, to: *mut u32, pitch: usize) {
    for step in 0..source.k.div_ceil(2) {
        let mut column = 0;
        while column < source.width {
            let lanes = first(source.width - column);
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
        unsafe fn $transpose(source: Source, to: *mut u32, pitch: usize) {
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
                    Mask::MAX
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
unsafe fn rows_bf16(source: Source, to: *mut u32, pitch: usize) {
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
