//! Feeds an entry point with damaged forms of good inputs: it may refuse them, but not panic, not hang, and not take more
//! memory than a small multiple of the input. `PROPTEST_CASES` says how many; the fuzz targets in `bert-core/fuzz` feed
//! the same entry points with what a coverage-guided fuzzer finds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Counts what is allocated, to know the most at any time.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What an entry point may take beside `MEMORY_PER_BYTE`: buffers of a fixed size.
const MEMORY: usize = 16 << 20;
const MEMORY_PER_BYTE: usize = 64;
const TIME: Duration = Duration::from_secs(10);

/// One change to an input.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Swap(usize, usize),
    Insert(usize, &'static [u8]),
    /// In place of as many bytes.
    Overwrite(usize, &'static [u8]),
    Many(usize, u8, usize),
}

/// What breaks programs.
const PIECES: [&[u8]; 30] = [
    b"\0",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\t",
    b"-1",
    b"0",
    b"1e999",
    b"null",
    b"true",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"0.1",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\"\"",
    b"{}",
    b"[]",
    b"../",
    b"/dev/zero",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00\x01\x00\x00\x00",
];

fn damage() -> impl Strategy<Value = Damage> {
    let at = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    let piece = || prop::sample::select(&PIECES[..]);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        at().prop_map(Damage::Cut),
        (at(), 1..64_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), 1..64_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        (at(), at()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (at(), piece()).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (at(), piece()).prop_map(|(at, piece)| Damage::Overwrite(at, piece)),
        (at(), any::<u8>(), 1..2000_usize)
            .prop_map(|(at, byte, count)| Damage::Many(at, byte, count)),
    ]
}

fn apply(input: &mut Vec<u8>, damage: &Damage) {
    let place = |at: usize| at % (input.len() + 1);
    match *damage {
        Damage::Flip(at, bits) => {
            let at = place(at);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= bits;
            }
        }
        Damage::Cut(at) => input.truncate(place(at)),
        Damage::Remove(at, length) => {
            let at = place(at);
            let end = (at + length).min(input.len());
            input.drain(at..end);
        }
        Damage::Repeat(at, length) => {
            let at = place(at);
            let end = (at + length).min(input.len());
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        Damage::Swap(a, b) => {
            let (a, b) = (place(a), place(b));
            if a < input.len() && b < input.len() {
                input.swap(a, b);
            }
        }
        Damage::Insert(at, piece) => {
            let at = place(at);
            input.splice(at..at, piece.iter().copied());
        }
        Damage::Overwrite(at, piece) => {
            let at = place(at);
            let end = (at + piece.len()).min(input.len());
            input.splice(at..end, piece.iter().copied());
        }
        Damage::Many(at, byte, count) => {
            let at = place(at);
            input.splice(at..at, std::iter::repeat_n(byte, count));
        }
    }
}

/// Calls `entry` with each of the seeds as it is, which must be good, and with damaged forms of all of them.
pub(crate) fn withstands(entry: fn(&[u8]) -> bool, seeds: &[Vec<u8>]) {
    // The count is of the whole process: one at a time.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, seed) in seeds.iter().enumerate() {
        assert!(measured(entry, seed), "seed {number} should be good");
    }
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let inputs = (0..seeds.len(), prop::collection::vec(damage(), 1..6));
    let tested = TestRunner::new(config).run(&inputs, |(seed, damages)| {
        let mut input = seeds[seed].clone();
        for damage in &damages {
            apply(&mut input, damage);
        }
        measured(entry, &input);
        Ok(())
    });
    if let Err(error) = tested {
        panic!("{error}");
    }
}

fn measured(entry: fn(&[u8]) -> bool, input: &[u8]) -> bool {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let started = Instant::now();
    let good = entry(input);
    let took = started.elapsed();
    let most = MOST.load(Ordering::Relaxed).saturating_sub(before);
    let allowed = MEMORY + MEMORY_PER_BYTE * input.len();
    assert!(
        most <= allowed,
        "{} bytes took {most} bytes of memory",
        input.len()
    );
    assert!(took < TIME, "{} bytes took {took:?}", input.len());
    good
}
