//! The history of a metric in bounded memory.

/// A step and a value.
pub(super) type Point = (f64, f64);

/// Buckets of a series. A chart has some 300 dots across, so that even an eighth of the run keeps its shape.
const CAPACITY: usize = 2048;

/// Some consecutive points: their extremes, because a mean alone would flatten the spikes that one looks for, and the
/// sums of their steps and values.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    low: Point,
    high: Point,
    sum: Point,
    points: usize,
}

impl Bucket {
    fn join(self, other: Self) -> Self {
        Self {
            low: if other.low.1 < self.low.1 {
                other.low
            } else {
                self.low
            },
            high: if other.high.1 > self.high.1 {
                other.high
            } else {
                self.high
            },
            sum: (self.sum.0 + other.sum.0, self.sum.1 + other.sum.1),
            points: self.points + other.points,
        }
    }
}

/// Points in the order of their steps. When it is full its resolution is halved.
#[derive(Debug, Clone)]
pub(super) struct Series {
    buckets: Vec<Bucket>,
    points_per_bucket: usize,
    latest: Option<Point>,
    capacity: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Series {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            buckets: Vec::new(),
            points_per_bucket: 1,
            latest: None,
            capacity,
        }
    }

    /// Adds a point; its step is not before that of the last.
    pub(super) fn push(&mut self, step: u64, value: f64) {
        let point = (step as f64, value);
        self.latest = Some(point);
        let bucket = Bucket {
            low: point,
            high: point,
            sum: point,
            points: 1,
        };
        match self.buckets.last_mut() {
            Some(last) if last.points < self.points_per_bucket => *last = last.join(bucket),
            _ => {
                if self.buckets.len() == self.capacity {
                    self.halve();
                }
                self.buckets.push(bucket);
            }
        }
    }

    fn halve(&mut self) {
        let pairs = self.buckets.chunks(2);
        let pairs = pairs.map(|pair| pair.iter().copied().reduce(Bucket::join));
        self.buckets = pairs.flatten().collect();
        self.points_per_bucket *= 2;
    }

    /// The last point, exactly.
    pub(super) fn latest(&self) -> Option<Point> {
        self.latest
    }

    /// The points kept from a step on, for a line through them.
    pub(super) fn points_from(&self, step: f64) -> Vec<Point> {
        let mut points = Vec::with_capacity(2 * self.buckets.len());
        for bucket in &self.buckets {
            let (low, high) = (bucket.low, bucket.high);
            let (first, second) = if low.0 <= high.0 {
                (low, high)
            } else {
                (high, low)
            };
            points.push(first);
            if second.0 > first.0 {
                points.push(second);
            }
        }
        // The last one is news, however little it stands out.
        if let Some(latest) = self.latest
            && points.last().is_some_and(|last| last.0 < latest.0)
        {
            points.push(latest);
        }
        points.retain(|point| point.0 >= step);
        points
    }

    /// The means of the points kept from a step on, over `bins` equal stretches of steps.
    pub(super) fn means_from(&self, step: f64, bins: usize) -> Vec<Point> {
        let Some(last) = self.latest else {
            return Vec::new();
        };
        let bins = bins.max(1);
        let stretch = (last.0 - step).max(1.0) / bins as f64;
        let bin = |bucket: &Bucket| {
            let mean = bucket.sum.0 / bucket.points as f64;
            (((mean - step) / stretch) as usize).min(bins - 1)
        };
        let first = |bucket: &Bucket| bucket.low.0.min(bucket.high.0);
        let kept = self.buckets.partition_point(|bucket| first(bucket) < step);
        let kept = &self.buckets[kept..];
        let bins = kept.chunk_by(|a, b| bin(a) == bin(b));
        let bins = bins.filter_map(|bin| bin.iter().copied().reduce(Bucket::join));
        bins.map(|bin| {
            let points = bin.points as f64;
            (bin.sum.0 / points, bin.sum.1 / points)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_history_is_kept_as_it_was() {
        let mut series = Series::default();
        let points: Vec<Point> = (1..=300)
            .map(|i| (f64::from(i), f64::from(i).sin()))
            .collect();
        for point in &points {
            series.push(point.0 as u64, point.1);
        }
        assert_eq!(series.points_from(0.0), points);
        assert_eq!(series.points_from(251.0), points[250..]);
    }

    #[test]
    fn means_are_of_equal_stretches_of_the_steps() {
        let mut series = Series::default();
        for step in 1..=12_u64 {
            series.push(step, if step.is_multiple_of(2) { 3.0 } else { 1.0 });
        }
        assert_eq!(series.means_from(5.0, 2), [(6.5, 2.0), (10.5, 2.0)]);
        assert_eq!(series.means_from(9.0, 4).len(), 4);
        assert_eq!(series.means_from(0.0, 0), [(6.5, 2.0)]);
    }

    #[test]
    fn a_long_history_stays_small_and_keeps_its_extremes_ends_and_order() {
        let mut series = Series::with_capacity(16);
        for step in 1..=100_003_u64 {
            let value = match step {
                31_415 => 50.0,
                77_777 => -50.0,
                _ => (step as f64 / 9.0).sin(),
            };
            series.push(step, value);
            assert!(series.buckets.len() <= 16);
        }
        let points = series.points_from(0.0);
        assert!(points.len() <= 2 * 16 + 1);
        assert!(points.contains(&(31_415.0, 50.0)));
        assert!(points.contains(&(77_777.0, -50.0)));
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(points.last(), series.latest().as_ref());
        assert_eq!(
            series.latest(),
            Some((100_003.0, (100_003_f64 / 9.0).sin()))
        );
        let means = series.means_from(0.0, 4);
        assert!(means.len() <= 5 && means.iter().all(|mean| mean.1.abs() < 0.1));
        let kept: usize = series.buckets.iter().map(|bucket| bucket.points).sum();
        assert_eq!(kept, 100_003);
    }
}
