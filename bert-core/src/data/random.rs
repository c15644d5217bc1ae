//! Random numbers as a function of where they are used: (seed, purpose, indices), never of threads or history.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator for one use. Equal arguments give equal numbers, on any machine and in any order of calls;
/// different ones give unrelated streams.
///
/// `purpose` keeps uses apart that share their indices, such as `"mask"` and `"pair"` of the same example.
pub fn generator(seed: u64, purpose: &str, indices: &[u64]) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, purpose, indices))
}

/// The 64-bit seed behind [`generator`], for other consumers of seeds (Burn's backends, dropout).
pub fn derive(seed: u64, purpose: &str, indices: &[u64]) -> u64 {
    let mut state = mix(seed ^ 0x6265_7274_2d72_6e67); // "bert-rng"
    for byte in purpose.bytes() {
        state = mix(state ^ u64::from(byte));
    }
    for &index in indices {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ index);
    }
    state
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads every bit over all others.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arguments_give_equal_seeds_and_each_argument_matters() {
        let base = derive(1, "mask", &[2, 3]);
        assert_eq!(base, derive(1, "mask", &[2, 3]));
        for other in [
            derive(2, "mask", &[2, 3]),
            derive(1, "pair", &[2, 3]),
            derive(1, "mask", &[3, 2]),
            derive(1, "mask", &[2]),
            derive(1, "mask", &[2, 3, 0]),
        ] {
            assert_ne!(base, other);
        }
    }
}
