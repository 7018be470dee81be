//! A method run to its budget: a list of V, or until the estimate is precise enough.

use super::block::{Sketcher, values};
use super::{Method, Part};
use crate::estimator::{Estimate, Moments, Quantity, Stop, Stopping, Tolerance};
use crate::libtorch::synchronize;
use std::time::Instant;
use tch::{Kind, Tensor};

/// Time and products of one estimate as if it alone had been asked for.
pub(super) struct Meter<'a> {
    sketcher: &'a Sketcher<'a>,
    clock: Instant,
    /// Seconds until the first product.
    setup: f64,
    /// Seconds and products that belong to other estimates.
    seconds: f64,
    products: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(clock: Instant, sketcher: &'a Sketcher<'a>) -> Self {
        let mut meter = Self {
            sketcher,
            clock,
            setup: 0.0,
            seconds: 0.0,
            products: 0,
        };
        meter.setup = meter.elapsed();
        meter
    }

    /// Seconds until all that has been asked of the device is done.
    fn elapsed(&self) -> f64 {
        synchronize(self.sketcher.device());
        self.clock.elapsed().as_secs_f64()
    }

    /// From here on nothing is shared with what came before but the set-up.
    fn restart(&mut self) {
        self.seconds = self.elapsed() - self.setup;
        self.products = self.sketcher.products();
    }

    fn estimate(&self, v: Option<u64>, part: Part, stop: Option<Stop>) -> Estimate {
        let products = self.sketcher.products() - self.products;
        let seconds = self.elapsed() - self.seconds;
        Estimate {
            v,
            parameters: part.parameters,
            stop,
            diagonal: part.diagonal.as_ref().map(values),
            ..Estimate::new(Quantity::Trace, part.trace, products, seconds)
        }
    }
}

/// An estimate for each of `counts` (rising).
pub(super) fn given<M: Method>(mut meter: Meter<'_>, counts: &[u64]) -> Vec<Estimate> {
    let sketcher = meter.sketcher;
    let mut state = M::begin(sketcher);
    let mut estimates = Vec::new();
    for (index, &v) in counts.iter().enumerate() {
        let whole = v >= sketcher.size() as u64;
        if whole || !M::NESTED {
            meter.restart();
            state = M::begin(sketcher);
        }
        if !whole {
            // Fewer only come from trials; a plan refuses them.
            state.grow(v.max(M::LEAST));
        }
        let grown = meter.elapsed();
        let mut part = match whole {
            true => exact(sketcher),
            false => state.finish(),
        };
        // One diagonal a run is kept, the best.
        part.diagonal = part.diagonal.filter(|_| index + 1 == counts.len());
        estimates.push(meter.estimate(Some(v), part, None));
        // Larger V have no use for the end of this one.
        meter.seconds += meter.elapsed() - grown;
    }
    estimates
}

/// Where doubling begins.
const FIRST_LOOK: u64 = 16;

/// An estimate from V that is doubled until it is precise enough.
pub(super) fn until<M: Method>(meter: Meter<'_>, tolerance: &Tolerance) -> Estimate {
    let sketcher = meter.sketcher;
    let mut state = M::begin(sketcher);
    if let Some(stop) = state.until(tolerance) {
        let part = state.finish();
        return meter.estimate(None, part, Some(stop));
    }
    let mut stopping = Stopping::new(*tolerance);
    let mut v = FIRST_LOOK.max(M::LEAST).min(tolerance.max_v);
    loop {
        if v >= sketcher.size() as u64 {
            return meter.estimate(None, exact(sketcher), Some(Stop::Exact));
        }
        state.grow(v);
        let part = state.finish();
        let stop = match () {
            () if part.exact => Stop::Exact,
            () if stopping.met(&part.trace) => Stop::Tolerance,
            () if v == tolerance.max_v => Stop::MaxV,
            () => {
                v = (2 * v).min(tolerance.max_v);
                continue;
            }
        };
        return meter.estimate(None, part, Some(stop));
    }
}

/// The whole diagonal from n products.
fn exact(sketcher: &Sketcher<'_>) -> Part {
    let diagonal = sketcher.diagonal();
    let sum = |part: &Tensor| Moments::exact(part.sum(Kind::Double).double_value(&[]));
    Part {
        trace: sum(&diagonal),
        exact: true,
        parameters: sketcher.split(&diagonal).iter().map(sum).collect(),
        diagonal: Some(diagonal),
    }
}
