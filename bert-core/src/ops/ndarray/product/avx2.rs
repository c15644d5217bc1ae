//! Products on AVX2: tiles of 6 rows and up to 16 columns, which are 12 of 16 registers; three of them make a panel.

use std::arch::x86_64::*;

use super::Finished;
use super::kernel::{AHEAD, Kernel, LINE, Panel, Source, panel_loops};

const ROWS: usize = 6;
const WIDTH: usize = 2 * LANES;
const COLUMNS: usize = 3 * WIDTH;
const UNROLL: usize = 4;
const LANES: usize = 8;
const FETCHES: bool = true;

/// Products in f32, with AVX2 and FMA.
pub(super) struct F32;

impl Kernel for F32 {
    const ROWS: usize = ROWS;
    const WIDTH: usize = WIDTH;
    const COLUMNS: usize = COLUMNS;
    const LANES: usize = LANES;
    const PER_LANE: usize = 1;
    const BLOCK: usize = 12 * ROWS;
    const READS_PARTS: bool = false;
    const PACKS_A: bool = true;
    const PACKS_ALONE: bool = true;
    const FETCHES: bool = FETCHES;
    /// 144 KiB of a panel, as much of the next, and 216 KiB of a block of rows.
    const STEPS: usize = 768;
    const STEPS_OF_FEW: usize = 192;
    const STEPS_UNPACKED: usize = 32;

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

    unsafe fn copy_tiles(source: Source, to: *mut u32, tile: usize) {
        // SAFETY: the caller's promises.
        unsafe { copy_tiles_f32(source, to, tile) }
    }
}

panel_loops!(
    panel_f32, "avx2,fma", 1, multiply_add_f32,
    rows: [1 2 3 4 5 6], vectors: [1]
);

type Vector = __m256;

/// Lanes from the first on.
#[derive(Clone, Copy)]
struct Mask {
    lanes: __m256i,
    all: bool,
}

#[inline]
#[target_feature(enable = "avx2")]
fn first(count: usize) -> Mask {
    let count_everywhere = _mm256_set1_epi32(count.min(LANES) as i32);
    let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    Mask {
        lanes: _mm256_cmpgt_epi32(count_everywhere, places),
        all: count >= LANES,
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn zero() -> Vector {
    _mm256_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(from: *const u32) -> Vector {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_ps(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_first(lanes: Mask, from: *const u32) -> Vector {
    // SAFETY: the caller's promise, for these lanes alone.
    unsafe { _mm256_maskload_ps(from.cast(), lanes.lanes) }
}

/// The last vector of a panel's row, which is whole in memory: a mask would take the register that is left, and more.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_last(_: Mask, from: *const u32) -> Vector {
    // SAFETY: the caller's promise, [`Kernel::READS_PARTS`] being false.
    unsafe { load(from) }
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(to: *mut u32, vector: Vector) {
    // SAFETY: the caller's promise.
    unsafe { _mm256_storeu_ps(to.cast(), vector) }
}

/// A masked store takes many times as long as a whole one.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_first(lanes: Mask, to: *mut u32, vector: Vector) {
    // SAFETY: the caller's promise, for these lanes alone.
    unsafe {
        if lanes.all {
            _mm256_storeu_ps(to.cast(), vector);
        } else {
            _mm256_maskstore_ps(to.cast(), lanes.lanes, vector);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(lane: u32) -> Vector {
    _mm256_castsi256_ps(_mm256_set1_epi32(lane as i32))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_f32(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm256_fmadd_ps(a, b, sum)
}

/// See [`Kernel::copy`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn copy_f32(source: Source, to: *mut u32, pitch: usize) {
    for p in 0..source.k {
        // SAFETY: row p of the source and step p of the target. Prefetching touches nothing, whatever the address.
        unsafe {
            let from: *const u32 = source.pointer.add(p * source.stride).cast();
            let to = to.add(p * pitch);
            let ahead = from.wrapping_add(AHEAD * source.stride);
            let mut column = 0;
            while column < source.width {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(column).cast());
                let lanes = first(source.width - column);
                store_first(lanes, to.add(column), load_first(lanes, from.add(column)));
                column += LANES;
            }
        }
    }
}

/// See [`Kernel::copy_tiles`]: six lanes are four and two, since a masked store takes many times as long.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn copy_tiles_f32(source: Source, to: *mut u32, tile: usize) {
    let whole = source.width / ROWS * ROWS;
    for p in 0..source.k {
        // SAFETY: row p of the source and step p of every tile of the target. Prefetching touches nothing, whatever the address.
        unsafe {
            let from: *const u32 = source.pointer.add(p * source.stride).cast();
            let ahead = from.wrapping_add(AHEAD * source.stride);
            let mut to = to.add(p * ROWS);
            for row in (0..whole).step_by(ROWS) {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(row).cast());
                let from = from.add(row);
                _mm_storeu_si128(to.cast(), _mm_loadu_si128(from.cast()));
                _mm_storel_epi64(to.add(4).cast(), _mm_loadl_epi64(from.add(4).cast()));
                to = to.wrapping_add(tile);
            }
            for row in whole..source.width {
                *to.add(row - whole) = *from.add(row);
            }
        }
    }
}

/// See [`Kernel::transpose`]: eight columns at a time are turned in registers.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn transpose_f32(source: Source, to: *mut u32, pitch: usize) {
    for column in (0..source.width).step_by(LANES) {
        for step in (0..source.k).step_by(LANES) {
            // SAFETY: a square of lanes of the source, as far as there are, and of the target.
            unsafe {
                let part = Source {
                    pointer: source.pointer.add(column * source.stride + step),
                    stride: source.stride,
                    k: (source.k - step).min(LANES),
                    width: (source.width - column).min(LANES),
                };
                let to = to.add(step * pitch + column);
                if part.k == LANES && part.width == LANES {
                    square::<true>(part, to, pitch);
                } else {
                    square::<false>(part, to, pitch);
                }
            }
        }
    }
}

/// Up to eight lanes of up to eight columns; `WHOLE` where there are as many of both.
///
/// # Safety
/// As [`transpose_f32`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn square<const WHOLE: bool>(source: Source, to: *mut u32, pitch: usize) {
    let mut lines = [zero(); LANES];
    for (j, line) in lines.iter_mut().enumerate() {
        // SAFETY: what is left of a column of the source, as far as there are columns.
        unsafe {
            let from = source.pointer.wrapping_add(j * source.stride).cast();
            if WHOLE {
                *line = load(from);
            } else if j < source.width {
                *line = load_first(first(source.k), from);
            }
        }
    }
    for (p, line) in transposed(lines).into_iter().enumerate() {
        // SAFETY: lanes of a step of the target, as far as there are steps.
        unsafe {
            let to = to.wrapping_add(p * pitch);
            if WHOLE {
                store(to, line);
            } else if p < source.k {
                store_first(first(source.width), to, line);
            }
        }
    }
}

/// Eight vectors as the columns of eight vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(x: [Vector; LANES]) -> [Vector; LANES] {
    // Pairs of lines are interleaved, then pairs of pairs: y[4 i + j] holds columns j and j + 4 of lines 4 i to 4 i + 3.
    let mut y = x;
    for i in 0..2 {
        let [a, b, c, d] = [x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]];
        let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        y[4 * i] = _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low);
        y[4 * i + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low);
        y[4 * i + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high);
        y[4 * i + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high);
    }
    let mut out = x;
    for j in 0..4 {
        out[j] = _mm256_permute2f128_ps::<0x20>(y[j], y[4 + j]);
        out[4 + j] = _mm256_permute2f128_ps::<0x31>(y[j], y[4 + j]);
    }
    out
}
