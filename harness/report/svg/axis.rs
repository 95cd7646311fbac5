//! Where moments stand on the axis of a picture.

/// A quiet time that is longer than so many times the usual one is cut.
const CUT_BEYOND: u64 = 8;

/// So many times the usual one is left of it.
const LEFT_OF_IT: u64 = 2;

/// What is no longer than this part of all that is not cut stays as well.
const WORTH_A_CUT: u64 = 40;

/// Of so few moments none is worth a cut.
const FEW: usize = 4;

/// A piece of the axis: between two moments it has the scale of all, or is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from_us: u64,
    to_us: u64,
    /// Where it begins, and ends.
    left: f64,
    right: f64,
    is_cut: bool,
}

/// An axis of time. Within what is not cut a microsecond is as long as any other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pieces: Vec<Piece>,
    width: f64,
}

/// A quiet time that was cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) lasts_us: u64,
}

impl Axis {
    /// An axis to scale from end to end, over all of these moments.
    pub(super) fn to_scale(moments: &[u64], width: f64) -> Self {
        Self::with(moments, width, (u64::MAX, u64::MAX))
    }

    /// The same with long quiet times cut.
    pub(super) fn with_cuts(moments: &[u64], width: f64) -> Self {
        let mut gaps: Vec<u64> = gaps(moments);
        gaps.sort_unstable();
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0).max(1);
        match gaps.len() < FEW {
            true => Self::to_scale(moments, width),
            false => {
                let beyond = usual.saturating_mul(CUT_BEYOND);
                let short: u64 = gaps.iter().filter(|gap| **gap <= beyond).sum();
                let beyond = beyond.max(short / WORTH_A_CUT);
                let left = usual
                    .saturating_mul(LEFT_OF_IT)
                    .max(short / WORTH_A_CUT / 2);
                Self::with(moments, width, (beyond, left))
            }
        }
    }

    /// The same where what is quiet for longer than the first is as long as the second.
    fn with(moments: &[u64], width: f64, (longest_us, left_us): (u64, u64)) -> Self {
        let shown = |lasts: u64| if lasts > longest_us { left_us } else { lasts };
        let long: u64 = gaps(moments).iter().map(|gap| shown(*gap)).sum();
        let scale = width / long.max(1) as f64;
        let mut left = 0.0;
        let pieces = pairs(moments).map(|(from_us, to_us)| {
            let lasts = to_us - from_us;
            let right = left + shown(lasts) as f64 * scale;
            let piece = Piece {
                from_us,
                to_us,
                left,
                right,
                is_cut: lasts > longest_us,
            };
            left = right;
            piece
        });
        Self {
            pieces: pieces.collect(),
            width,
        }
    }

    /// Where a moment stands.
    pub(super) fn place(&self, at_us: u64) -> f64 {
        let n = self.pieces.partition_point(|piece| piece.to_us < at_us);
        let Some(piece) = self.pieces.get(n) else {
            return self.pieces.last().map_or(0.0, |last| last.right);
        };
        let part = at_us.saturating_sub(piece.from_us) as f64;
        let lasts = (piece.to_us - piece.from_us).max(1) as f64;
        piece.left + (piece.right - piece.left) * part / lasts
    }

    /// The moment that stands at a place.
    pub(super) fn moment(&self, at: f64) -> u64 {
        let n = self.pieces.partition_point(|piece| piece.right < at);
        let Some(piece) = self.pieces.get(n) else {
            return self.pieces.last().map_or(0, |last| last.to_us);
        };
        let part = (at - piece.left) / (piece.right - piece.left).max(f64::MIN_POSITIVE);
        piece.from_us + ((piece.to_us - piece.from_us) as f64 * part) as u64
    }

    /// What was cut.
    pub(super) fn cuts(&self) -> impl Iterator<Item = Cut> {
        let cut = self.pieces.iter().filter(|piece| piece.is_cut);
        cut.map(|piece| Cut {
            left: piece.left,
            right: piece.right,
            lasts_us: piece.to_us - piece.from_us,
        })
    }

    /// Places that are told, none within what was cut.
    pub(super) fn ticks(&self, many: usize) -> Vec<f64> {
        let places = (0..=many).map(|n| self.width * n as f64 / many as f64);
        let is_cut = |at: f64| self.cuts().any(|cut| cut.left < at && at < cut.right);
        places.filter(|at| !is_cut(*at)).collect()
    }
}

/// Moments that follow each other.
fn pairs(moments: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    moments.windows(2).map(|pair| (pair[0], pair[1]))
}

fn gaps(moments: &[u64]) -> Vec<u64> {
    pairs(moments).map(|(from, to)| to - from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENTS: [u64; 8] = [0, 100, 200, 300, 400, 5_000_400, 5_000_500, 5_000_600];

    #[test]
    fn axis_to_scale_has_one_scale_from_end_to_end() {
        let axis = Axis::to_scale(&MOMENTS, 1000.0);
        assert!((axis.place(2_500_300) - 500.0).abs() < 0.001);
        assert_eq!(axis.place(0), 0.0);
        assert!((axis.place(5_000_600) - 1000.0).abs() < 0.001);
        assert_eq!(axis.cuts().count(), 0);
    }

    #[test]
    fn quiet_time_is_cut_and_said_to_be_and_the_rest_has_one_scale() {
        let axis = Axis::with_cuts(&MOMENTS, 1000.0);
        let cuts: Vec<Cut> = axis.cuts().collect();
        assert_eq!(cuts.len(), 1);
        assert_eq!(cuts[0].lasts_us, 5_000_000);
        let long = |from, to| axis.place(to) - axis.place(from);
        assert!((long(0, 100) - long(5_000_500, 5_000_600)).abs() < 0.001);
        assert!((long(400, 5_000_400) - 2.0 * long(0, 100)).abs() < 0.001);
    }

    #[test]
    fn place_of_a_moment_leads_back_to_it() {
        let axis = Axis::with_cuts(&MOMENTS, 1000.0);
        for at in [0, 50, 399, 5_000_450, 5_000_600] {
            assert!(axis.moment(axis.place(at)).abs_diff(at) <= 1, "{at}");
        }
    }

    #[test]
    fn ticks_tell_no_place_within_a_cut() {
        let axis = Axis::with_cuts(&MOMENTS, 1000.0);
        let cut = axis.cuts().next().unwrap();
        let ticks = axis.ticks(50);
        assert!(ticks.len() > 10);
        assert!(ticks.iter().all(|at| *at <= cut.left || *at >= cut.right));
    }

    #[test]
    fn picture_of_one_moment_or_none_has_a_place_for_it() {
        assert_eq!(Axis::with_cuts(&[], 1000.0).place(7), 0.0);
        assert_eq!(Axis::with_cuts(&[7], 1000.0).place(7), 0.0);
        assert_eq!(Axis::to_scale(&[7, 9], 1000.0).place(9), 1000.0);
    }
}
