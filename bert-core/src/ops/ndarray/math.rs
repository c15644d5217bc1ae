//! Functions of f32 that the compiler turns into vector instructions, and the choice of those at run time.

/// Runs `f` compiled for the widest vectors this processor has: AVX-512 or AVX2 on x86-64, NEON on aarch64, plain code
/// elsewhere. `f` and all it calls must be `#[inline(always)]`, or they stay compiled for the oldest processor.
#[inline(always)]
pub(super) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    if super::instructions::are_portable() {
        f()
    } else {
        pulp::Arch::new().dispatch(f)
    }
}

/// Lanes of a sum: several vectors' worth, so that additions do not wait for one another.
const LANES: usize = 32;

/// `Σ f` over the elements of `N` slices of one length, in a fixed order that allows vectors.
#[inline(always)]
pub(super) fn sum_by<const N: usize>(x: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let length = x[0].len();
    // Arrays, not slices: their loops are unrolled, and the lanes stay in registers.
    let (chunks, rest) = (
        x.map(|x| &x[..length].as_chunks::<LANES>().0[..length / LANES]),
        x.map(|x| &x[length / LANES * LANES..length]),
    );
    let mut lanes = [0.0_f32; LANES];
    for chunk in 0..length / LANES {
        let x = chunks.map(|chunks| &chunks[chunk]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(x.map(|x| x[lane]));
        }
    }
    let rest: f32 = (0..length % LANES).map(|i| f(rest.map(|x| x[i]))).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest element.
#[inline(always)]
pub(super) fn maximum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let rest = rest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    lanes.into_iter().fold(rest, f32::max)
}

/// `eˣ` to 2 units in the last place; 0 below -87.3 and e^88 above it.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a Taylor polynomial for `eʳ`, and n added to the exponent.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 * 2²³: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let coefficients = [
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0_f32,
    ];
    let mut power = 0.0;
    for coefficient in coefficients {
        power = power * r + coefficient;
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let scale = f32::from_bits(exponent.wrapping_add(127) << 23);
    if x < -87.3 { 0.0 } else { power * scale }
}

/// `erf(x)` as `x P(x²) / Q(x²)` on (-4, 4), beyond which it is ±1 in f32; within 5e-7.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let s = x * x;
    let p = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2_f32,
    ];
    let q = [
        -1.456_607_2e-5,
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329e-3,
        -1.426_473_9e-2_f32,
    ];
    let (mut numerator, mut denominator) = (0.0, 0.0);
    for coefficient in p {
        numerator = numerator * s + coefficient;
    }
    for coefficient in q {
        denominator = denominator * s + coefficient;
    }
    let quotient = (x * numerator / denominator).clamp(-1.0, 1.0);
    if s >= 16.0 {
        1.0_f32.copysign(x)
    } else {
        quotient
    }
}

/// `tanh(x)`.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    // Where 1 - 2 / (e²ˣ + 1) cancels, the odd series does not.
    let square = x * x;
    let series = x * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0)));
    let quotient = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if square < 2.5e-3 { series } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_tanh_are_those_of_f64_to_f32_precision() {
        for i in -9_000..9_000 {
            let x = i as f32 / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            if (-87.0..88.0).contains(&x) {
                assert!((ours / exact - 1.0).abs() < 3e-7, "exp({x}) = {ours}");
            }
            let x = i as f32 / 1000.0;
            let (ours, exact) = (f64::from(tanh(x)), f64::from(x).tanh());
            assert!((ours - exact).abs() < 2e-7, "tanh({x}) = {ours}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_take_every_element() {
        for length in [0, 1, 31, 32, 33, 100] {
            let x: Vec<f32> = (0..length).map(|i| ((i * 37) % 101) as f32).collect();
            assert_eq!(sum_by([&x], |[x]| x), x.iter().sum::<f32>());
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(maximum(&x), largest);
        }
    }

    #[test]
    fn erf_is_the_integral_of_its_density() {
        // Simpson's rule, whose error is far below that of f32.
        let density = |t: f64| (-t * t).exp() * std::f64::consts::FRAC_2_SQRT_PI;
        let (step, mut integral) = (1e-3, 0.0);
        for i in 0..5000 {
            let (x, next) = (f64::from(i) * step, f64::from(i + 1) * step);
            let middle = density((x + next) / 2.0);
            integral += step / 6.0 * (density(x) + 4.0 * middle + density(next));
            for sign in [1.0, -1.0] {
                let error = f64::from(erf((sign * next) as f32)) - sign * integral;
                assert!(error.abs() < 5e-7, "erf({next}) is off by {error}");
            }
        }
    }
}
